//! Against a real kube-apiserver.

mod basics;
mod own_writes;
mod smoke;
mod writes;
