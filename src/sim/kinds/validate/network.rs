//! Ingresses, network policies, Endpoints and EndpointSlices.

use std::net::IpAddr;

use serde_json::Value;

use super::{
    ADDRESS, Errors, NETWORK, forbidden, invalid, invalid_shown, named, one_of, port_name, port_number, port_or_name,
    required, required_name, selectors,
};
use crate::sim::apiserver::names;
use crate::sim::apiserver::status::FieldError;
use crate::sim::kinds::value::{at, has, is_blank, items, number, text, texts};

const WILDCARD: &str = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must \
    consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. \
    '*.example.com', regex used for validation is \
    '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];

pub(in crate::sim::kinds) fn ingress(ingress: &Value, errors: &mut Errors) {
    let spec = at(ingress, "spec");
    if items(spec, "rules").is_empty() && !has(spec, "defaultBackend") {
        let detail = "either `defaultBackend` or `rules` must be specified";
        invalid_shown(errors, "spec", "null".to_owned(), detail);
    }
    if has(spec, "defaultBackend") {
        backend(errors, "spec.defaultBackend", at(spec, "defaultBackend"));
    }
    for (index, rule) in items(spec, "rules").iter().enumerate() {
        host(errors, format!("spec.rules[{index}].host"), text(rule, "host"));
        if has(rule, "http") {
            paths(errors, &format!("spec.rules[{index}].http.paths"), at(rule, "http"));
        }
    }
    for (index, tls) in items(spec, "tls").iter().enumerate() {
        for (place, name) in texts(tls, "hosts").into_iter().enumerate() {
            let field = format!("spec.tls[{index}].hosts[{place}]");
            if name.contains('*') {
                wildcard(errors, field, name);
            } else {
                named(errors, field, name, names::subdomain);
            }
        }
        if !text(tls, "secretName").is_empty() {
            named(errors, format!("spec.tls[{index}].secretName"), text(tls, "secretName"), names::subdomain);
        }
    }
    if has(spec, "ingressClassName") {
        named(errors, "spec.ingressClassName", text(spec, "ingressClassName"), names::subdomain);
    }
}

fn host(errors: &mut Errors, field: String, name: &str) {
    if name.is_empty() {
        return;
    }
    if name.parse::<IpAddr>().is_ok() {
        invalid(errors, field.clone(), &name.into(), "must be a DNS name, not an IP address");
    }
    if name.contains('*') {
        wildcard(errors, field, name);
    } else {
        named(errors, field, name, names::subdomain);
    }
}

fn wildcard(errors: &mut Errors, field: String, name: &str) {
    if !name.strip_prefix("*.").is_some_and(|rest| names::subdomain(rest).is_empty()) {
        invalid(errors, field, &name.into(), WILDCARD);
    }
}

fn paths(errors: &mut Errors, base: &str, http: &Value) {
    if items(http, "paths").is_empty() {
        required(errors, base);
    }
    for (index, entry) in items(http, "paths").iter().enumerate() {
        let base = format!("{base}[{index}]");
        let path = text(entry, "path");
        match text(entry, "pathType") {
            "" => {
                errors.push(FieldError::required(format!("{base}.pathType"), "pathType must be specified"));
                continue;
            }
            "Exact" | "Prefix" => {
                if !path.starts_with('/') {
                    invalid(errors, format!("{base}.path"), &path.into(), "must be an absolute path");
                }
                for part in ["//", "/./", "/../", "%2f", "%2F"].into_iter().filter(|part| path.contains(part)) {
                    invalid(errors, format!("{base}.path"), &path.into(), format!("must not contain '{part}'"));
                }
            }
            "ImplementationSpecific" => {
                if !path.is_empty() && !path.starts_with('/') {
                    invalid(errors, format!("{base}.path"), &path.into(), "must be an absolute path");
                }
            }
            _ => one_of(errors, entry, &base, "pathType", &["Exact", "ImplementationSpecific", "Prefix"]),
        }
        backend(errors, &format!("{base}.backend"), at(entry, "backend"));
    }
}

