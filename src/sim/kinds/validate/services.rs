//! Services.

use std::net::IpAddr;

use serde_json::Value;

use super::{
    ADDRESS, Errors, NETWORK, PORT_RANGE, duplicate, forbidden, invalid, labels, named, one_of, one_of_if_any,
    port_number, port_or_name, required,
};
use crate::sim::apiserver::names;
use crate::sim::kinds::services::{is_external, needs_address, needs_health_port};
use crate::sim::kinds::value::{at, has, is_blank, items, number, text, texts};

const MAX_AFFINITY: i64 = 86_400;
const POLICIES: [&str; 2] = ["Cluster", "Local"];

pub(in crate::sim::kinds) fn service(service: &Value, errors: &mut Errors) {
    let spec = at(service, "spec");
    let kind = text(spec, "type");
    let headless = text(spec, "clusterIP") == "None";
    if items(spec, "ports").is_empty() && !headless && kind != "ExternalName" {
        required(errors, "spec.ports");
    }
    if matches!(kind, "LoadBalancer" | "NodePort") && headless {
        let detail = format!("may not be set to 'None' for {kind} services");
        invalid(errors, "spec.clusterIPs[0]", &"None".into(), detail);
    }
    if kind == "ExternalName" {
        if !text(spec, "clusterIP").is_empty() {
            forbidden(errors, "spec.clusterIPs", "may not be set for ExternalName services");
        }
        match text(spec, "externalName") {
            "" => required(errors, "spec.externalName"),
            name => named(errors, "spec.externalName", name.trim_end_matches('.'), names::subdomain),
        }
    }
    ports(errors, spec);
    labels(errors, "spec.selector", at(spec, "selector"));
    one_of(errors, spec, "spec", "sessionAffinity", &["ClientIP", "None"]);
    let timeout = at(spec, "sessionAffinityConfig.clientIP.timeoutSeconds");
    if timeout.as_i64().is_some_and(|seconds| !(1..=MAX_AFFINITY).contains(&seconds)) {
        let field = "spec.sessionAffinityConfig.clientIP.timeoutSeconds";
        invalid(errors, field, timeout, format!("must be greater than 0 and less than {MAX_AFFINITY}"));
    }
    addresses(errors, spec);
    outside(errors, spec);
    one_of(errors, spec, "spec", "type", &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]);
    node_ports(errors, spec);
    balancer(errors, service);
}

fn ports(errors: &mut Errors, spec: &Value) {
    let ports = items(spec, "ports");
    let mut known: Vec<&str> = Vec::new();
    for (index, port) in ports.iter().enumerate() {
        let base = format!("spec.ports[{index}]");
        let name = text(port, "name");
        if name.is_empty() && ports.len() > 1 {
            required(errors, format!("{base}.name"));
        } else if !name.is_empty() {
            named(errors, format!("{base}.name"), name, names::label);
            if known.contains(&name) {
                duplicate(errors, format!("{base}.name"), format!("{name:?}"));
            }
            known.push(name);
        }
        port_number(errors, format!("{base}.port"), at(port, "port"));
        one_of(errors, port, &base, "protocol", &["SCTP", "TCP", "UDP"]);
        port_or_name(errors, &format!("{base}.targetPort"), at(port, "targetPort"));
    }
    let same = |a: &Value, b: &Value| at(a, "port") == at(b, "port") && at(a, "protocol") == at(b, "protocol");
    for (index, port) in ports.iter().enumerate() {
        if ports.iter().take(index).any(|before| same(before, port)) {
            let (number, protocol) = (at(port, "port"), at(port, "protocol"));
            let shown = format!(
                "{{\"Name\":\"\",\"Protocol\":{protocol},\"AppProtocol\":null,\"Port\":{number},\"TargetPort\":0,\
                 \"NodePort\":0}}"
            );
            duplicate(errors, format!("spec.ports[{index}]"), shown);
        }
    }
}

fn addresses(errors: &mut Errors, spec: &Value) {
    let anything_behind = text(spec, "clusterIP") == "None" && is_blank(at(spec, "selector"));
    for (index, family) in items(spec, "ipFamilies").iter().enumerate() {
        let field = format!("spec.ipFamilies[{index}]");
        match family.as_str() {
            Some("IPv4") => {}
            Some("IPv6") if anything_behind => {}
            Some("IPv6") => invalid(errors, field, family, "not configured on this cluster"),
            _ => errors.push(super::FieldError::not_supported(field, family, &["IPv4", "IPv6"])),
        }
    }
    one_of_if_any(errors, spec, "spec", "ipFamilyPolicy", &["PreferDualStack", "RequireDualStack", "SingleStack"]);
    if text(spec, "ipFamilyPolicy") == "RequireDualStack" && !anything_behind {
        let detail = "this cluster is not configured for dual-stack services";
        invalid(errors, "spec.ipFamilyPolicy", at(spec, "ipFamilyPolicy"), detail);
    }
    let all = texts(spec, "clusterIPs");
    if all.first().is_some_and(|first| *first != text(spec, "clusterIP")) {
        let detail = "first value must match `clusterIP`";
        invalid(errors, "spec.clusterIPs", at(spec, "clusterIPs"), detail);
        return;
    }
    for (index, address) in all.iter().enumerate().filter(|(_, address)| **address != "None") {
        if address.parse::<IpAddr>().is_err() {
            invalid(errors, format!("spec.clusterIPs[{index}]"), &(*address).into(), ADDRESS);
        }
    }
}

