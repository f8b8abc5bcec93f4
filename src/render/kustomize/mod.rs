//! Kustomize: what `kustomize build` prints for a tree, byte for byte, as a pure function of the tree.

mod emit;
pub mod read;
mod scalar;
pub mod value;
pub mod write;
