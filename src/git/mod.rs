//! The Git side: the only code that names `gix`.
