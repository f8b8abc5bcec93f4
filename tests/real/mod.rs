//! Against a real kube-apiserver.

mod basics;
mod leader;
mod own_writes;
mod smoke;
mod writes;
