//! Services, Endpoints and EndpointSlices: what is filled in and kept, and who gives out addresses and ports.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::value::{
    at, each, fill, fill_blank, inside, is_blank, items, keep, members, number, object, set, take, text, texts,
};
use crate::sim::apiserver::status::FieldError;

/// The addresses of Services: 10.0.0.0/16.
const NETWORK: u32 = u32::from_be_bytes([10, 0, 0, 0]);
const ADDRESSES: u32 = 1 << 16;
/// The ports of nodes.
const NODE_PORTS: std::ops::RangeInclusive<i64> = 30_000..=32_767;
/// How long a client stays with the same pod, in seconds.
const AFFINITY_SECONDS: i64 = 10_800;

pub(super) fn defaults(service: &mut Value) {
    fill_blank(service, "spec.sessionAffinity", "None");
    match text(service, "spec.sessionAffinity") {
        "None" => drop(take(service, "spec.sessionAffinityConfig")),
        "ClientIP" => fill(service, "spec.sessionAffinityConfig.clientIP.timeoutSeconds", AFFINITY_SECONDS),
        _ => {}
    }
    fill_blank(service, "spec.type", "ClusterIP");
    for port in each(service, "spec.ports") {
        fill_blank(port, "protocol", "TCP");
        let number = number(port, "port");
        fill(port, "port", number);
        fill_blank(port, "targetPort", number);
    }
    let kind = text(service, "spec.type").to_owned();
    if is_external(service) {
        fill_blank(service, "spec.externalTrafficPolicy", "Cluster");
    }
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer" | "ClusterIP") {
        fill(service, "spec.internalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        fill(service, "spec.allocateLoadBalancerNodePorts", true);
        for point in each(service, "status.loadBalancer.ingress") {
            if !text(point, "ip").is_empty() {
                fill(point, "ipMode", "VIP");
            }
        }
    }
    fill(service, "status.loadBalancer", json!({}));
}

/// Fills in the families of addresses. The cluster has one.
pub(super) fn prepare_create(service: &mut Value) {
    set(service, "status", json!({"loadBalancer": {}}));
    families(service);
    same_addresses(service);
}

fn families(service: &mut Value) {
    let selects = members(service, "spec.selector").next().is_some();
    if text(service, "spec.clusterIP") == "None" && !selects {
        // Whoever stands behind it, has whatever addresses.
        fill_blank(service, "spec.ipFamilies", json!(["IPv4", "IPv6"]));
        fill_blank(service, "spec.ipFamilyPolicy", "RequireDualStack");
    } else if text(service, "spec.type") != "ExternalName" {
        fill_blank(service, "spec.ipFamilies", json!(["IPv4"]));
        fill_blank(service, "spec.ipFamilyPolicy", "SingleStack");
    }
}

/// The first address stands in both places.
fn same_addresses(service: &mut Value) {
    if let address @ Value::String(_) = at(service, "spec.clusterIP").clone() {
        fill_blank(service, "spec.clusterIPs", json!([address]));
    }
}

/// Keeps what was given out and left out in the change, and drops what the new type of the Service does not have.
pub(super) fn prepare_update(service: &mut Value, old: &Value) {
    follow_address(service, old);
    drop_unused(service, old);
    if needs_address(service) && needs_address(old) && is_blank(at(service, "spec.clusterIP")) {
        keep(service, old, "spec.clusterIP");
        keep(service, old, "spec.clusterIPs");
    }
    if needs_address(old) {
        for field in ["spec.ipFamilies", "spec.ipFamilyPolicy"] {
            if needs_address(service) && is_blank(at(service, field)) {
                keep(service, old, field);
            }
        }
    }
    families(service);
    if needs_node_ports(service) && needs_node_ports(old) {
        keep_node_ports(service, old);
    }
    if needs_health_port(service) && needs_health_port(old) && number(service, "spec.healthCheckNodePort") == 0 {
        keep(service, old, "spec.healthCheckNodePort");
    }
}