fn outside(errors: &mut Errors, spec: &Value) {
    for (index, address) in items(spec, "externalIPs").iter().enumerate() {
        outer_address(errors, format!("spec.externalIPs[{index}]"), address);
    }
}

/// An address that others can reach.
pub(super) fn outer_address(errors: &mut Errors, field: String, value: &Value) {
    let problem = match value.as_str().unwrap_or_default().parse::<IpAddr>() {
        Err(_) => ADDRESS,
        Ok(address) if address.is_unspecified() => "may not be unspecified (0.0.0.0 or ::)",
        Ok(address) if address.is_loopback() => "may not be in the loopback range (127.0.0.0/8, ::1/128)",
        Ok(_) => return,
    };
    invalid(errors, field, value, problem);
}

fn node_ports(errors: &mut Errors, spec: &Value) {
    for (index, port) in items(spec, "ports").iter().enumerate() {
        if text(spec, "type") == "ClusterIP" && number(port, "nodePort") != 0 {
            let detail = "may not be used when `type` is 'ClusterIP'";
            forbidden(errors, format!("spec.ports[{index}].nodePort"), detail);
        }
    }
}

fn balancer(errors: &mut Errors, service: &Value) {
    let spec = at(service, "spec");
    let balanced = text(spec, "type") == "LoadBalancer";
    let ranges = items(spec, "loadBalancerSourceRanges");
    if !ranges.is_empty() && !balanced {
        forbidden(errors, "spec.LoadBalancerSourceRanges", "may only be used when `type` is 'LoadBalancer'");
    }
    for (index, range) in ranges.iter().enumerate().filter(|_| balanced) {
        if super::network::block(range.as_str().unwrap_or_default()).is_none() {
            invalid(errors, format!("spec.LoadBalancerSourceRanges[{index}]"), range, NETWORK);
        }
    }
    if has(spec, "loadBalancerClass") && !balanced {
        forbidden(errors, "spec.loadBalancerClass", "may only be used when `type` is 'LoadBalancer'");
    }
    let policy = at(spec, "externalTrafficPolicy");
    if !is_blank(policy) {
        if is_external(service) {
            one_of(errors, spec, "spec", "externalTrafficPolicy", &POLICIES);
        } else {
            let detail = "may only be set for externally-accessible services";
            invalid(errors, "spec.externalTrafficPolicy", policy, detail);
        }
    }
    let health = number(spec, "healthCheckNodePort");
    if health != 0 && !needs_health_port(service) {
        let detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        invalid(errors, "spec.healthCheckNodePort", &health.into(), detail);
    } else if health != 0 && !(1..=65_535).contains(&health) {
        invalid(errors, "spec.healthCheckNodePort", &health.into(), PORT_RANGE);
    }
    one_of_if_any(errors, spec, "spec", "internalTrafficPolicy", &POLICIES);
}

pub(in crate::sim::kinds) fn update(new: &Value, old: &Value, errors: &mut Errors) {
    let before = texts(old, "spec.clusterIPs");
    let after = texts(new, "spec.clusterIPs");
    if needs_address(new) && needs_address(old) && !before.is_empty() && before.first() != after.first() {
        let detail = "may not change once set";
        invalid(errors, "spec.clusterIPs[0]", at(new, "spec.clusterIPs"), detail);
    }
    let points = at(new, "status.loadBalancer.ingress");
    if points != at(old, "status.loadBalancer.ingress") && !is_blank(points) && text(new, "spec.type") != "LoadBalancer"
    {
        let detail = "may only be used when `spec.type` is 'LoadBalancer'";
        forbidden(errors, "status.loadBalancer.ingress", detail);
    }
    let balanced = |service: &Value| text(service, "spec.type") == "LoadBalancer";
    let class = at(new, "spec.loadBalancerClass");
    if balanced(new) && balanced(old) && class != at(old, "spec.loadBalancerClass") {
        invalid(errors, "spec.loadBalancerClass", class, "may not change once set");
    }
}
