//! Against a real kube-apiserver.

mod basics;
mod drift;
mod own_writes;
mod smoke;
mod writes;
