//! Kustomize against the real program.

mod case;
mod conformance;
mod ours;
mod overlays;
mod program;
