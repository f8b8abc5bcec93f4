//! Containers of pods.

use serde_json::Value;

use super::{
    Errors, duplicate, forbidden, invalid, invalid_shown, named, not_found, not_negative, one_of, pods, port_name,
    port_number, port_or_name, required, required_name,
};
use crate::sim::apiserver::names;
use crate::sim::apiserver::status::FieldError;
use crate::sim::kinds::amount;
use crate::sim::kinds::value::{at, has, is_blank, items, members, text};

const PULL_POLICIES: [&str; 3] = ["Always", "IfNotPresent", "Never"];
/// Resources that need no domain.
const RESOURCES: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

/// The containers of a pod, which mount volumes of these names.
pub(super) fn check(errors: &mut Errors, base: &str, spec: &Value, volumes: &[String]) {
    let host = at(spec, "hostNetwork") == true;
    if items(spec, "containers").is_empty() {
        required(errors, format!("{base}.containers"));
    }
    let mut known: Vec<&str> = Vec::new();
    for list in ["containers", "initContainers"] {
        let begins = list == "initContainers";
        for (index, container) in items(spec, list).iter().enumerate() {
            let base = format!("{base}.{list}[{index}]");
            let name = text(container, "name");
            required_name(errors, container, &base, "name", names::label);
            if !name.is_empty() && known.contains(&name) {
                duplicate(errors, format!("{base}.name"), format!("{name:?}"));
            }
            known.push(name);
            one(errors, &base, container, volumes, host);
            if !begins || text(container, "restartPolicy") == "Always" {
                probes(errors, &base, container);
            }
        }
    }
}

fn one(errors: &mut Errors, base: &str, container: &Value, volumes: &[String], host: bool) {
    if text(container, "image").is_empty() {
        required(errors, format!("{base}.image"));
    }
    one_of(errors, container, base, "terminationMessagePolicy", &["File", "FallbackToLogsOnError"]);
    ports(errors, base, container, host);
    environment(errors, base, container);
    mounts(errors, base, container, volumes);
    one_of(errors, container, base, "imagePullPolicy", &PULL_POLICIES);
    resources(errors, &format!("{base}.resources"), at(container, "resources"));
    security(errors, &format!("{base}.securityContext"), at(container, "securityContext"));
}

fn ports(errors: &mut Errors, base: &str, container: &Value, host: bool) {
    let mut known: Vec<&str> = Vec::new();
    for (index, port) in items(container, "ports").iter().enumerate() {
        let base = format!("{base}.ports[{index}]");
        let name = text(port, "name");
        if !name.is_empty() {
            let problems = errors.len();
            named(errors, format!("{base}.name"), name, port_name);
            if errors.len() == problems {
                if known.contains(&name) {
                    duplicate(errors, format!("{base}.name"), format!("{name:?}"));
                }
                known.push(name);
            }
        }
        let number = at(port, "containerPort");
        if is_blank(number) {
            required(errors, format!("{base}.containerPort"));
        } else {
            port_number(errors, format!("{base}.containerPort"), number);
        }
        let outside = at(port, "hostPort");
        if !is_blank(outside) {
            port_number(errors, format!("{base}.hostPort"), outside);
        }
        one_of(errors, port, &base, "protocol", &["SCTP", "TCP", "UDP"]);
        if host && !is_blank(outside) && outside != number {
            let detail = "must match `containerPort` when `hostNetwork` is true";
            invalid(errors, format!("{base}.hostPort"), outside, detail);
        }
    }
}

fn environment(errors: &mut Errors, base: &str, container: &Value) {
    for (index, variable) in items(container, "env").iter().enumerate() {
        let base = format!("{base}.env[{index}]");
        let name = text(variable, "name");
        if name.is_empty() {
            required(errors, format!("{base}.name"));
        } else if !name.chars().all(|c| (' '..='~').contains(&c) && c != '=') {
            let detail =
                "a valid environment variable name must consist only of printable ASCII characters other than '='";
            invalid(errors, format!("{base}.name"), at(variable, "name"), detail);
        }
        if has(variable, "valueFrom") {
            variable_source(errors, &format!("{base}.valueFrom"), variable);
        }
    }
    for (index, source) in items(container, "envFrom").iter().enumerate() {
        let (map, secret) = (at(source, "configMapRef"), at(source, "secretRef"));
        for (field, reference) in [("configMapRef", map), ("secretRef", secret)] {
            if !reference.is_null() && text(reference, "name").is_empty() {
                required(errors, format!("{base}.envFrom[{index}].{field}.name"));
            }
        }
        if map.is_null() && secret.is_null() {
            let detail = "must specify one of: `configMapRef` or `secretRef`";
            invalid(errors, format!("{base}.envFrom"), &"".into(), detail);
        }
    }
}

