//! Kustomize against the real program.

mod case;
mod conformance;
mod overlays;
mod program;
