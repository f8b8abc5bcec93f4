//! Against a real kube-apiserver.

mod smoke;
