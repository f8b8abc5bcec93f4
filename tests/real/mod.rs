//! Against a real kube-apiserver.

mod basics;
mod own_writes;
mod restart;
mod smoke;
mod store_loss;
mod writes;
