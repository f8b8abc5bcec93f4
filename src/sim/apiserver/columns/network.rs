//! Services, what stands behind them, and nodes.

use serde_json::Value;

use super::selector::{labels, selector_or_none};
use super::{AGE, BuiltIn, NAME, or};
use crate::sim::kinds::value::{at, has, items, members, number, text, texts};

pub(super) const SERVICES: &[BuiltIn] = &[
    NAME,
    BuiltIn::text("Type", |o, _| text(o, "spec.type").into()),
    BuiltIn::text("Cluster-IP", |o, _| texts(o, "spec.clusterIPs").first().copied().unwrap_or("<none>").into()),
    BuiltIn::text("External-IP", |o, _| external(o).into()),
    BuiltIn::text("Port(s)", |o, _| or(&ports(o), "<none>").into()),
    AGE,
    BuiltIn::text("Selector", |o, _| labels(o, "spec.selector").into()).wide(),
];

pub(super) const ENDPOINTS: &[BuiltIn] = &[NAME, BuiltIn::text("Endpoints", |o, _| subsets(o).into()), AGE];

pub(super) const ENDPOINT_SLICES: &[BuiltIn] = &[
    NAME,
    BuiltIn::text("AddressType", |o, _| text(o, "addressType").into()),
    BuiltIn::text("Ports", |o, _| {
        let ports = items(o, "ports").iter().map(|port| match at(port, "port").as_i64() {
            Some(port) => port.to_string(),
            None => or(text(port, "name"), "*").to_owned(),
        });
        or(&few(&ports.collect::<Vec<_>>()), "<unset>").into()
    }),
    BuiltIn::text("Endpoints", |o, _| {
        let endpoints = items(o, "endpoints").iter().flat_map(|endpoint| texts(endpoint, "addresses"));
        or(&few(&endpoints.map(str::to_owned).collect::<Vec<_>>()), "<unset>").into()
    }),
    AGE,
];

pub(super) const INGRESSES: &[BuiltIn] = &[
    NAME,
    BuiltIn::text("Class", |o, _| or(text(o, "spec.ingressClassName"), "<none>").into()),
    BuiltIn::text("Hosts", |o, _| hosts(o).into()),
    BuiltIn::text("Address", |o, _| balancers(o).join(",").into()),
    BuiltIn::text("Ports", |o, _| if items(o, "spec.tls").is_empty() { "80" } else { "80, 443" }.into()),
    AGE,
];

pub(super) const INGRESS_CLASSES: &[BuiltIn] = &[
    BuiltIn::text("Name", |o, _| {
        let default = at(o, "metadata.annotations").get("ingressclass.kubernetes.io/is-default-class");
        let mark = if default.is_some_and(|value| value == "true") { " (default)" } else { "" };
        format!("{}{mark}", text(o, "metadata.name")).into()
    })
    .formatted("name"),
    BuiltIn::text("Controller", |o, _| text(o, "spec.controller").into()),
    BuiltIn::text("Parameters", |o, _| {
        let parameters = at(o, "spec.parameters");
        let kind = match parameters.get("apiGroup").and_then(Value::as_str) {
            Some(group) => format!("{}.{group}", text(parameters, "kind")),
            None => text(parameters, "kind").to_owned(),
        };
        if parameters.is_null() { "<none>".into() } else { format!("{kind}/{}", text(parameters, "name")).into() }
    }),
    AGE,
];

pub(super) const NETWORK_POLICIES: &[BuiltIn] =
    &[NAME, BuiltIn::text("Pod-Selector", |o, _| selector_or_none(at(o, "spec.podSelector")).into()), AGE];

pub(super) const NODES: &[BuiltIn] = &[
    NAME,
    BuiltIn::text("Status", |o, _| node_status(o).into()),
    BuiltIn::text("Roles", |o, _| or(&roles(o), "<none>").into()),
    AGE,
    BuiltIn::text("Version", |o, _| text(o, "status.nodeInfo.kubeletVersion").into()),
    BuiltIn::text("Internal-IP", |o, _| address(o, "InternalIP").into()).wide(),
    BuiltIn::text("External-IP", |o, _| address(o, "ExternalIP").into()).wide(),
    BuiltIn::text("OS-Image", |o, _| or(text(o, "status.nodeInfo.osImage"), "<unknown>").into()).wide(),
    BuiltIn::text("Kernel-Version", |o, _| {
        let kernel = or(text(o, "status.nodeInfo.kernelVersion"), "<unknown>");
        match text(o, "status.nodeInfo.architecture") {
            "" => kernel.into(),
            architecture => format!("{kernel} ({architecture})").into(),
        }
    })
    .wide(),
    BuiltIn::text("Container-Runtime", |o, _| {
        or(text(o, "status.nodeInfo.containerRuntimeVersion"), "<unknown>").into()
    })
    .wide(),
];

