//! Strategic merge patches: lists merge by the keys that the type names, and directives say what else is to happen.

mod strategic;

pub use strategic::{PatchError, strategic};
