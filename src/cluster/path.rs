//! Paths of the API server.

use std::sync::Arc;

use super::error;
use crate::engine::event::RequestError;
use crate::engine::ids::Gvk;

/// How a kind is addressed at the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourcePath {
    /// Group, version and kind.
    pub gvk: Gvk,
    /// Plural name, e.g. `deployments`.
    pub plural: Arc<str>,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
}

impl ResourcePath {
    /// A kind of the core group's `v1`.
    pub(super) fn core(kind: &str, plural: &str, namespaced: bool) -> Self {
        Self { gvk: Gvk::new("", "v1", kind), plural: plural.into(), namespaced }
    }

    /// Path of the collection, in `namespace` for a namespaced kind. An error where `namespace` can't be part of a path.
    pub fn collection(&self, namespace: &str) -> Result<String, RequestError> {
        let Gvk { group, version, .. } = &self.gvk;
        let mut path = if group.is_empty() { String::from("/api") } else { format!("/apis/{}", segment(group)?) };
        path.push('/');
        path.push_str(&segment(version)?);
        if self.namespaced {
            path.push_str("/namespaces/");
            path.push_str(&segment(namespace)?);
        }
        path.push('/');
        path.push_str(&segment(&self.plural)?);
        Ok(path)
    }

    /// Path of one object. An error where `namespace` or `name` can't be part of a path.
    pub fn object(&self, namespace: &str, name: &str) -> Result<String, RequestError> {
        Ok(format!("{}/{}", self.collection(namespace)?, segment(name)?))
    }

    /// Whether this is the core `Secret`.
    pub(super) fn is_secret(&self) -> bool {
        self.gvk.group.is_empty() && &*self.gvk.kind == "Secret"
    }
}

/// One segment of a path, percent-encoded. The API server decodes the path before it splits it, so what would change
/// its shape is refused; it refuses such names itself.
fn segment(text: &str) -> Result<String, RequestError> {
    if text.is_empty() || text == "." || text == ".." || text.contains(['/', '%']) {
        return Err(error::invalid(format!(
            "{text:?} can't be a name or namespace: neither empty, `.` or `..`, nor with `/` or `%`; correct it in the manifest"
        )));
    }
    Ok(encode(text))
}

/// Percent-encodes all but RFC 3986's unreserved characters and the colon of RBAC names.
pub(super) fn encode(text: &str) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b':') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.extend(DIGITS.get(usize::from(byte >> 4)));
            out.extend(DIGITS.get(usize::from(byte & 15)));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_follow_group_scope_and_encoding() {
        let deployments =
            ResourcePath { gvk: Gvk::new("apps", "v1", "Deployment"), plural: "deployments".into(), namespaced: true };
        assert_eq!(deployments.object("shop", "web").unwrap(), "/apis/apps/v1/namespaces/shop/deployments/web");
        assert_eq!(deployments.collection("shop").unwrap(), "/apis/apps/v1/namespaces/shop/deployments");
        let namespaces = ResourcePath::core("Namespace", "namespaces", false);
        assert_eq!(namespaces.object("", "shop").unwrap(), "/api/v1/namespaces/shop");
        let roles = ResourcePath {
            gvk: Gvk::new("rbac.authorization.k8s.io", "v1", "ClusterRole"),
            plural: "clusterroles".into(),
            namespaced: false,
        };
        let path = roles.object("ignored", "system:a b@é?").unwrap();
        assert_eq!(path, "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:a%20b%40%C3%A9%3F");
    }

    #[test]
    fn names_that_would_change_the_path_are_refused() {
        let pods = ResourcePath::core("Pod", "pods", true);
        for name in ["", ".", "..", "a/status", "a%2Fstatus"] {
            assert!(pods.object("n", name).is_err(), "{name}");
            assert!(pods.object(name, "n").is_err(), "{name}");
        }
    }
}