/// A port is the same as before if its name is, whatever else has changed.
fn keep_node_ports(service: &mut Value, old: &Value) {
    let named: Vec<i64> = items(service, "spec.ports").iter().map(|port| number(port, "nodePort")).collect();
    for port in each(service, "spec.ports").filter(|port| number(port, "nodePort") == 0) {
        let before = items(old, "spec.ports").iter().find(|other| text(other, "name") == text(port, "name"));
        let given = before.map(|before| number(before, "nodePort")).filter(|given| *given != 0);
        if let Some(given) = given.filter(|given| !named.contains(given)) {
            set(port, "nodePort", given);
        }
    }
}

/// Who changes one of the two places of the address alone, means both.
fn follow_address(service: &mut Value, old: &Value) {
    let (address, addresses) = (at(service, "spec.clusterIP"), at(service, "spec.clusterIPs"));
    let moved = address != at(old, "spec.clusterIP");
    let kept = addresses == at(old, "spec.clusterIPs");
    let address = address.clone();
    if is_blank(at(old, "spec.clusterIP")) || (moved && kept) {
        match &address {
            Value::String(text) if !text.is_empty() && (is_blank(addresses) || moved && kept) => {
                set(service, "spec.clusterIPs", json!([address]));
            }
            _ if moved && kept => drop(take(service, "spec.clusterIPs")),
            _ => {}
        }
    }
}

fn drop_unused(service: &mut Value, old: &Value) {
    let same = |service: &Value, path: &str| at(service, path) == at(old, path);
    if needs_address(old) && !needs_address(service) {
        if same(service, "spec.clusterIP") && same(service, "spec.clusterIPs") {
            take(service, "spec.clusterIP");
            take(service, "spec.clusterIPs");
        }
        for field in ["spec.ipFamilies", "spec.ipFamilyPolicy"] {
            if same(service, field) {
                take(service, field);
            }
        }
    }
    let numbers =
        |service: &Value| items(service, "spec.ports").iter().map(|p| number(p, "nodePort")).collect::<Vec<_>>();
    if needs_node_ports(old) && !needs_node_ports(service) && numbers(service) == numbers(old) {
        for port in each(service, "spec.ports") {
            take(port, "nodePort");
        }
    }
    if needs_health_port(old) && !needs_health_port(service) && same(service, "spec.healthCheckNodePort") {
        take(service, "spec.healthCheckNodePort");
    }
    let balanced = |service: &Value| text(service, "spec.type") == "LoadBalancer";
    if balanced(old) && !balanced(service) {
        for field in ["spec.allocateLoadBalancerNodePorts", "spec.loadBalancerClass"] {
            if same(service, field) {
                take(service, field);
            }
        }
    }
    if text(service, "spec.type") == "ExternalName" && same(service, "spec.internalTrafficPolicy") {
        take(service, "spec.internalTrafficPolicy");
    }
    if is_external(old) && !is_external(service) && same(service, "spec.externalTrafficPolicy") {
        take(service, "spec.externalTrafficPolicy");
    }
    if !balanced(service) {
        set(service, "status.loadBalancer", json!({}));
    }
}

/// Whether it can be reached from outside of the cluster.
pub(super) fn is_external(service: &Value) -> bool {
    let kind = text(service, "spec.type");
    matches!(kind, "NodePort" | "LoadBalancer")
        || (kind == "ClusterIP" && !items(service, "spec.externalIPs").is_empty())
}

pub(super) fn needs_address(service: &Value) -> bool {
    matches!(text(service, "spec.type"), "ClusterIP" | "NodePort" | "LoadBalancer")
}

fn needs_node_ports(service: &Value) -> bool {
    match text(service, "spec.type") {
        "NodePort" => true,
        "LoadBalancer" => at(service, "spec.allocateLoadBalancerNodePorts") != false,
        _ => false,
    }
}

/// Whether a port tells the nodes that have a pod of it.
pub(super) fn needs_health_port(service: &Value) -> bool {
    text(service, "spec.type") == "LoadBalancer" && text(service, "spec.externalTrafficPolicy") == "Local"
}

