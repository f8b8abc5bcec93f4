//! Configuration, identities, policies and events.

use jiff::Timestamp;
use serde_json::Value;

use super::selector::selector;
use super::{AGE, BuiltIn, CREATED, NAME, ago, or};
use crate::sim::kinds::value::{at, has, items, members, number, text, texts};

pub(super) const CONFIG_MAPS: &[BuiltIn] =
    &[NAME, BuiltIn::text("Data", |o, _| (members(o, "data").count() + members(o, "binaryData").count()).into()), AGE];

pub(super) const SECRETS: &[BuiltIn] = &[
    NAME,
    BuiltIn::text("Type", |o, _| text(o, "type").into()),
    BuiltIn::text("Data", |o, _| members(o, "data").count().into()),
    AGE,
];

pub(super) const NAMESPACES: &[BuiltIn] = &[NAME, BuiltIn::text("Status", |o, _| text(o, "status.phase").into()), AGE];

pub(super) const SERVICE_ACCOUNTS: &[BuiltIn] = &[NAME, AGE];

pub(super) const LEASES: &[BuiltIn] =
    &[NAME, BuiltIn::text("Holder", |o, _| text(o, "spec.holderIdentity").into()), AGE];

pub(super) const ROLE_BINDINGS: &[BuiltIn] = &[
    NAME,
    BuiltIn::text("Role", |o, _| format!("{}/{}", text(o, "roleRef.kind"), text(o, "roleRef.name")).into()),
    AGE,
    BuiltIn::text("Users", |o, _| subjects(o, "User").into()).wide(),
    BuiltIn::text("Groups", |o, _| subjects(o, "Group").into()).wide(),
    BuiltIn::text("ServiceAccounts", |o, _| subjects(o, "ServiceAccount").into()).wide(),
];

pub(super) const WEBHOOKS: &[BuiltIn] =
    &[NAME, BuiltIn::integer("Webhooks", |o, _| items(o, "webhooks").len().into()), AGE];

pub(super) const ADMISSION_POLICIES: &[BuiltIn] = &[
    NAME,
    BuiltIn::integer("Validations", |o, _| items(o, "spec.validations").len().into()),
    BuiltIn::text("ParamKind", |o, _| match at(o, "spec.paramKind") {
        Value::Null => "<unset>".into(),
        kind => format!("{}/{}", text(kind, "apiVersion"), text(kind, "kind")).into(),
    }),
    AGE,
];

pub(super) const ADMISSION_BINDINGS: &[BuiltIn] = &[
    NAME,
    BuiltIn::text("PolicyName", |o, _| text(o, "spec.policyName").into()),
    BuiltIn::text("ParamRef", |o, _| {
        let reference = at(o, "spec.paramRef");
        match (text(reference, "name"), text(reference, "namespace")) {
            ("", _) if has(reference, "selector") => selector(at(reference, "selector")).into(),
            ("", _) => "<unset>".into(),
            (name, namespace) => format!("{}/{name}", or(namespace, "*")).into(),
        }
    }),
    AGE,
];

pub(super) const DEFINITIONS: &[BuiltIn] = &[
    NAME,
    BuiltIn::text("Scope", |o, _| text(o, "spec.scope").into()),
    BuiltIn::text("Versions", |o, _| versions(o).into()),
    CREATED,
    BuiltIn::text("Group", |o, _| text(o, "spec.group").into()).wide(),
    BuiltIn::text("Kind", |o, _| text(o, "spec.names.kind").into()).wide(),
    BuiltIn::text("ShortNames", |o, _| texts(o, "spec.names.shortNames").join(",").into()).wide(),
    BuiltIn::boolean("Established", |o, _| {
        let mut conditions = items(o, "status.conditions").iter();
        conditions.any(|c| text(c, "type") == "Established" && text(c, "status") == "True").into()
    })
    .wide(),
];

pub(super) const EVENTS: &[BuiltIn] = &[
    BuiltIn::text("Last Seen", |o, now| last_seen(o, now).into()),
    BuiltIn::text("Type", |o, _| text(o, "type").into()),
    BuiltIn::text("Reason", |o, _| text(o, "reason").into()),
    BuiltIn::text("Object", |o, _| {
        let about = if has(o, "regarding") { at(o, "regarding") } else { at(o, "involvedObject") };
        let kind = text(about, "kind").to_lowercase();
        match text(about, "name") {
            "" => kind.into(),
            name => format!("{kind}/{name}").into(),
        }
    }),
    BuiltIn::text("Subobject", |o, _| or(text(o, "involvedObject.fieldPath"), text(o, "regarding.fieldPath")).into())
        .wide(),
    BuiltIn::text("Source", |o, _| source(o).into()).wide(),
    BuiltIn::text("Message", |o, _| or(text(o, "message"), text(o, "note")).trim().into()),
    BuiltIn::text("First Seen", |o, now| first_seen(o, now).into()).wide(),
    BuiltIn::text("Count", |o, _| {
        let count = number(o, "count").max(number(o, "deprecatedCount"));
        match at(o, "series.count").as_i64() {
            Some(count) => count.into(),
            None => count.max(1).into(),
        }
    })
    .wide(),
    NAME.wide(),
];

fn subjects(binding: &Value, kind: &str) -> String {
    let subjects = items(binding, "subjects").iter().filter(|subject| text(subject, "kind") == kind);
    let names = subjects.map(|subject| match kind {
        "ServiceAccount" => format!("{}/{}", text(subject, "namespace"), text(subject, "name")),
        _ => text(subject, "name").to_owned(),
    });
    names.collect::<Vec<_>>().join(", ")
}

/// The versions that are served, and which of them is stored.
fn versions(definition: &Value) -> String {
    let served = items(definition, "spec.versions").iter().filter(|version| at(version, "served") == true);
    let mut versions: Vec<String> = served
        .map(|version| {
            let mark = if at(version, "storage") == true { "(storage)" } else { "" };
            format!("{}{mark}", text(version, "name"))
        })
        .collect();
    versions.sort_unstable();
    versions.join(",")
}

fn first_seen(event: &Value, now: Timestamp) -> String {
    let first = or(text(event, "firstTimestamp"), text(event, "deprecatedFirstTimestamp"));
    ago(or(first, text(event, "eventTime")), now)
}

fn last_seen(event: &Value, now: Timestamp) -> String {
    let last = or(text(event, "lastTimestamp"), text(event, "deprecatedLastTimestamp"));
    match or(text(event, "series.lastObservedTime"), last) {
        "" => first_seen(event, now),
        time => ago(time, now),
    }
}

fn source(event: &Value) -> String {
    let old = |field: &str| or(text(at(event, "source"), field), text(at(event, "deprecatedSource"), field)).to_owned();
    let reporting = or(text(event, "reportingComponent"), text(event, "reportingController"));
    let (component, instance) = (old("component"), old("host"));
    let component = or(&component, reporting);
    match or(&instance, text(event, "reportingInstance")) {
        "" => component.to_owned(),
        instance => format!("{component}, {instance}"),
    }
}
