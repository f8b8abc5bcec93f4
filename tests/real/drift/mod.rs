//! Drift on a real API server: what is reverted, what is only reported, what is none, and what becomes of fights, of
//! fields that leave Git, and of objects that were there before.

mod adoption;
mod benign;
mod contest;
mod edits;
mod manifests;
mod table;
