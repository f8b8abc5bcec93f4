//! Ownership, against what kube-apiserver 1.37.2 wrote into `managedFields`.

use driftless::sim::fields::FieldSet;
use driftless::sim::managed::{ApplyError, Context, OneVersion, apply, same_but_for_times};
use driftless::sim::schema::{Schema, Schemas};
use serde_json::{Value, json};

/// The edits that `tests/engine/fixtures/record.py` recorded.
const EDITS: [(&str, &str); 5] = [
    ("deployment", include_str!("../engine/fixtures/deployment.json")),
    ("configmap", include_str!("../engine/fixtures/configmap.json")),
    ("secret", include_str!("../engine/fixtures/secret.json")),
    ("service", include_str!("../engine/fixtures/service.json")),
    ("clusterrole", include_str!("../engine/fixtures/clusterrole.json")),
];

fn schema_of(object: &Value) -> Schema {
    let version = object["apiVersion"].as_str().unwrap();
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let kind = object["kind"].as_str().unwrap();
    Schemas::builtin().of(group, version, kind).unwrap_or_else(|| panic!("no type of {group}/{version} {kind}"))
}

/// Applies as Driftless does; the time is the last one of the answer, so that an entry that moved has it.
fn apply_forced(live: Option<&Value>, manifest: &Value, answer: &Value) -> Result<Value, ApplyError> {
    let schema = schema_of(manifest);
    let reset = FieldSet::from_json(&json!({"f:status": {}})).unwrap();
    let times = answer["metadata"]["managedFields"].as_array().into_iter().flatten();
    let now = times.filter_map(|entry| entry["time"].as_str()).max().unwrap();
    let ctx = Context {
        schema: &schema,
        api_version: manifest["apiVersion"].as_str().unwrap(),
        kind: manifest["kind"].as_str().unwrap(),
        manager: "driftless",
        subresource: "",
        reset: Some(&reset),
        versions: &OneVersion,
        now,
    };
    apply(&ctx, live, manifest, true)
}

/// Nothing of an object but its managed fields.
fn entries(object: &Value) -> Value {
    json!({"metadata": {"managedFields": object["metadata"]["managedFields"]}})
}

#[test]
fn recorded_edits_are_applied_over_as_the_server_did() {
    let mut compared = 0;
    let mut wrong = Vec::new();
    for (name, text) in EDITS {
        let recorded: Value = serde_json::from_str(text).unwrap();
        let manifest = &recorded["manifest"];
        let mut check = |case: &str, live: Option<&Value>, answer: &Value| {
            // An answer that isn't recorded is the object as it was: nothing was written.
            let unchanged = answer.is_null();
            let answer = live.filter(|_| unchanged).unwrap_or(answer);
            let mine = apply_forced(live, manifest, answer).unwrap();
            if unchanged && same_but_for_times(&entries(&mine), &entries(answer)) {
                compared += 1;
                return;
            }
            compared += 1;
            let (mine, theirs) = (&mine["metadata"]["managedFields"], &answer["metadata"]["managedFields"]);
            if mine != theirs {
                wrong.push(format!("{name}: {case}:\n  mine   {mine}\n  theirs {theirs}"));
            }
        };
        if recorded["before"].is_object() {
            check("first", None, &recorded["before"]);
        }
        for case in recorded["cases"].as_array().unwrap() {
            if case["code"] == 200 {
                check(case["case"].as_str().unwrap(), Some(&case["after"]), &case["healed"]);
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {compared}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 80, "{compared}");
}
