//! Kustomize: what `kustomize build` prints for a tree, byte for byte, as a pure function of the tree.

mod associative;
mod emit;
pub mod read;
mod scalar;
pub mod schema;
pub mod strategic_merge;
pub mod value;
pub mod write;