/// The addresses and node ports that Services have.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    addresses: BTreeSet<u32>,
    ports: BTreeSet<i64>,
    /// Where the search for the next one begins: what was drawn once comes again late, as where it is drawn by chance.
    next_address: u32,
    next_port: i64,
}

impl Addresses {
    /// Gives a Service what it needs, and keeps what it asks for from others. To be called when all else is found to be
    /// right, before it is stored. `old` is the Service as it was; what it had and has no longer is free again. If there
    /// are errors, nothing has changed.
    pub fn assign(&mut self, service: &mut Value, old: Option<&Value>) -> Vec<FieldError> {
        let next = (self.next_address, self.next_port);
        let (errors, moved) = self.exchange(service, old);
        if !errors.is_empty() {
            self.take_back(moved);
            (self.next_address, self.next_port) = next;
        }
        errors
    }

    /// What a Service would be given, which is not kept.
    pub fn try_assign(&mut self, service: &mut Value, old: Option<&Value>) -> Vec<FieldError> {
        let (errors, moved) = self.exchange(service, old);
        self.take_back(moved);
        errors
    }

    fn exchange(&mut self, service: &mut Value, old: Option<&Value>) -> (Vec<FieldError>, Moved) {
        let mut moved = Moved::default();
        if let Some(old) = old {
            let (addresses, ports) = held(old);
            moved.freed_addresses = addresses.into_iter().filter(|address| self.addresses.remove(address)).collect();
            moved.freed_ports = ports.into_iter().filter(|port| self.ports.remove(port)).collect();
        }
        let mut errors = Vec::new();
        self.assign_address(service, &mut moved, &mut errors);
        self.assign_ports(service, &mut moved, &mut errors);
        (errors, moved)
    }

    fn take_back(&mut self, moved: Moved) {
        self.free(&moved.addresses, &moved.ports);
        self.addresses.extend(moved.freed_addresses);
        self.ports.extend(moved.freed_ports);
    }

    fn take_address(&mut self, address: u32, moved: &mut Moved) -> bool {
        let free = self.addresses.insert(address);
        moved.addresses.extend(free.then_some(address));
        free
    }

    fn take_port(&mut self, port: i64, moved: &mut Moved) -> bool {
        let free = self.ports.insert(port);
        moved.ports.extend(free.then_some(port));
        free
    }

    /// Takes note of what a Service has from before.
    pub fn keep(&mut self, service: &Value) {
        let (addresses, ports) = held(service);
        self.addresses.extend(addresses);
        self.ports.extend(ports);
    }

    /// Takes back what a Service had.
    pub fn release(&mut self, service: &Value) {
        let (addresses, ports) = held(service);
        self.free(&addresses, &ports);
    }

    fn free(&mut self, addresses: &[u32], ports: &[i64]) {
        for address in addresses {
            self.addresses.remove(address);
        }
        for port in ports {
            self.ports.remove(port);
        }
    }

    fn assign_address(&mut self, service: &mut Value, moved: &mut Moved, errors: &mut Vec<FieldError>) {
        let wanted = text(service, "spec.clusterIP");
        if wanted == "None" || !needs_address(service) {
            return;
        }
        if wanted.is_empty() {
            // The first and the last address of a network are not given out.
            let next = self.next_address.clamp(1, ADDRESSES - 2);
            if let Some(free) = (next..ADDRESSES - 1).chain(1..next).find(|address| !self.addresses.contains(address)) {
                self.take_address(free, moved);
                self.next_address = free + 1;
                let address = Ipv4Addr::from(NETWORK + free).to_string();
                set(service, "spec.clusterIP", address.as_str());
                set(service, "spec.clusterIPs", json!([address]));
            } else {
                let detail = "failed to allocate a serviceIP: range is full";
                errors.push(FieldError::invalid("spec.clusterIPs", &json!([]), detail));
            }
            return;
        }
        let problem = match offset(wanted) {
            None => "the provided network does not match the current range".to_owned(),
            Some(address) if !self.take_address(address, moved) => "provided IP is already allocated".to_owned(),
            Some(_) => return,
        };
        let detail = format!("failed to allocate IP {wanted}: {problem}");
        errors.push(FieldError::invalid("spec.clusterIPs", at(service, "spec.clusterIPs"), detail));
    }

