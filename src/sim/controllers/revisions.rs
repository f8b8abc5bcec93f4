//! ControllerRevisions: what the templates of StatefulSets and DaemonSets were.

use serde_json::{Value, json};

use super::super::apiserver::acting::Acting;
use super::super::apiserver::meta;
use super::super::kinds::value::{at, number, set, text};
use super::workload::{MANAGER, hash, key_of, owned_by};

const TABLE: &str = "controllerrevisions.apps";
/// The label of pods and revisions that names the revision.
pub(super) const LABEL: &str = "controller-revision-hash";

/// The revisions of a workload, the oldest first.
#[derive(Debug)]
pub(super) struct Revisions(Vec<Value>);

impl Revisions {
    /// The revisions of a workload, of which the newest is made of its template: a new one, or an old one that counts as
    /// new again. `None`: it could not be made.
    pub(super) fn of(acting: &mut Acting<'_>, workload: &Value) -> Option<Self> {
        let mut all = acting.owned(TABLE, meta::text(workload, "uid"));
        all.sort_by_key(|revision| number(revision, "revision"));
        let newest = all.last().map_or(0, |last| number(last, "revision"));
        let hash = hash(at(workload, "spec.template"));
        let found = all.iter().position(|revision| label(revision) == hash);
        let current = match found {
            Some(found) if found + 1 == all.len() => return Some(Self(all)),
            Some(found) => {
                let mut revision = all.remove(found);
                set(&mut revision, "revision", newest + 1);
                acting.update(MANAGER, TABLE, None, &revision)?
            }
            None => acting.create(MANAGER, TABLE, &revision(workload, &hash, newest + 1))?,
        };
        all.push(current);
        Some(Self(all))
    }

    /// The name of the one that is wanted now.
    pub(super) fn newest(&self) -> &str {
        self.0.last().map(|revision| meta::text(revision, "name")).unwrap_or_default()
    }

    /// The hash of the one that is wanted now.
    pub(super) fn newest_hash(&self) -> &str {
        self.0.last().map(label).unwrap_or_default()
    }

    /// The template of one by its name, or else of the newest.
    pub(super) fn template(&self, name: &str) -> &Value {
        let named = self.0.iter().find(|revision| meta::text(revision, "name") == name);
        let found = named.or_else(|| self.0.last());
        found.map_or(&Value::Null, |revision| at(revision, "data.spec.template"))
    }

    /// Deletes those that nobody needs beyond a number.
    pub(super) fn prune(&self, acting: &mut Acting<'_>, limit: usize, needed: &[&str]) {
        let old: Vec<_> = self.0.iter().filter(|revision| !needed.contains(&meta::text(revision, "name"))).collect();
        for revision in old.iter().take(old.len().saturating_sub(limit)) {
            acting.delete(TABLE, &key_of(revision), false);
        }
    }
}

fn label(revision: &Value) -> &str {
    meta::get(revision, "labels").and_then(|labels| labels.get(LABEL)?.as_str()).unwrap_or_default()
}

fn revision(workload: &Value, hash: &str, number: i64) -> Value {
    let mut template = at(workload, "spec.template").clone();
    set(&mut template, "$patch", "replace");
    let mut labels = at(workload, "spec.template.metadata.labels").clone();
    set(&mut labels, LABEL, hash);
    let mut revision = json!({
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": format!("{}-{hash}", text(workload, "metadata.name")),
            "namespace": meta::text(workload, "namespace"),
            "labels": labels,
            "annotations": meta::get(workload, "annotations"),
            "ownerReferences": owned_by(workload),
        },
        "revision": number,
        "data": {"spec": {"template": template}},
    });
    meta::tidy(&mut revision);
    revision
}
