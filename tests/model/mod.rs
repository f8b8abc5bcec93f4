//! What is shown against a real kube-apiserver, shown against the model as well: the same code, compiled once more. Tests in
//! here get the model where they ask for a control plane.

#[path = "../real/drift/mod.rs"]
mod drift;
#[path = "../real/faults.rs"]
mod faults;
#[path = "../real/fleet.rs"]
mod fleet;
#[path = "../real/leader/mod.rs"]
mod leader;
#[path = "../real/own_writes.rs"]
mod own_writes;
#[path = "../real/ownership.rs"]
mod ownership;
#[path = "../real/pruning.rs"]
mod pruning;
#[path = "../real/restart.rs"]
mod restart;
#[path = "../real/sources.rs"]
mod sources;
#[path = "../real/store_loss.rs"]
mod store_loss;
#[path = "../real/sync.rs"]
mod sync;
#[path = "../real/takeover.rs"]
mod takeover;
#[path = "../real/writes.rs"]
mod writes;
