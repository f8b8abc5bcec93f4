//! The durable store: the only code that names `redb`.