fn backend(errors: &mut Errors, base: &str, backend: &Value) {
    let (service, resource) = (at(backend, "service"), at(backend, "resource"));
    match (service.is_null(), resource.is_null()) {
        (false, false) => invalid(errors, base, &"".into(), "cannot set both resource and service backends"),
        (true, true) => invalid(errors, base, &"".into(), "resource or service backend is required"),
        (true, false) => {}
        (false, true) => {
            required_name(errors, service, &format!("{base}.service"), "name", names::label);
            let (name, number) = (text(service, "port.name"), number(service, "port.number"));
            if !name.is_empty() && number != 0 {
                invalid(errors, base, &"".into(), "cannot set both port name & port number");
            } else if !name.is_empty() {
                named(errors, format!("{base}.service.port.name"), name, port_name);
            } else if number == 0 {
                errors.push(FieldError::required(base, "port name or number is required"));
            } else {
                port_number(errors, format!("{base}.service.port.number"), &number.into());
            }
        }
    }
}

pub(in crate::sim::kinds) fn ingress_class(class: &Value, errors: &mut Errors) {
    let controller = text(class, "spec.controller");
    if controller.is_empty() {
        required(errors, "spec.controller");
    } else if !super::batch::is_domain_path(controller) {
        let detail = "must be a domain-prefixed path (such as \"acme.io/foo\")";
        invalid(errors, "spec.controller", &controller.into(), detail);
    }
}

pub(in crate::sim::kinds) fn update_ingress_class(new: &Value, old: &Value, errors: &mut Errors) {
    super::immutable(errors, new, old, "spec.controller");
}

pub(in crate::sim::kinds) fn policy(policy: &Value, errors: &mut Errors) {
    selectors::check(errors, "spec.podSelector", at(policy, "spec.podSelector"));
    for (list, peers) in [("ingress", "from"), ("egress", "to")] {
        for (index, rule) in items(policy, &format!("spec.{list}")).iter().enumerate() {
            let base = format!("spec.{list}[{index}]");
            policy_ports(errors, &base, rule);
            for (place, peer) in items(rule, peers).iter().enumerate() {
                policy_peer(errors, &format!("{base}.{peers}[{place}]"), peer);
            }
        }
    }
    for (index, kind) in items(policy, "spec.policyTypes").iter().enumerate() {
        if kind != "Ingress" && kind != "Egress" {
            let field = format!("spec.policyTypes[{index}]");
            errors.push(FieldError::not_supported(field, kind, &["Ingress", "Egress"]));
        }
    }
}

fn policy_ports(errors: &mut Errors, base: &str, rule: &Value) {
    for (index, port) in items(rule, "ports").iter().enumerate() {
        let base = format!("{base}.ports[{index}]");
        one_of(errors, port, &base, "protocol", &PROTOCOLS);
        let number = at(port, "port");
        if !number.is_null() {
            port_or_name(errors, &format!("{base}.port"), number);
        }
        if let (Some(end), Some(start)) = (at(port, "endPort").as_i64(), number.as_i64())
            && end < start
        {
            let detail = "must be greater than or equal to `port`";
            invalid(errors, format!("{base}.endPort"), at(port, "endPort"), detail);
        }
    }
}

fn policy_peer(errors: &mut Errors, base: &str, peer: &Value) {
    let mut found = 0;
    for selector in ["podSelector", "namespaceSelector"] {
        if has(peer, selector) {
            found += 1;
            selectors::check(errors, &format!("{base}.{selector}"), at(peer, selector));
        }
    }
    if has(peer, "ipBlock") {
        found += 1;
        let whole = block(text(peer, "ipBlock.cidr"));
        if text(peer, "ipBlock.cidr").is_empty() {
            required(errors, format!("{base}.ipBlock.cidr"));
        } else if whole.is_none() {
            invalid(errors, format!("{base}.ipBlock.cidr"), at(peer, "ipBlock.cidr"), NETWORK);
        }
        for (index, part) in items(peer, "ipBlock.except").iter().enumerate() {
            let field = format!("{base}.ipBlock.except[{index}]");
            match (whole, block(part.as_str().unwrap_or_default())) {
                (_, None) => invalid(errors, field, part, NETWORK),
                (Some(whole), Some(part_of)) if !is_inside(part_of, whole) => {
                    invalid(errors, field, part, "must be a strict subset of `cidr`");
                }
                _ => {}
            }
        }
    }
    if found > 1 && has(peer, "ipBlock") {
        forbidden(errors, base, "may not specify both ipBlock and another peer");
    } else if found == 0 {
        errors.push(FieldError::required(base, "must specify a peer"));
    }
}

