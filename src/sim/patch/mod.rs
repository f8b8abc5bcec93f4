//! Patches: JSON patches, and strategic merge patches, whose lists merge by the keys that the type names.

mod json;
mod strategic;

pub use json::{JsonPatchError, json};
pub use strategic::{PatchError, strategic};
