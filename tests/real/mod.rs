//! Against a real kube-apiserver.

mod smoke;
mod writes;