/// The first three, and how many more there are.
fn few(all: &[String]) -> String {
    match all.split_at_checked(3) {
        Some((first, rest)) if !rest.is_empty() => format!("{} + {} more...", first.join(","), rest.len()),
        _ => all.join(","),
    }
}

/// Addresses and names of load balancers, in order, each once.
fn balancers(object: &Value) -> Vec<&str> {
    let ingress = items(object, "status.loadBalancer.ingress").iter();
    let mut names: Vec<&str> = ingress.map(|point| or(text(point, "ip"), text(point, "hostname"))).collect();
    names.retain(|name| !name.is_empty());
    names.sort_unstable();
    names.dedup();
    names
}

fn external(service: &Value) -> String {
    let given = texts(service, "spec.externalIPs").join(",");
    match text(service, "spec.type") {
        "ClusterIP" | "NodePort" => or(&given, "<none>").to_owned(),
        "LoadBalancer" => {
            let all = [balancers(service), texts(service, "spec.externalIPs")].concat();
            or(&all.join(","), "<pending>").to_owned()
        }
        "ExternalName" => text(service, "spec.externalName").to_owned(),
        _ => "<unknown>".to_owned(),
    }
}

fn ports(service: &Value) -> String {
    let ports = items(service, "spec.ports").iter().map(|port| {
        let (number_, protocol) = (number(port, "port"), text(port, "protocol"));
        match number(port, "nodePort") {
            0 => format!("{number_}/{protocol}"),
            node => format!("{number_}:{node}/{protocol}"),
        }
    });
    ports.collect::<Vec<_>>().join(",")
}

fn subsets(endpoints: &Value) -> String {
    let mut all = Vec::new();
    for subset in items(endpoints, "subsets") {
        let addresses = || items(subset, "addresses").iter().map(|address| text(address, "ip"));
        if items(subset, "ports").is_empty() {
            all.extend(addresses().map(str::to_owned));
        }
        for port in items(subset, "ports") {
            all.extend(addresses().map(|address| {
                let port = number(port, "port");
                if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
            }));
        }
    }
    if items(endpoints, "subsets").is_empty() { "<none>".to_owned() } else { few(&all) }
}

/// Hosts of the first three rules that name one; all rules count for what is left out.
fn hosts(ingress: &Value) -> String {
    let rules = items(ingress, "spec.rules");
    let mut hosts = Vec::new();
    let mut more = false;
    for rule in rules {
        more |= hosts.len() == 3;
        let host = text(rule, "host");
        if !more && !host.is_empty() {
            hosts.push(host);
        }
    }
    let told = or(&hosts.join(","), "*").to_owned();
    if more { format!("{told} + {} more...", rules.len() - 3) } else { told }
}

fn node_status(node: &Value) -> String {
    let ready = items(node, "status.conditions").iter().rfind(|condition| text(condition, "type") == "Ready");
    let state = match ready.map(|condition| text(condition, "status")) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    };
    if at(node, "spec.unschedulable") == true { format!("{state},SchedulingDisabled") } else { state.to_owned() }
}

fn roles(node: &Value) -> String {
    let labels = members(node, "metadata.labels").filter_map(|(name, value)| match name {
        "kubernetes.io/role" => value.as_str(),
        name => name.strip_prefix("node-role.kubernetes.io/"),
    });
    let mut roles: Vec<&str> = labels.filter(|role| !role.is_empty()).collect();
    roles.sort_unstable();
    roles.dedup();
    roles.join(",")
}

fn address<'o>(node: &'o Value, kind: &str) -> &'o str {
    let found = items(node, "status.addresses").iter().find(|address| text(address, "type") == kind);
    found.filter(|address| has(address, "address")).map_or("<none>", |address| text(address, "address"))
}
