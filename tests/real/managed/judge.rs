//! The model's answer beside the server's.

use std::collections::BTreeMap;

use driftless::sim::fields::{FieldSet, Path};
use driftless::sim::managed::{
    ApplyError, Context, Entries, OneVersion, ScalePaths, apply, parent_entries, reset_fields, same_but_for_times,
    scale_entries, update,
};
use driftless::sim::schema::{Schemas, normalize, store};
use serde_json::{Value, json};

use super::content::Kind;
use super::server::Answer;

/// What was compared.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) steps: usize,
    pub(super) outcomes: BTreeMap<&'static str, usize>,
}

impl Tally {
    pub(super) fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        for (outcome, count) in &other.outcomes {
            *self.outcomes.entry(outcome).or_default() += count;
        }
    }
}

/// The time at which the server worked, as far as its answer shows it.
fn now(answer: &Answer) -> String {
    let entries = answer.body["metadata"]["managedFields"].as_array().into_iter().flatten();
    let last =
        entries.filter_map(|entry| entry["time"].as_str()?.parse::<jiff::Timestamp>().ok()?.as_second().into()).max();
    let last = last.unwrap_or_default().max(answer.sent);
    jiff::Timestamp::from_second(last).unwrap().to_string()
}

fn context<'a>(
    kind: &'a Kind,
    manager: &'a str,
    subresource: &'a str,
    reset: &'a FieldSet,
    now: &'a str,
) -> Context<'a> {
    Context {
        schema: &kind.schema,
        api_version: kind.api_version,
        kind: kind.kind,
        manager,
        subresource,
        reset: Some(reset),
        versions: &OneVersion,
        now,
    }
}

pub(super) fn judge_apply(
    kind: &Kind,
    live: Option<&Value>,
    config: &Value,
    manager: &str,
    subresource: &str,
    force: bool,
    answer: &Answer,
) -> Result<&'static str, String> {
    let now = now(answer);
    let reset = reset_fields(kind.kind, kind.structural.is_some(), kind.status, subresource);
    let mine = apply(&context(kind, manager, subresource, &reset, &now), live, config, force);
    let message = answer.body["message"].as_str().unwrap_or_default();
    match (answer.code, mine) {
        (200 | 201, Ok(mine)) => {
            compare_forms(kind, &answer.body)?;
            compare_entries(live, &mine, answer)?;
            if kind.plain {
                compare_objects(&stored(kind, read(kind, mine), subresource, live), &answer.body)?;
            }
            Ok("applied")
        }
        (409, Err(ApplyError::Conflict(mine))) => {
            let mut causes = mine.causes();
            let mut theirs = answer.body["details"]["causes"].as_array().cloned().unwrap_or_default();
            let by = |cause: &Value| cause.to_string();
            causes.sort_by_key(by);
            theirs.sort_by_key(by);
            if mine.to_string() == message && causes == theirs { Ok("conflict") } else { Err(format!("mine {mine}")) }
        }
        (500 | 400, Err(ApplyError::Internal(mine) | ApplyError::BadRequest(mine))) => {
            // The server goes through maps in no order, and stops at the first unknown field of one.
            let (mine_said, theirs_said) = (errors(&mine), errors(message));
            let known = theirs_said.1.iter().all(|error| mine_said.1.contains(error));
            if mine_said.0 == theirs_said.0 && known { Ok("refused") } else { Err(format!("mine {mine}")) }
        }
        (403 | 422, _) => Ok("invalid"),
        (409, _) if !message.starts_with("Apply failed") => Ok("invalid"),
        (_, mine) => Err(format!("mine {mine:?}")),
    }
}

/// What a message is about, and the errors that it lists.
fn errors(message: &str) -> (&str, Vec<&str>) {
    let (about, list) = message.split_once("): ").unwrap_or(("", message));
    (
        about,
        list.strip_prefix("errors:").unwrap_or(list).lines().map(str::trim).filter(|line| !line.is_empty()).collect(),
    )
}

/// The object as the server reads it.
fn read(kind: &Kind, mut object: Value) -> Value {
    match &kind.structural {
        Some(structural) => {
            structural.prune(&mut object);
            structural.default(&mut object);
            structural.normalize(&mut object);
        }
        None => normalize(kind.schema.root(), &mut object),
    }
    object
}

/// The object as the server stores it, less what the request can't set.
fn stored(kind: &Kind, mut object: Value, subresource: &str, live: Option<&Value>) -> Value {
    if kind.structural.is_none() {
        store(kind.schema.root(), &mut object);
    }
    if !kind.status {
        return object;
    }
    let (mut to, from) = match (subresource, live) {
        ("status", Some(live)) => (live.clone(), &object),
        (_, Some(live)) => (object.clone(), live),
        (_, None) => (object.clone(), &Value::Null),
    };
    match from.get("status") {
        Some(status) => to["status"] = status.clone(),
        None => drop(to.as_object_mut().unwrap().remove("status")),
    }
    to
}