/// A network: its address and the length of its prefix.
pub(super) fn block(text: &str) -> Option<(IpAddr, u32)> {
    let (address, length) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let length: u32 = length.parse().ok()?;
    (length <= if address.is_ipv4() { 32 } else { 128 }).then_some((address, length))
}

/// Whether a network is a part of another, and not all of it.
fn is_inside(part: (IpAddr, u32), whole: (IpAddr, u32)) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(u32::from(address)) << 96,
        IpAddr::V6(address) => u128::from(address),
    };
    let shift = 128 - whole.1.min(128);
    let head = |address: IpAddr| bits(address).checked_shr(shift).unwrap_or_default();
    part.0.is_ipv4() == whole.0.is_ipv4() && part.1 > whole.1 && head(part.0) == head(whole.0)
}

pub(in crate::sim::kinds) fn endpoints(endpoints: &Value, errors: &mut Errors) {
    for (index, subset) in items(endpoints, "subsets").iter().enumerate() {
        let base = format!("subsets[{index}]");
        if items(subset, "addresses").is_empty() && items(subset, "notReadyAddresses").is_empty() {
            errors.push(FieldError::required(base.clone(), "must specify `addresses` or `notReadyAddresses`"));
        }
        for list in ["addresses", "notReadyAddresses"] {
            for (place, address) in items(subset, list).iter().enumerate() {
                let field = format!("{base}.{list}[{place}].ip");
                let value = at(address, "ip");
                super::services::outer_address(errors, field.clone(), value);
                if value.as_str().unwrap_or_default().parse::<IpAddr>().is_err() {
                    invalid(errors, field, value, "must be a valid IP address");
                }
            }
        }
        let ports = items(subset, "ports");
        for (place, port) in ports.iter().enumerate() {
            let field = format!("{base}.ports[{place}]");
            if text(port, "name").is_empty() && ports.len() > 1 {
                required(errors, format!("{field}.name"));
            }
            port_number(errors, format!("{field}.port"), at(port, "port"));
            one_of(errors, port, &field, "protocol", &["SCTP", "TCP", "UDP"]);
        }
    }
}

pub(in crate::sim::kinds) fn slice(slice: &Value, errors: &mut Errors) {
    if text(slice, "addressType").is_empty() {
        required(errors, "addressType");
    } else {
        one_of(errors, slice, "", "addressType", &["FQDN", "IPv4", "IPv6"]);
    }
    for (index, endpoint) in items(slice, "endpoints").iter().enumerate() {
        let base = format!("endpoints[{index}].addresses");
        if items(endpoint, "addresses").is_empty() {
            required(errors, base.clone());
        }
        for (place, address) in items(endpoint, "addresses").iter().enumerate() {
            let wanted = text(slice, "addressType");
            let parsed = address.as_str().unwrap_or_default().parse::<IpAddr>();
            if parsed.is_err() && matches!(wanted, "IPv4" | "IPv6") {
                invalid(errors, format!("{base}[{place}]"), address, ADDRESS);
            }
        }
    }
    for (index, port) in items(slice, "ports").iter().enumerate() {
        one_of(errors, port, &format!("ports[{index}]"), "protocol", &["SCTP", "TCP", "UDP"]);
    }
}

pub(in crate::sim::kinds) fn update_slice(new: &Value, old: &Value, errors: &mut Errors) {
    if !is_blank(at(new, "addressType")) && at(new, "addressType") != at(old, "addressType") {
        invalid_shown(errors, "addressType", "null".to_owned(), super::IMMUTABLE);
    }
}
