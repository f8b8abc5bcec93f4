//! Against a real kube-apiserver.

mod basics;
mod demo;
mod drift;
mod faults;
mod fleet;
mod kubectl;
mod kustomize;
mod leader;
mod managed;
mod openapi;
mod own_writes;
mod ownership;
mod pruning;
mod restart;
mod sandbox;
mod sim;
mod smoke;
mod sources;
mod store_loss;
mod sync;
mod takeover;
mod writes;
