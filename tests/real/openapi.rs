//! The OpenAPI documents of the model against those of a real kube-apiserver: all types, and all paths that the model has.

use std::collections::{BTreeMap, BTreeSet};

use http::Request;
use serde_json::{Value, json};

use crate::sim::model::Model;
use crate::sim::server::{Http, Server};
use crate::support::control_plane::ControlPlane;

/// A definition with what schemas can say.
const DEFINITIONS: &str = include_str!("fixtures/described.yaml");
const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

fn ask(server: &mut dyn Server, request: http::request::Builder, body: Vec<u8>) -> (u16, Value) {
    let answer = server.call(request.header("authorization", "Bearer admin-token").body(body).unwrap());
    (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap_or_default())
}

fn get(server: &mut dyn Server, path: &str) -> Value {
    let (code, document) = ask(server, Request::get(path), Vec::new());
    assert_eq!(code, 200, "{path}: {document}");
    document
}

fn define(server: &mut dyn Server) {
    for definition in DEFINITIONS.split("\n---\n") {
        let definition: Value = serde_saphyr::from_str(definition).unwrap();
        let request = Request::post(CRDS).header("content-type", "application/json");
        let (code, told) = ask(server, request, definition.to_string().into_bytes());
        assert_eq!(code, 201, "{told}");
    }
}

/// A schema less what is said to people, and in one order.
fn plain(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => {
            let kept = members.iter().filter(|(name, value)| match name.as_str() {
                "description" => !value.is_string(),
                // Clients of the server don't read it.
                "x-kubernetes-unions" => false,
                _ => true,
            });
            let told = kept.map(|(name, value)| match (name.as_str(), value) {
                ("required" | "enum", Value::Array(items)) => {
                    let mut items = items.clone();
                    items.sort_by_key(Value::to_string);
                    (name.clone(), items.into())
                }
                _ => (name.clone(), plain(value)),
            });
            let told: serde_json::Map<String, Value> = told.collect();
            // References stand alone where nothing is said beside them.
            match told.get("allOf") {
                Some(Value::Array(all)) if told.len() == 1 && all.len() == 1 => all[0].clone(),
                _ => told.into(),
            }
        }
        Value::Array(items) => items.iter().map(plain).collect(),
        scalar => scalar.clone(),
    }
}

fn compare_schemas(document: &str, ours: &Value, theirs: &Value, found: &mut Vec<String>) {
    for (name, schema) in ours.as_object().unwrap() {
        let (mut ours, mut theirs) = (plain(schema), plain(&theirs[name]));
        if name.ends_with("meta.v1.DeleteOptions") {
            // It is a kind of every group.
            for schema in [&mut ours, &mut theirs] {
                schema.as_object_mut().unwrap().remove("x-kubernetes-group-version-kind");
            }
        }
        if ours != theirs {
            found.push(format!("{document} {name}\n  - {theirs}\n  + {ours}"));
        }
    }
}

/// What an operation is and takes, wherever it is said.
fn operations(item: &Value) -> BTreeMap<String, Value> {
    let parameters = |value: &Value| -> BTreeSet<String> {
        let told = value["parameters"].as_array().into_iter().flatten();
        told.map(|parameter| format!("{} {} {}", parameter["in"], parameter["name"], parameter["schema"]["type"]))
            .collect()
    };
    let methods = item.as_object().unwrap().iter().filter(|(name, _)| *name != "parameters");
    let told = methods.map(|(method, operation)| {
        let takes = &parameters(item) | &parameters(operation);
        let of = json!({
            "action": operation["x-kubernetes-action"], "kind": operation["x-kubernetes-group-version-kind"], "takes": takes,
        });
        (method.clone(), of)
    });
    told.collect()
}

fn compare_paths(ours: &Value, theirs: &Value, found: &mut Vec<String>) {
    for (path, item) in ours.as_object().unwrap() {
        let Some(real) = theirs.get(path) else {
            found.push(format!("{path}: it has none"));
            continue;
        };
        let (ours, theirs) = (operations(item), operations(real));
        if ours != theirs {
            found.push(format!("{path}\n  - {theirs:?}\n  + {ours:?}"));
        }
    }
}

#[test]
fn the_openapi_documents_of_the_model_are_the_servers() {
    crate::support::init();
    let plane = ControlPlane::start("");
    let address = plane.kubectl(&["config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}"]);
    let (mut real, mut model) = (Http::new(&address), Model::new(1, ""));
    define(&mut real);
    define(&mut model);
    plane.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]);
    let (path, mut found, mut types) = ("/openapi/v3", Vec::new(), 0);
    let ours = get(&mut model, path)["paths"].as_object().unwrap().clone();
    let mut tries = 0;
    let theirs = loop {
        let theirs = get(&mut real, path)["paths"].as_object().unwrap().clone();
        // Documents follow definitions with some delay.
        if ours.keys().all(|name| theirs.contains_key(name)) {
            break theirs;
        }
        tries += 1;
        assert!(tries < 100, "{:?}", ours.keys().filter(|name| !theirs.contains_key(*name)).collect::<Vec<_>>());
        std::thread::sleep(std::time::Duration::from_millis(200));
    };
    for (name, address) in &ours {
        let mine = get(&mut model, address["serverRelativeURL"].as_str().unwrap());
        let its = get(&mut real, theirs[name]["serverRelativeURL"].as_str().unwrap());
        let schemas = |document: &Value| document["components"]["schemas"].clone();
        types += schemas(&mine).as_object().unwrap().len();
        compare_schemas(name, &schemas(&mine), &schemas(&its), &mut found);
        compare_paths(&mine["paths"], &its["paths"], &mut found);
    }
    let (mine, its) = (get(&mut model, "/openapi/v2"), get(&mut real, "/openapi/v2"));
    compare_schemas("v2", &mine["definitions"], &its["definitions"], &mut found);
    println!("{} documents, {types} types, {} differ", ours.len(), found.len());
    assert!(ours.len() >= 18 && types > 800, "{} documents, {types} types", ours.len());
    assert!(found.is_empty(), "{} differ\n{}", found.len(), found.join("\n"));
}
