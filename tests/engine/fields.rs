//! What a real API server (Kubernetes 1.37.2) made of managedFields under every kind of edit, recorded by
//! `fixtures/record.py`: the footprint must move exactly when somebody changed what is ours, come back with the next apply,
//! and name who did it.

use driftless::engine::blame::blame;
use driftless::engine::decode::{DecodeContext, decode};
use driftless::engine::escalation::removal_patch;
use driftless::engine::hash::HashKey;
use driftless::engine::ids::Gvk;
use driftless::engine::leftover::{csa_migration, leftovers};
use driftless::engine::live::LiveObject;
use driftless::engine::ownership::{covers, lost};
use serde_json::{Value, json};

struct Recording {
    gvk: Gvk,
    manifest: Value,
    before: Value,
    cases: Vec<Value>,
}

fn recording(file: &str) -> Recording {
    let text = match file {
        "deployment" => include_str!("fixtures/deployment.json"),
        "configmap" => include_str!("fixtures/configmap.json"),
        "secret" => include_str!("fixtures/secret.json"),
        "service" => include_str!("fixtures/service.json"),
        "clusterrole" => include_str!("fixtures/clusterrole.json"),
        "widget" => include_str!("fixtures/widget.json"),
        "loose" => include_str!("fixtures/loose.json"),
        other => panic!("no recording of {other}"),
    };
    let mut all: Value = serde_json::from_str(text).unwrap();
    let manifest = all["manifest"].take();
    Recording {
        gvk: Gvk::from_api_version(manifest["apiVersion"].as_str().unwrap(), manifest["kind"].as_str().unwrap()),
        before: all["before"].take(),
        cases: all["cases"].as_array().unwrap().clone(),
        manifest,
    }
}

impl Recording {
    fn decode(&self, object: &Value) -> LiveObject {
        let context = DecodeContext { hash_key: &HashKey([3; 32]), gvk: &self.gvk };
        decode(object.to_string().as_bytes(), &context).unwrap()
    }

    fn case(&self, title: &str) -> &Value {
        self.cases.iter().find(|case| case["case"] == title).unwrap_or_else(|| panic!("no case {title}"))
    }
}

fn managed_fields(object: &Value) -> String {
    object["metadata"]["managedFields"].to_string()
}

#[test]
fn dump() {
    for file in ["deployment", "configmap", "secret", "service", "clusterrole", "widget", "loose"] {
        let recording = recording(file);
        let before = recording.decode(&recording.before).footprint;
        println!("const {}: &[Row] = &[", file.to_uppercase());
        let mut patches = Vec::new();
        for case in &recording.cases {
            let after = recording.decode(&case["after"]);
            let text = managed_fields(&case["after"]);
            let lost: Vec<_> = lost(&recording.manifest, &text).iter().map(ToString::to_string).collect();
            let by: Vec<_> = blame(&recording.manifest, &text).into_iter().map(|b| b.manager.map_or("-".to_owned(), String::from)).collect();
            let healed = if case["healed"].is_null() { None } else { Some(recording.decode(&case["healed"]).footprint == before) };
            println!("    ({:?}, {}, &{:?}, &{:?}), // {} {:?}", case["case"].as_str().unwrap(), if after.footprint != before {"DRIFT"} else {"SAME"}, lost, by, case["code"], healed);
            let object = if case["healed"].is_null() { &case["after"] } else { &case["healed"] };
            if let Some(patch) = removal_patch(&recording.manifest, &text, object) {
                patches.push(json!({"file": file, "case": case["case"], "object": object["metadata"]["namespace"], "patch": patch}));
            }
        }
        println!("];");
        for patch in patches { println!("PATCH {patch}"); }
    }
    let all: Value = serde_json::from_str(include_str!("fixtures/leftover.json")).unwrap();
    for case in all["cases"].as_array().unwrap() {
        let found = leftovers(&all["old"], &all["new"], &case["answer"]);
        println!("LEFT {} {:?}", case["case"], found);
        if let Some(patch) = csa_migration(&case["answer"], &found) { println!("PATCH {}", json!({"file":"leftover","case":case["case"],"object": case["answer"]["metadata"]["namespace"],"patch":patch})); }
    }
    let _ = covers;
}
