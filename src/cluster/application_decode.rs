//! From the JSON of an Application to what the engine sees of it. Lenient: whatever stands in an Application, decoding
//! it does not fail.

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use kube::Resource;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::applications::{GROUP, KIND, PLURAL, VERSION};
use crate::engine::application::{ApplicationSpec, ObservedApplication, Operation};
use crate::engine::ids::AppKey;
use crate::engine::redact;
use crate::engine::status::ApplicationStatus;

/// Field managers under which Argo CD's application controller writes statuses.
const ARGOCD_CONTROLLERS: [&str; 2] = ["argocd-application-controller", "argocd-controller"];
/// Prefixes of the annotations that are kept.
const ANNOTATIONS: [&str; 2] = ["argocd.argoproj.io/", "driftless.dev/"];

/// An Application as kube-runtime carries it: the little of its metadata that kube needs, and what the engine sees. All
/// else is dropped while it is decoded.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    meta: ObjectMeta,
    /// `None`: it has no resource version that is a number, so that no write of it could be conditional.
    pub(super) observed: Option<Box<ObservedApplication>>,
}

impl Watched {
    pub(super) fn key(&self) -> AppKey {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        AppKey::new(text(&self.meta.namespace), text(&self.meta.name))
    }
}

impl Resource for Watched {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        KIND.into()
    }

    fn group((): &()) -> Cow<'_, str> {
        GROUP.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        VERSION.into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        PLURAL.into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}

impl<'de> Deserialize<'de> for Watched {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Wire::deserialize(deserializer).map(Self::from)
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Wire {
    metadata: Value,
    spec: Value,
    operation: Value,
    status: Value,
}

impl From<Wire> for Watched {
    fn from(wire: Wire) -> Self {
        let Some(meta) = lenient::<ObjectMeta>(wire.metadata) else {
            return Self { meta: ObjectMeta::default(), observed: None };
        };
        let kept = ObjectMeta {
            name: meta.name.clone(),
            namespace: meta.namespace.clone(),
            uid: meta.uid.clone(),
            resource_version: meta.resource_version.clone(),
            ..ObjectMeta::default()
        };
        let mut watched = Self { meta: kept, observed: None };
        let Some(resource_version) = meta.resource_version.as_deref().and_then(|text| text.parse().ok()) else {
            return watched;
        };
        let mut annotations: BTreeMap<_, _> = meta.annotations.unwrap_or_default();
        annotations.retain(|name, _| ANNOTATIONS.iter().any(|prefix| name.starts_with(prefix)));
        watched.observed = Some(Box::new(ObservedApplication {
            key: watched.key(),
            uid: meta.uid.unwrap_or_default(),
            resource_version,
            spec: strict::<ApplicationSpec>("spec", wire.spec),
            annotations,
            finalizers: meta.finalizers.unwrap_or_default(),
            deleting: meta.deletion_timestamp.is_some(),
            operation: (!wire.operation.is_null()).then(|| strict::<Operation>("operation", wire.operation)),
            status: lenient::<ApplicationStatus>(wire.status).unwrap_or_default(),
            status_writer: status_writer(&meta.managed_fields.unwrap_or_default()),
        }));
        watched
    }
}

/// Argo CD's controller, if it holds fields of the status.
fn status_writer(entries: &[ManagedFieldsEntry]) -> Option<String> {
    let holds_status = |entry: &&ManagedFieldsEntry| {
        let fields = entry.fields_v1.as_ref().and_then(|fields| fields.0.get("f:status"));
        fields.and_then(Value::as_object).is_some_and(|fields| !fields.is_empty())
    };
    let manager = |entry: &ManagedFieldsEntry| entry.manager.clone();
    let known = |name: &String| ARGOCD_CONTROLLERS.contains(&name.as_str());
    entries.iter().filter(holds_status).filter_map(manager).find(known)
}

/// Reads `value`; on failure the error names the field that is at fault, and no value.
fn strict<T: DeserializeOwned>(name: &str, value: Value) -> Result<T, String> {
    let mut value = if value.is_null() { Value::Object(Map::new()) } else { value };
    if let Ok(read) = T::deserialize(&value) {
        return Ok(read);
    }
    // As in Go, null stands for absence.
    strip_nulls(&mut value);
    T::deserialize(&value).map_err(|error| {
        let mut path = name.to_owned();
        fault::<T>(&value, &|value| value, &mut path);
        redact::server_message(&format!("{path}: {error}"), true)
    })
}

fn strip_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(strip_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_nulls),
        _ => {}
    }
}

/// Appends to `path` the way to the first part of `node` that makes `T` unreadable. `around` puts a replacement of
/// `node` back into what is around it: a part is at fault if it is so with nothing else beside it.
fn fault<T: DeserializeOwned>(node: &Value, around: &dyn Fn(Value) -> Value, path: &mut String) {
    let fails = |value: Value| T::deserialize(around(value)).is_err();
    match node {
        Value::Object(members) if !fails(Value::Object(Map::new())) => {
            for (name, member) in members {
                let inside = |value: Value| around(Value::Object(Map::from_iter([(name.clone(), value)])));
                if T::deserialize(inside(member.clone())).is_err() {
                    path.push('.');
                    path.push_str(name);
                    return fault::<T>(member, &inside, path);
                }
            }
        }
        Value::Array(items) if !fails(Value::Array(Vec::new())) => {
            let inside = |value: Value| around(Value::Array(vec![value]));
            for (index, item) in items.iter().enumerate() {
                if T::deserialize(inside(item.clone())).is_err() {
                    path.push_str(&format!("[{index}]"));
                    return fault::<T>(item, &inside, path);
                }
            }
        }
        _ => {}
    }
}

