use serde_json::{Value, json};

use super::*;

fn resource(plural: &str, kind: &str, scope: &str) -> Value {
    json!({
        "resource": plural, "scope": scope, "verbs": ["get", "list", "watch", "patch"],
        "responseKind": {"group": "", "version": "", "kind": kind},
        "subresources": [{"subresource": "status", "verbs": ["get"]}],
    })
}

fn group(name: &str, versions: &[(&str, &str, Vec<Value>)]) -> APIGroupDiscovery {
    let versions: Vec<_> = versions
        .iter()
        .map(|(version, freshness, resources)| {
            json!({"version": version, "freshness": freshness, "resources": resources})
        })
        .collect();
    serde_json::from_value(json!({"metadata": {"name": name}, "versions": versions})).unwrap()
}

fn discovery(groups: Vec<APIGroupDiscovery>, previous: &Discovery) -> Discovery {
    let list = APIGroupDiscoveryList { metadata: None, items: groups };
    Discovery::assemble(&[Served::read(&list)], previous)
}

fn web(versions: &[&str]) -> APIGroupDiscovery {
    let versions: Vec<_> =
        versions.iter().map(|v| (*v, "Current", vec![resource("webs", "Web", "Namespaced")])).collect();
    group("example.com", &versions)
}

#[test]
fn the_first_version_of_a_kind_is_preferred() {
    let found = discovery(vec![web(&["v2", "v1"])], &Discovery::default());
    let listed: Vec<_> = found.listable().map(|resource| resource.gvk.to_string()).collect();
    assert_eq!(listed, ["example.com/v2, Kind=Web"]);
    assert_eq!(found.scope(&Gvk::new("example.com", "v1", "Web")), Some(Scope::Namespaced));
    assert!(found.resource(&Gvk::new("example.com", "v1", "Web")).unwrap().has_status);
    assert_eq!(found.scope(&Gvk::new("example.com", "v3", "Web")), None);
}

#[test]
fn stale_groups_keep_what_was_known() {
    let before = discovery(vec![web(&["v1"])], &Discovery::default());
    let stale = discovery(vec![group("example.com", &[("v1", "Stale", vec![])])], &before);
    assert!(stale.stale().contains(&("example.com".into(), "v1".into())));
    assert_eq!(stale.scope(&Gvk::new("example.com", "v1", "Web")), Some(Scope::Namespaced));
    assert_eq!(stale.kinds(), before.kinds());
    let silent = discovery(vec![group("example.com", &[])], &stale);
    assert_eq!((silent.kinds(), silent.stale().len()), (before.kinds(), 1));
    let gone = discovery(vec![group("example.com", &[("v1", "Current", vec![])])], &stale);
    assert_eq!(gone.scope(&Gvk::new("example.com", "v1", "Web")), None);
}

#[test]
fn the_hash_changes_with_the_kinds_and_only_then() {
    let none = Discovery::default();
    let one = discovery(vec![web(&["v1"])], &none);
    assert_eq!(one.kinds(), discovery(vec![web(&["v1"])], &one).kinds());
    assert_ne!(one.kinds(), discovery(vec![web(&["v1", "v2"])], &none).kinds());
    let cluster = group("example.com", &[("v1", "Current", vec![resource("webs", "Web", "Cluster")])]);
    assert_ne!(one.kinds(), discovery(vec![cluster], &none).kinds());
}

#[test]
fn entries_without_a_name_or_kind_are_left_out() {
    let odd = vec![json!({"resource": "", "responseKind": {"kind": "X"}}), json!({"resource": "xs"}), json!({})];
    let found = discovery(vec![group("example.com", &[("v1", "Current", odd)])], &Discovery::default());
    assert_eq!(found, Discovery::default());
}

#[test]
fn paths_follow_scope_and_group() {
    let web = discovery(vec![web(&["v1"])], &Discovery::default());
    let web = web.resource(&Gvk::new("example.com", "v1", "Web")).unwrap();
    assert_eq!(web.collection_path(), "/apis/example.com/v1/webs");
    let path = |namespace: &str, name: &str| web.object_path(&ObjectKey::new("example.com", "Web", namespace, name));
    assert_eq!(path("shop", "a:b").unwrap(), "/apis/example.com/v1/namespaces/shop/webs/a:b");
    assert_eq!(path("shop", "a?b#c").unwrap(), "/apis/example.com/v1/namespaces/shop/webs/a%3Fb%23c");
    for (namespace, name) in [("shop", ".."), ("shop", "a/b"), ("..", "x"), ("shop", "%2e%2e"), ("shop", ""), ("", "x")]
    {
        let error = path(namespace, name).unwrap_err();
        assert_eq!(error.reason, RequestErrorReason::Invalid, "{namespace} {name}");
    }
    let core =
        Resource { gvk: Gvk::new("", "v1", "Node"), plural: "nodes".into(), scope: Scope::Cluster, ..(**web).clone() };
    assert_eq!(core.object_path(&ObjectKey::new("", "Node", "", "a")).unwrap(), "/api/v1/nodes/a");
    assert!(core.object_path(&ObjectKey::new("", "Node", "shop", "a")).is_err());
}