fn variable_source(errors: &mut Errors, base: &str, variable: &Value) {
    let source = at(variable, "valueFrom");
    let mut found = 0;
    if has(source, "fieldRef") {
        found += 1;
        let path = text(source, "fieldRef.fieldPath");
        let known = [
            "metadata.name",
            "metadata.namespace",
            "metadata.uid",
            "spec.nodeName",
            "spec.serviceAccountName",
            "status.hostIP",
            "status.hostIPs",
            "status.podIP",
            "status.podIPs",
        ];
        let subscripted = ["metadata.labels['", "metadata.annotations['"].iter().any(|start| path.starts_with(start));
        if path.is_empty() {
            required(errors, format!("{base}.fieldRef.fieldPath"));
        } else if !known.contains(&path) && !subscripted {
            let detail = format!("error converting fieldPath: field label not supported: {path}");
            invalid(errors, format!("{base}.fieldRef.fieldPath"), &path.into(), detail);
        }
    }
    found += usize::from(has(source, "resourceFieldRef"));
    for field in ["configMapKeyRef", "secretKeyRef"] {
        let reference = at(source, field);
        if reference.is_null() {
            continue;
        }
        found += 1;
        for part in ["name", "key"] {
            if text(reference, part).is_empty() {
                required(errors, format!("{base}.{field}.{part}"));
            } else if part == "key" {
                named(errors, format!("{base}.{field}.key"), text(reference, "key"), names::config_key);
            }
        }
    }
    found += usize::from(has(source, "fileKeyRef"));
    if !text(variable, "value").is_empty() && found > 0 {
        invalid(errors, base, &"".into(), "may not be specified when `value` is not empty");
    } else if found == 0 {
        let known = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`";
        invalid(errors, base, &"".into(), format!("must specify one of: {known}"));
    } else if found > 1 {
        invalid(errors, base, &"".into(), "may not have more than one field specified at a time");
    }
}

fn mounts(errors: &mut Errors, base: &str, container: &Value, volumes: &[String]) {
    let mut paths: Vec<&str> = Vec::new();
    for (index, mount) in items(container, "volumeMounts").iter().enumerate() {
        let base = format!("{base}.volumeMounts[{index}]");
        let (name, path) = (text(mount, "name"), text(mount, "mountPath"));
        if name.is_empty() {
            required(errors, format!("{base}.name"));
        } else if !volumes.iter().any(|volume| volume == name) {
            not_found(errors, format!("{base}.name"), &name.into());
        }
        if path.is_empty() {
            required(errors, format!("{base}.mountPath"));
        } else if paths.contains(&path) {
            invalid(errors, format!("{base}.mountPath"), &path.into(), "must be unique");
        }
        paths.push(path);
    }
}

fn resources(errors: &mut Errors, base: &str, resources: &Value) {
    let amount = |value: &Value| amount::parse(value.as_str().unwrap_or_default());
    for list in ["limits", "requests"] {
        for (name, value) in members(resources, list) {
            let field = format!("{base}.{list}[{name}]");
            let known = RESOURCES.contains(&name) || name.starts_with("hugepages-") || name.contains('/');
            if !known {
                let detail = "must be a standard resource type or fully qualified";
                invalid(errors, field.clone(), &name.into(), detail);
                invalid(errors, field.clone(), &name.into(), "must be a standard resource for containers");
            }
            if amount(value).is_some_and(|amount| amount < 0) {
                invalid(errors, field, value, super::NOT_NEGATIVE);
            }
            let limit = at(resources, "limits").get(name).filter(|_| list == "requests");
            if let Some(limit) = limit.filter(|limit| amount(value) > amount(limit)) {
                let detail =
                    format!("must be less than or equal to {name} limit of {}", limit.as_str().unwrap_or_default());
                invalid(errors, format!("{base}.requests"), value, detail);
            }
        }
    }
}

fn security(errors: &mut Errors, base: &str, context: &Value) {
    if context.is_null() {
        return;
    }
    if at(context, "privileged") == true {
        forbidden(errors, format!("{base}.privileged"), "disallowed by cluster policy");
    }
    for field in ["runAsUser", "runAsGroup"] {
        pods::id(errors, base, context, field);
    }
    if at(context, "allowPrivilegeEscalation") == false && at(context, "privileged") == true {
        let fields = [
            "capabilities",
            "privileged",
            "seLinuxOptions",
            "windowsOptions",
            "runAsUser",
            "runAsGroup",
            "runAsNonRoot",
            "readOnlyRootFilesystem",
            "allowPrivilegeEscalation",
            "procMount",
            "seccompProfile",
            "appArmorProfile",
        ];
        let shown = fields.map(|field| {
            let (first, rest) = field.split_at(1);
            let name =
                if field == "seLinuxOptions" { "SELinuxOptions".to_owned() } else { first.to_uppercase() + rest };
            format!("{name:?}:{}", at(context, field))
        });
        let detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
        invalid_shown(errors, base, format!("{{{}}}", shown.join(",")), detail);
    }
}

fn probes(errors: &mut Errors, base: &str, container: &Value) {
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let probe = at(container, name);
        if probe.is_null() {
            continue;
        }
        let base = format!("{base}.{name}");
        handler(errors, &base, probe);
        let fields = ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"];
        for field in fields {
            not_negative(errors, probe, &base, field);
        }
        let threshold = at(probe, "successThreshold");
        if name != "readinessProbe" && threshold != 1 {
            invalid(errors, format!("{base}.successThreshold"), threshold, "must be 1");
        }
    }
}

fn handler(errors: &mut Errors, base: &str, handler: &Value) {
    let mut found = 0;
    for kind in ["exec", "httpGet", "tcpSocket", "grpc", "sleep"] {
        let action = at(handler, kind);
        if action.is_null() {
            continue;
        }
        found += 1;
        if found > 1 {
            forbidden(errors, format!("{base}.{kind}"), "may not specify more than 1 handler type");
            continue;
        }
        let base = format!("{base}.{kind}");
        match kind {
            "exec" if items(action, "command").is_empty() => required(errors, format!("{base}.command")),
            "httpGet" => {
                if text(action, "path").is_empty() {
                    required(errors, format!("{base}.path"));
                }
                port_or_name(errors, &format!("{base}.port"), at(action, "port"));
                one_of(errors, action, &base, "scheme", &["HTTP", "HTTPS"]);
            }
            "tcpSocket" => port_or_name(errors, &format!("{base}.port"), at(action, "port")),
            "grpc" => port_number(errors, format!("{base}.port"), at(action, "port")),
            _ => {}
        }
    }
    if found == 0 {
        errors.push(FieldError::required(base, "must specify a handler type"));
    }
}
