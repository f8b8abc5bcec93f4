//! The names of things: applications, objects, repositories, revisions, epochs.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Namespace and name of an `Application`. Displays as `namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AppKey {
    /// Namespace of the Application resource.
    pub namespace: Arc<str>,
    /// Name of the Application resource.
    pub name: Arc<str>,
}

impl AppKey {
    /// The key of the Application `name` in `namespace`.
    pub fn new(namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for AppKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What identifies an object across API versions: group, kind, namespace, name. The core group is the empty string,
/// and so is the namespace of a cluster-scoped object.
///
/// Displays as Argo CD writes it in a tracking id, `group/Kind:namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectKey {
    /// API group; empty for the core group.
    pub group: Arc<str>,
    /// Kind, e.g. `Deployment`.
    pub kind: Arc<str>,
    /// Namespace; empty for a cluster-scoped object.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
}

impl ObjectKey {
    /// The key of an object; `group` and `namespace` may be empty.
    pub fn new(
        group: impl Into<Arc<str>>,
        kind: impl Into<Arc<str>>,
        namespace: impl Into<Arc<str>>,
        name: impl Into<Arc<str>>,
    ) -> Self {
        Self { group: group.into(), kind: kind.into(), namespace: namespace.into(), name: name.into() }
    }

    /// Group and kind of the object.
    pub fn group_kind(&self) -> GroupKind {
        GroupKind { group: self.group.clone(), kind: self.kind.clone() }
    }

    /// Whether this is a core `Secret`, whose body never reaches the disk, a log or a diff.
    pub fn is_secret(&self) -> bool {
        self.group.is_empty() && &*self.kind == "Secret"
    }

    /// Reads what [`fmt::Display`] writes. `None` if `text` has another form.
    pub fn parse(text: &str) -> Option<Self> {
        let (group_kind, name) = text.split_once(':')?;
        let (group, kind) = group_kind.split_once('/')?;
        let (namespace, name) = name.split_once('/')?;
        if kind.is_empty() || name.is_empty() || kind.contains('/') || name.contains('/') {
            return None;
        }
        Some(Self::new(group, kind, namespace, name))
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}/{}", self.group, self.kind, self.namespace, self.name)
    }
}

/// API group and kind. Displays as `Kind` or `Kind.group`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupKind {
    /// API group; empty for the core group.
    pub group: Arc<str>,
    /// Kind.
    pub kind: Arc<str>,
}

impl GroupKind {
    /// A group and kind; `group` may be empty.
    pub fn new(group: impl Into<Arc<str>>, kind: impl Into<Arc<str>>) -> Self {
        Self { group: group.into(), kind: kind.into() }
    }
}

impl fmt::Display for GroupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() { write!(f, "{}", self.kind) } else { write!(f, "{}.{}", self.kind, self.group) }
    }
}

/// Group, version and kind: what one watch serves, in the version that manifests are written in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Gvk {
    /// API group; empty for the core group.
    pub group: Arc<str>,
    /// API version, e.g. `v1`.
    pub version: Arc<str>,
    /// Kind.
    pub kind: Arc<str>,
}

impl Gvk {
    /// A group, version and kind; `group` may be empty.
    pub fn new(group: impl Into<Arc<str>>, version: impl Into<Arc<str>>, kind: impl Into<Arc<str>>) -> Self {
        Self { group: group.into(), version: version.into(), kind: kind.into() }
    }

    /// Splits `apiVersion` (`v1`, `apps/v1`) and joins it with `kind`.
    pub fn from_api_version(api_version: &str, kind: &str) -> Self {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Self::new(group, version, kind)
    }

    /// `v1` or `group/version`, as in a manifest.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_string() } else { format!("{}/{}", self.group, self.version) }
    }

    /// Group and kind without the version.
    pub fn group_kind(&self) -> GroupKind {
        GroupKind { group: self.group.clone(), kind: self.kind.clone() }
    }
}

impl fmt::Display for Gvk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, Kind={}", self.api_version(), self.kind)
    }
}

/// Argo CD's tracking id, `instance:group/Kind:namespace/name`, which says whose an object is
/// (`argocd.argoproj.io/tracking-id`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TrackingId {
    /// Argo CD's application instance name: the name, or `namespace_name` outside the control namespace.
    pub instance: Box<str>,
    /// The object that the id was written for; another key than the object's own means that it was copied.
    pub object: ObjectKey,
}

impl TrackingId {
    /// Reads a tracking id. `None` if `text` has another form.
    pub fn parse(text: &str) -> Option<Self> {
        let (instance, object) = text.split_once(':')?;
        if instance.is_empty() {
            return None;
        }
        Some(Self { instance: instance.into(), object: ObjectKey::parse(object)? })
    }
}

impl fmt::Display for TrackingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.instance, self.object)
    }
}

/// A commit id, lower-case hexadecimal (40 digits for SHA-1 repositories).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(Arc<str>);

impl Revision {
    /// Reads a full commit id. `None` unless it is 40 or 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let full = matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit());
        full.then(|| Self(text.to_ascii_lowercase().into()))
    }

    /// The commit id as hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first seven digits, as people write a commit.
    pub fn short(&self) -> &str {
        self.0.get(..7).unwrap_or(&self.0)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A repository as its mirror is named: the URL with Argo CD's normalisation (no trailing `/` or `.git`, host in lower
/// case), so that spellings of one repository share a mirror. Never holds credentials.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RepoKey(pub Arc<str>);

impl fmt::Display for RepoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The Lease's `leaseTransitions` under which a decision was made. Every mutating effect carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub i32);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_keys_survive_their_text_form() {
        for key in [
            ObjectKey::new("", "ConfigMap", "shop", "settings"),
            ObjectKey::new("apps", "Deployment", "shop", "web"),
            ObjectKey::new("rbac.authorization.k8s.io", "ClusterRole", "", "system:node"),
        ] {
            assert_eq!(ObjectKey::parse(&key.to_string()), Some(key));
        }
    }

    #[test]
    fn tracking_ids_split_as_argo_cd_splits_them() {
        let id = TrackingId::parse("argocd_guestbook:apps/Deployment:default/ui").unwrap();
        assert_eq!(&*id.instance, "argocd_guestbook");
        assert_eq!(id.object, ObjectKey::new("apps", "Deployment", "default", "ui"));
        let id = TrackingId::parse("app:rbac.authorization.k8s.io/ClusterRole:/system:node").unwrap();
        assert_eq!(&*id.object.name, "system:node");
        for bad in
            ["", "app", "app:x", "app:/Kind", "app:/Kind:ns", ":/Kind:ns/name", "app:/Kind:ns/a/b", "a:b/c/d:e/f"]
        {
            assert_eq!(TrackingId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn revisions_are_full_commit_ids() {
        assert!(Revision::parse("0123456789abcdef0123456789abcdef01234567").is_some());
        assert!(Revision::parse("0123456").is_none());
        assert!(Revision::parse("main").is_none());
    }
}
