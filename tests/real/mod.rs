//! Against a real kube-apiserver.

mod basics;
mod smoke;
mod writes;
