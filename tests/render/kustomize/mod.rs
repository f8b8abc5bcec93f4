//! Kustomize against the real program.

mod case;
mod conformance;
mod helm;
mod hostile;
mod orders;
mod ours;
mod overlays;
mod program;
mod refusals;
mod remote;
mod shapes;