pub(super) fn judge_update(
    kind: &Kind,
    live: Option<&Value>,
    sent: &Value,
    manager: &str,
    subresource: &str,
    answer: &Answer,
) -> Result<&'static str, String> {
    if answer.code >= 300 {
        return Ok("invalid");
    }
    let now = now(answer);
    let reset = reset_fields(kind.kind, kind.structural.is_some(), kind.status, subresource);
    let new = if kind.plain { read(kind, sent.clone()) } else { defaulted(kind, live, sent, answer) };
    let mine = update(&context(kind, manager, subresource, &reset, &now), live, new);
    compare_forms(kind, &answer.body)?;
    compare_entries(live, &mine, answer)?;
    if kind.plain {
        compare_objects(&stored(kind, mine, subresource, live), &answer.body)?;
    }
    Ok("updated")
}

/// A write of the scale of a Deployment, which is an object of its own with what it shows of the ownership.
pub(super) fn judge_scale(
    live: &Value,
    config: &Value,
    applies: bool,
    manager: &str,
    written: &Answer,
    answer: &Answer,
) -> Result<&'static str, String> {
    if written.code >= 300 {
        return Err(format!("refused: {}", written.body));
    }
    let now = now(answer);
    let paths = ScalePaths::from([("apps/v1".to_owned(), Some(Path::of(&["spec", "replicas"])))]);
    let parent = Entries::of(live).unwrap();
    let mut scale = config.clone();
    scale["metadata"]["uid"] = live["metadata"]["uid"].clone();
    scale["spec"]["replicas"] = live["spec"]["replicas"].clone();
    scale_entries(&parent, &paths).put_into(&mut scale);
    let schema = Schemas::builtin().of("autoscaling", "v1", "Scale").unwrap();
    normalize(schema.root(), &mut scale);
    let reset = FieldSet::default();
    let ctx = Context {
        schema: &schema,
        api_version: "autoscaling/v1",
        kind: "Scale",
        manager,
        subresource: "scale",
        reset: Some(&reset),
        versions: &OneVersion,
        now: &now,
    };
    let mut scale = if applies {
        apply(&ctx, Some(&scale), config, true).unwrap()
    } else {
        let mut new = scale.clone();
        new["spec"] = config["spec"].clone();
        normalize(schema.root(), &mut new);
        update(&ctx, Some(&scale), new)
    };
    normalize(schema.root(), &mut scale);
    let mut mine = live.clone();
    parent_entries(&parent, &Entries::of(&scale).unwrap(), "apps/v1", &paths).put_into(&mut mine);
    compare_entries(Some(live), &mine, answer)?;
    Ok("scaled")
}

/// What was sent, with its defaults: the answer, less what the server put into it later.
fn defaulted(kind: &Kind, live: Option<&Value>, sent: &Value, answer: &Answer) -> Value {
    let mut new = answer.body.clone();
    new["metadata"]["managedFields"] = sent["metadata"]["managedFields"].clone();
    if kind.kind == "Service" {
        let spec = new["spec"].as_object_mut().unwrap();
        for allocated in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            if live.is_none() {
                spec.remove(allocated);
            }
        }
        // What the type of the Service no longer allows goes when it is stored.
        if let Some(policy) = sent["spec"].get("externalTrafficPolicy") {
            spec.entry("externalTrafficPolicy").or_insert_with(|| policy.clone());
        }
    }
    new
}

/// What the server answers is written as it writes it.
fn compare_forms(kind: &Kind, answer: &Value) -> Result<(), String> {
    let mut mine = answer.clone();
    match &kind.structural {
        Some(structural) => {
            structural.prune(&mut mine);
            structural.default(&mut mine);
            structural.normalize(&mut mine);
        }
        None => {
            normalize(kind.schema.root(), &mut mine);
            store(kind.schema.root(), &mut mine);
        }
    }
    if mine == *answer { Ok(()) } else { Err(format!("written as {mine}")) }
}

fn compare_entries(live: Option<&Value>, mine: &Value, answer: &Answer) -> Result<(), String> {
    let entries = |object: &Value| json!({"metadata": {"managedFields": object["metadata"]["managedFields"]}});
    let (mine, theirs) = (entries(mine), entries(&answer.body));
    let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
    // Where nothing was written, no time has moved.
    let unchanged = live.is_some_and(|live| version(live) == version(&answer.body));
    if mine == theirs || unchanged && same_but_for_times(&mine, &theirs) {
        return Ok(());
    }
    let beside = |these: &Value, others: &Value| {
        let list = |object: &Value| object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
        let others = list(others);
        list(these)
            .into_iter()
            .filter(|entry| !others.contains(entry))
            .map(|entry| format!("\n    {entry}"))
            .collect::<String>()
    };
    Err(format!("mine   {}\n  theirs {}", beside(&mine, &theirs), beside(&theirs, &mine)))
}

fn compare_objects(mine: &Value, theirs: &Value) -> Result<(), String> {
    let bare = |object: &Value| {
        let mut object = object.clone();
        let metadata = object["metadata"].as_object_mut().unwrap();
        for name in ["managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "namespace"] {
            metadata.remove(name);
        }
        object
    };
    let (mine, theirs) = (bare(mine), bare(theirs));
    if mine == theirs { Ok(()) } else { Err(format!("mine   {mine}\n  theirs {theirs}")) }
}
