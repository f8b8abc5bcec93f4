//! The Kubernetes side: the only code that names `kube`.
