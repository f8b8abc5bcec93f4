//! Names that are written onto objects. They are part of the state of every cluster: never change one.

/// Field manager of every apply. Versionless, or an upgrade would own nothing.
pub const FIELD_MANAGER: &str = "driftless";
/// Label with the installation id; the API server filters our watches by it.
pub const INSTANCE_LABEL: &str = "driftless.dev/instance";
/// Label with the bucket of the application (`00` to `ff`), by which a shard selects its own.
pub const BUCKET_LABEL: &str = "driftless.dev/bucket";
/// Annotation that says whose an object is, in Argo CD's form.
pub const TRACKING_ANNOTATION: &str = "argocd.argoproj.io/tracking-id";
/// Annotation with the hash of the manifest that was last applied.
pub const STAMP_ANNOTATION: &str = "driftless.dev/manifest";
/// Annotation with options for one object, comma-separated `Name=value`.
pub const SYNC_OPTIONS_ANNOTATION: &str = "argocd.argoproj.io/sync-options";
