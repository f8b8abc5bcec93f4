//! Against a real kube-apiserver.

mod own_writes;
mod smoke;
mod writes;