/// Reads what can be read of `value`: members that can't are left out.
fn lenient<T: DeserializeOwned>(value: Value) -> Option<T> {
    if let Ok(read) = T::deserialize(&value) {
        return Some(read);
    }
    let Value::Object(members) = value else { return None };
    let readable = |(name, member): &(String, Value)| {
        T::deserialize(Value::Object(Map::from_iter([(name.clone(), member.clone())]))).is_ok()
    };
    T::deserialize(Value::Object(members.into_iter().filter(readable).collect())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn observed(mut object: Value) -> ObservedApplication {
        let meta = json!({"name": "shop", "namespace": "argocd", "uid": "u", "resourceVersion": "7"});
        for (name, value) in meta.as_object().unwrap() {
            object["metadata"][name] = value.clone();
        }
        let watched: Watched = serde_json::from_value(object).unwrap();
        *watched.observed.unwrap()
    }

    #[test]
    fn an_application_as_users_write_it() {
        let seen = observed(json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": {
                "annotations": {"argocd.argoproj.io/refresh": "hard", "driftless.dev/take-over": "true", "team": "x"},
                "finalizers": ["resources-finalizer.argocd.argoproj.io"],
                "deletionTimestamp": "2026-11-23T10:00:00Z",
            },
            "spec": {
                "project": "default", "info": null,
                "source": {"repoURL": "https://example.com/a.git", "path": "a", "targetRevision": null},
                "destination": {"server": "https://kubernetes.default.svc", "namespace": "shop"},
                "syncPolicy": {"automated": {"prune": true}, "syncOptions": ["CreateNamespace=true"]},
                "unknownField": [1],
            },
            "operation": {"sync": {"revision": "abc"}},
        }));
        let spec = seen.spec.unwrap();
        assert_eq!(spec.source.unwrap().repo_url, "https://example.com/a.git");
        assert_eq!(spec.sync_policy.unwrap().automated.unwrap().prune, Some(true));
        assert_eq!(
            seen.annotations.keys().collect::<Vec<_>>(),
            ["argocd.argoproj.io/refresh", "driftless.dev/take-over"]
        );
        assert!(seen.deleting && seen.finalizers.len() == 1 && seen.status_writer.is_none());
        assert_eq!(seen.operation.unwrap().unwrap().sync.unwrap().revision.as_deref(), Some("abc"));
        assert_eq!((seen.key.to_string().as_str(), seen.resource_version), ("argocd/shop", 7));
    }

    #[test]
    fn what_cannot_be_read_of_a_spec_is_named_without_its_value() {
        let cases = [
            (json!({"project": 5}), "spec.project: "),
            (json!({"syncPolicy": {"automated": {"prune": "hunter2"}}}), "spec.syncPolicy.automated.prune: "),
            (json!({"sources": [{"path": "a"}, {"path": ["hunter2"]}]}), "spec.sources[1].path: "),
            (json!({"source": "https://hunter2@example.com", "project": "x"}), "spec.source: "),
            (json!({"syncPolicy": {"syncOptions": {"a": "hunter2"}}}), "spec.syncPolicy.syncOptions: "),
            (json!("hunter2"), "spec: "),
        ];
        for (spec, path) in cases {
            let error = observed(json!({"spec": spec})).spec.unwrap_err();
            assert!(error.starts_with(path), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        let operation = observed(json!({"operation": {"sync": 1}})).operation.unwrap().unwrap_err();
        assert!(operation.starts_with("operation.sync: "), "{operation}");
    }

    #[test]
    fn what_can_be_read_of_a_status_is_kept() {
        let status = observed(json!({"status": {
            "sync": {"status": "Synced", "revision": "abc"},
            "history": "nonsense", "resources": null, "summary": {"images": ["x"]},
        }}))
        .status;
        assert_eq!((status.sync.status.as_str(), status.history.len()), ("Synced", 0));
        assert_eq!(observed(json!({"status": 5})).status, ApplicationStatus::default());
    }

    #[test]
    fn whatever_arrives_is_decoded() {
        for object in
            [json!({}), json!({"metadata": 5}), json!({"metadata": {"name": 5}}), json!({"spec": [], "status": []})]
        {
            let watched: Watched = serde_json::from_value(object.clone()).unwrap();
            assert!(watched.observed.is_none(), "{object}");
        }
        let odd = json!({"metadata": {"name": "a", "namespace": "b", "resourceVersion": "1", "labels": [1]}});
        let watched: Watched = serde_json::from_value(odd).unwrap();
        assert_eq!(watched.observed.unwrap().key.to_string(), "b/a");
    }

    #[test]
    fn argo_cd_is_known_by_what_it_holds() {
        let entry =
            |manager: &str, fields: Value| json!({"manager": manager, "operation": "Update", "fieldsV1": fields});
        let status = json!({"f:status": {"f:sync": {}}});
        let cases = [
            (vec![entry("argocd-application-controller", status.clone())], true),
            (vec![entry("kubectl", json!({})), entry("argocd-controller", status.clone())], true),
            (vec![entry("argocd-application-controller", json!({"f:spec": {"f:x": {}}}))], false),
            (vec![entry("argocd-application-controller", json!({"f:status": {}}))], false),
            (vec![entry("driftless", status), entry("argocd-server", json!({"f:operation": {}}))], false),
        ];
        for (entries, foreign) in cases {
            let seen = observed(json!({"metadata": {"managedFields": entries}}));
            assert_eq!(seen.status_writer.is_some(), foreign, "{entries:?}");
        }
    }
}
