//! What tests say about Applications and ask of them.

use serde_json::Value;

use super::agent::Rig;

/// `syncPolicy` of an application that is kept equal to Git.
pub(crate) const AUTOMATED: &str = "{automated: {prune: true, selfHeal: true}}";
/// `syncPolicy` of an application that is synced on request only.
pub(crate) const MANUAL: &str = "{}";

/// A ConfigMap that names no namespace.
pub(crate) fn config_map(name: &str, colour: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{colour: {colour}}}\n")
}

/// The messages of the conditions of a type.
pub(crate) fn condition(app: &Value, kind: &str) -> String {
    let conditions = app["status"]["conditions"].as_array().into_iter().flatten();
    let messages = conditions.filter(|condition| condition["type"] == kind).filter_map(|one| one["message"].as_str());
    messages.collect::<Vec<_>>().join("; ")
}

/// Whether an Application has no condition at all.
pub(crate) fn is_well(app: &Value) -> bool {
    app["status"]["conditions"].as_array().is_none_or(Vec::is_empty)
}

/// An entry of `status.resources`; null if there is none.
pub(crate) fn resource<'v>(app: &'v Value, kind: &str, name: &str) -> &'v Value {
    let resources = app["status"]["resources"].as_array().into_iter().flatten();
    let mut found = resources.filter(|resource| resource["kind"] == kind && resource["name"] == name);
    found.next().unwrap_or(&Value::Null)
}

/// The result of the last operation for an object; null if it had no part in it.
pub(crate) fn result<'v>(app: &'v Value, kind: &str, name: &str) -> &'v Value {
    let resources = app["status"]["operationState"]["syncResult"]["resources"].as_array().into_iter().flatten();
    let mut found = resources.filter(|resource| resource["kind"] == kind && resource["name"] == name);
    found.next().unwrap_or(&Value::Null)
}

impl Rig {
    /// Creates an Application of any repository; `source` is YAML flow text without `repoURL`.
    pub(crate) fn application_of(&self, name: &str, url: &str, source: &str, destination: &str, policy: &str) {
        self.apply(&format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\n\
             metadata: {{name: {name}, namespace: {}}}\nspec:\n  project: default\n  \
             source: {{repoURL: \"{url}\", {source}}}\n  \
             destination: {{server: https://kubernetes.default.svc, namespace: {destination}}}\n  \
             syncPolicy: {policy}\n",
            self.namespace
        ));
    }

    /// Waits until an Application has a condition of a type that says all of `texts`.
    pub(crate) fn wait_condition(&self, name: &str, kind: &str, texts: &[&str]) -> Value {
        self.wait_app(name, &format!("telling {kind} with {texts:?}"), |app| {
            let message = condition(app, kind);
            !message.is_empty() && texts.iter().all(|text| message.contains(text))
        })
    }

    /// Waits until an Application is Synced without any condition.
    pub(crate) fn wait_well(&self, name: &str, revision: &str) -> Value {
        self.wait_app(name, &format!("well at {revision}"), |app| {
            let status = &app["status"];
            status["sync"]["status"] == "Synced"
                && status["sync"]["revision"] == revision
                && status["operationState"]["phase"] != "Running"
                && is_well(app)
        })
    }

    /// Waits for two renewals of the Lease: what an agent had to do before the first is done or visible.
    pub(crate) fn wait_two_renewals(&self) {
        let before = self.proxy.log().len();
        self.proxy.wait_until(|log| {
            let renewals = log.iter().skip(before).filter(|entry| entry.resource == "leases" && entry.verb.is_write());
            renewals.filter(|entry| entry.status == Some(200)).count() >= 2
        });
    }

    /// uid of an object; it has to be there.
    pub(crate) fn uid(&self, namespace: &str, kind: &str, name: &str) -> String {
        let object = self.get(namespace, &[kind, name]);
        object["metadata"]["uid"].as_str().unwrap_or_else(|| panic!("there is no {kind} {name}")).to_owned()
    }

    /// Sets annotations (`name=value`) or removes them (`name-`) of an Application.
    pub(crate) fn annotate(&self, name: &str, annotation: &str) {
        let target = format!("applications.argoproj.io/{name}");
        self.plane.kubectl(&["-n", &self.namespace, "annotate", "--overwrite", &target, annotation]);
    }

    /// A merge patch of an Application.
    pub(crate) fn patch_app(&self, name: &str, patch: &str) {
        self.plane.kubectl(&[
            "-n",
            &self.namespace,
            "patch",
            "applications.argoproj.io",
            name,
            "--type=merge",
            "-p",
            patch,
        ]);
    }
}
