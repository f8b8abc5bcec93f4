//! Kustomize against the real program.

mod case;
mod conformance;
mod program;
