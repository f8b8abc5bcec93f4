//! The model's answer beside the server's.

use std::collections::BTreeMap;

use driftless::sim::managed::{ApplyError, Context, OneVersion, apply, reset_fields, same_but_for_times, update};
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
    reset: &'a driftless::sim::fields::FieldSet,
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
            let mine = completed(kind, mine, subresource, live);
            compare_entries(live, &mine, answer)?;
            if kind.plain {
                compare_objects(&mine, &answer.body)?;
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
            // Of several errors the server tells them in no order.
            let lines = |text: &str| {
                let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
                lines.sort();
                lines
            };
            if lines(&mine) == lines(message) { Ok("refused") } else { Err(format!("mine {mine}")) }
        }
        (403 | 422, _) => Ok("invalid"),
        (409, _) if !message.starts_with("Apply failed") => Ok("invalid"),
        (_, mine) => Err(format!("mine {mine:?}")),
    }
}

/// What the server does after the merge.
fn completed(kind: &Kind, mut mine: Value, subresource: &str, live: Option<&Value>) -> Value {
    if let Some(structural) = &kind.structural {
        structural.prune(&mut mine);
        structural.default(&mut mine);
    }
    if kind.status && subresource.is_empty() {
        match live.and_then(|live| live.get("status")) {
            Some(status) => mine["status"] = status.clone(),
            None => drop(mine.as_object_mut().unwrap().remove("status")),
        }
    }
    if subresource == "status" {
        let mut object = live.cloned().unwrap();
        object["metadata"]["managedFields"] = mine["metadata"]["managedFields"].clone();
        match mine.get("status") {
            Some(status) => object["status"] = status.clone(),
            None => drop(object.as_object_mut().unwrap().remove("status")),
        }
        return object;
    }
    mine
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
    // The defaulted object is in the answer; the managed fields that the request had are not.
    let mut new = answer.body.clone();
    new["metadata"]["managedFields"] = sent["metadata"]["managedFields"].clone();
    let mine = update(&context(kind, manager, subresource, &reset, &now), live, new);
    compare_entries(live, &mine, answer)?;
    Ok("updated")
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
    Err(format!("mine   {mine}\n  theirs {theirs}"))
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