    fn assign_ports(&mut self, service: &mut Value, moved: &mut Moved, errors: &mut Vec<FieldError>) {
        if needs_node_ports(service) {
            self.take_given(service, moved, errors);
            for port in each(service, "spec.ports").filter(|port| number(port, "nodePort") == 0) {
                if let Some(free) = self.free_port(moved) {
                    set(port, "nodePort", free);
                }
            }
        }
        if needs_health_port(service) {
            match number(service, "spec.healthCheckNodePort") {
                0 => {
                    if let Some(free) = self.free_port(moved) {
                        set(service, "spec.healthCheckNodePort", free);
                    }
                }
                given => drop(self.take_port(given, moved)),
            }
        }
    }

    /// Ports that a Service asks for. One number may stand for one port in several protocols.
    fn take_given(&mut self, service: &Value, moved: &mut Moved, errors: &mut Vec<FieldError>) {
        let mut own: Vec<(i64, &str)> = Vec::new();
        for (index, port) in items(service, "spec.ports").iter().enumerate() {
            let given = number(port, "nodePort");
            let protocol = text(port, "protocol");
            if given == 0 {
                continue;
            }
            let elsewhere = own.iter().any(|(other, its)| *other == given && *its != protocol);
            let problem = if !NODE_PORTS.contains(&given) {
                let (first, last) = (NODE_PORTS.start(), NODE_PORTS.end());
                format!("provided port is not in the valid range. The range of valid ports is {first}-{last}")
            } else if !self.take_port(given, moved) && !elsewhere {
                "provided port is already allocated".to_owned()
            } else {
                own.push((given, protocol));
                continue;
            };
            errors.push(FieldError::invalid(format!("spec.ports[{index}].nodePort"), &given.into(), problem));
        }
    }

    fn free_port(&mut self, moved: &mut Moved) -> Option<i64> {
        let next = self.next_port.clamp(*NODE_PORTS.start(), *NODE_PORTS.end());
        let free = (next..=*NODE_PORTS.end()).chain(NODE_PORTS).find(|port| !self.ports.contains(port))?;
        self.take_port(free, moved);
        self.next_port = free + 1;
        Some(free)
    }
}

/// What one Service was given, and what it gave back.
#[derive(Debug, Default)]
struct Moved {
    addresses: Vec<u32>,
    ports: Vec<i64>,
    freed_addresses: Vec<u32>,
    freed_ports: Vec<i64>,
}

/// The addresses and node ports that a Service has.
fn held(service: &Value) -> (Vec<u32>, Vec<i64>) {
    let addresses = texts(service, "spec.clusterIPs").into_iter().filter_map(offset).collect();
    let ports = items(service, "spec.ports").iter().map(|port| number(port, "nodePort"));
    let ports = ports.chain([number(service, "spec.healthCheckNodePort")]).filter(|port| *port != 0).collect();
    (addresses, ports)
}

/// The place of an address in the network of Services.
fn offset(address: &str) -> Option<u32> {
    let address: u32 = address.parse::<Ipv4Addr>().ok()?.into();
    address.checked_sub(NETWORK).filter(|offset| *offset < ADDRESSES)
}

pub(super) fn endpoints(endpoints: &mut Value) {
    for subset in each(endpoints, "subsets") {
        for port in each(subset, "ports") {
            fill_blank(port, "protocol", "TCP");
        }
    }
}

pub(super) fn endpoint_slice(slice: &mut Value) {
    for port in each(slice, "ports") {
        fill(port, "name", "");
        fill(port, "protocol", "TCP");
    }
    for endpoint in each(slice, "endpoints") {
        object(endpoint, "conditions");
    }
    for field in ["endpoints", "ports"] {
        if inside(slice, field).is_none() {
            set(slice, field, Value::Null);
        }
    }
}
