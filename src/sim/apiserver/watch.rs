//! Watches: what a client is told of the changes of a resource, one line after the other.
//!
//! A watch holds its place in the history and nothing else: no queue can overflow, and a client that reads too slowly
//! finds its place forgotten, which it is told as the real server tells it.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::form::Form;
use super::list::{Selection, revision};
use super::reply::{partial, whole};
use super::request::Query;
use super::resources::Resource;
use super::status::{FieldError, Status};
use super::store::{Change, Store, Stored};
use super::table;
use crate::sim::kinds::value::set;
use crate::sim::schema::{Schemas, zero};

/// How often a client that wants bookmarks gets one.
const BOOKMARK_INTERVAL: SignedDuration = SignedDuration::from_mins(1);
/// When a watch ends that did not say it. The real server draws between 30 and 60 minutes.
const DEFAULT_TIMEOUT: SignedDuration = SignedDuration::from_mins(45);
/// The annotation of the bookmark behind the objects that were there at first.
const INITIAL_END: &str = "k8s.io/initial-events-end";

/// What comes next on a watch.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// A line, in pieces.
    Line(Vec<Bytes>),
    /// Nothing before something changes, or this time has come.
    Wait(Timestamp),
    /// It is over.
    End,
}

/// A watch.
#[derive(Debug)]
pub struct Watch {
    resource: Arc<Resource>,
    selection: Selection,
    form: Form,
    include: table::Include,
    /// Objects that were there at first and are still to be told.
    initial: VecDeque<Arc<Stored>>,
    /// Whether their end is told by a bookmark.
    marks_end: bool,
    /// Up to where changes were told.
    position: u64,
    /// When the next bookmark is due; `None`: none are wanted.
    bookmark: Option<Timestamp>,
    ends: Timestamp,
    /// A table's columns are told once.
    columns_told: bool,
    /// What is told instead of all else.
    failure: Option<Status>,
    over: bool,
}

impl Watch {
    /// Opens a watch. Nothing is known of what was before the revision `since`.
    pub fn open(
        store: &Store,
        resource: &Arc<Resource>,
        since: u64,
        selection: Selection,
        query: &Query,
        form: Form,
        now: Timestamp,
    ) -> Result<Self, Status> {
        check(query)?;
        let timeout = query.number("timeoutSeconds")?.filter(|seconds| *seconds > 0);
        let timeout = timeout.map_or(DEFAULT_TIMEOUT, |seconds| SignedDuration::from_secs(seconds.min(86_400)));
        let bookmarks = query.flag("allowWatchBookmarks");
        let streamed = query.flag("sendInitialEvents");
        let from = match query.get("resourceVersion") {
            None | Some("0") => None,
            Some(text) => Some(revision(text).map_err(Status::internal)?),
        };
        let unreached = from.filter(|from| streamed && *from > store.revision());
        let starts_whole = streamed || (from.is_none() && query.get("sendInitialEvents").is_none());
        let mut watch = Self {
            resource: resource.clone(),
            selection,
            form,
            include: table::Include::of(query)?,
            initial: VecDeque::new(),
            marks_end: streamed && bookmarks,
            position: if starts_whole { store.revision() } else { from.unwrap_or_else(|| store.revision()) },
            bookmark: bookmarks.then(|| after(now, BOOKMARK_INTERVAL)),
            ends: after(now, timeout),
            columns_told: false,
            failure: unreached.map(|from| Status::too_large_version(from, store.revision())),
            over: false,
        };
        if !starts_whole && watch.position < since {
            let message = format!("too old resource version: {} ({since})", watch.position);
            watch.failure = Some(Status::expired(message));
        }
        if starts_whole {
            let listed = store.list(&resource.qualified(), watch.selection.namespace.as_deref(), None, None);
            let listed = listed.unwrap_or_default().into_iter();
            let selected = listed.filter(|(key, stored)| watch.selection.matches(key, stored));
            watch.initial = selected.map(|(_, stored)| stored.clone()).collect();
        }
        Ok(watch)
    }

    /// What comes next.
    pub fn next(&mut self, store: &Store, now: Timestamp) -> Frame {
        if self.over {
            return Frame::End;
        }
        if let Some(failure) = self.failure.take() {
            self.over = true;
            return error_line(&failure);
        }
        if let Some(stored) = self.initial.pop_front() {
            return self.line("ADDED", &stored, now);
        }
        if std::mem::take(&mut self.marks_end) {
            return self.bookmark_line(Some(INITIAL_END));
        }
        let table = self.resource.qualified();
        loop {
            match store.next_change(&table, self.position) {
                Ok(Some(change)) => {
                    self.position = change.revision;
                    if let Some(line) = self.change(change, now) {
                        return line;
                    }
                }
                Ok(None) => break,
                Err(_) => {
                    self.over = true;
                    let message = format!("too old resource version: {} ({})", self.position, store.revision());
                    return error_line(&Status::expired(message));
                }
            }
        }
        if now >= self.ends {
            self.over = true;
            return Frame::End;
        }
        match self.bookmark {
            Some(due) if now >= due => {
                self.bookmark = Some(after(now, BOOKMARK_INTERVAL));
                self.position = self.position.max(store.revision());
                self.bookmark_line(None)
            }
            due => Frame::Wait(due.map_or(self.ends, |due| due.min(self.ends))),
        }
    }

    /// What a change means to who selects: an object that leaves the selection is told as deleted, with its last state
    /// inside it and the revision of the change.
    fn change(&mut self, change: &Change, now: Timestamp) -> Option<Frame> {
        let before = change.previous.as_ref().filter(|object| self.selection.matches(&change.key, object));
        let after = (!change.deleted && self.selection.matches(&change.key, &change.object)).then_some(&change.object);
        match (before, after) {
            (None, None) => None,
            (None, Some(after)) => Some(self.line("ADDED", after, now)),
            (Some(_), Some(after)) => Some(self.line("MODIFIED", after, now)),
            (Some(_), None) if change.deleted => Some(self.line("DELETED", &change.object, now)),
            (Some(before), None) => {
                let left = at_revision(before, change.revision);
                Some(self.line("DELETED", &left, now))
            }
        }
    }

    fn line(&mut self, kind: &str, stored: &Stored, now: Timestamp) -> Frame {
        let mut line = vec![Bytes::from(format!(r#"{{"type":"{kind}","object":"#))];
        match self.form {
            Form::Whole => line.extend(whole(&self.resource, stored)),
            Form::Metadata { version, .. } => line.extend(partial(stored, version)),
            Form::Table(version) => {
                let columns = !std::mem::replace(&mut self.columns_told, true);
                line.push(table::event(&self.resource, stored, version, self.include, columns, now).to_string().into());
            }
        }
        line.push(Bytes::from_static(b"}\n"));
        Frame::Line(line)
    }

    fn bookmark_line(&mut self, annotation: Option<&str>) -> Frame {
        let mut metadata = json!({"resourceVersion": self.position.to_string()});
        if let (Some(annotation), Some(metadata)) = (annotation, metadata.as_object_mut()) {
            metadata.insert("annotations".to_owned(), json!({annotation: "true"}));
        }
        let (kind, api_version) = match self.form {
            Form::Whole => (self.resource.kind.clone(), self.resource.api_version()),
            Form::Metadata { version, .. } => ("PartialObjectMetadata".to_owned(), version.api_version().to_owned()),
            Form::Table(version) => {
                let table = table::bookmark(&self.resource, &metadata, version, self.include);
                let event = json!({"type": "BOOKMARK", "object": table});
                return Frame::Line(vec![format!("{event}\n").into()]);
            }
        };
        let mut object = match self.form {
            Form::Whole => empty(&self.resource),
            _ => json!({}),
        };
        if let Some(members) = object.as_object_mut() {
            members.insert("kind".to_owned(), kind.into());
            members.insert("apiVersion".to_owned(), api_version.into());
            members.insert("metadata".to_owned(), metadata);
        }
        let event = json!({"type": "BOOKMARK", "object": object});
        Frame::Line(vec![format!("{event}\n").into()])
    }
}

/// An object of a resource in which nothing was set.
pub(super) fn empty(resource: &Resource) -> Value {
    let schema = Schemas::builtin().of(&resource.group, &resource.version, &resource.kind);
    let mut object = match schema.filter(|_| !resource.custom) {
        Some(schema) => zero(schema.root()),
        None => json!({}),
    };
    if matches!(resource.kind.as_str(), "Deployment" | "ReplicaSet" | "StatefulSet" | "ReplicationController") {
        // What was not set is none for the server itself.
        set(&mut object, "spec.replicas", 0);
    }
    object
}

fn error_line(status: &Status) -> Frame {
    Frame::Line(vec![format!("{}\n", json!({"type": "ERROR", "object": status.to_value()})).into()])
}

/// An object with another revision.
fn at_revision(stored: &Stored, revision: u64) -> Stored {
    let mut object = stored.value();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("resourceVersion".to_owned(), revision.to_string().into());
    }
    Stored { revision, body: object.to_string().into(), ..stored.clone() }
}

/// A time that is later by a duration, or the last one that there is.
fn after(now: Timestamp, duration: SignedDuration) -> Timestamp {
    now.checked_add(duration).unwrap_or(Timestamp::MAX)
}

/// Refuses options that don't go together.
fn check(query: &Query) -> Result<(), Status> {
    let field = "resourceVersionMatch";
    let mut errors = Vec::new();
    let rule = query.get(field);
    if query.get("sendInitialEvents").is_none() {
        if let Some(rule) = rule {
            let detail = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            errors.push(FieldError::forbidden(field, detail));
            if rule != "NotOlderThan" {
                errors.push(FieldError::not_supported(field, &rule.into(), &["NotOlderThan"]));
            }
        }
    } else if rule != Some("NotOlderThan") {
        let detail = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        errors.push(FieldError::forbidden(field, detail));
        if let Some(rule) = rule {
            errors.push(FieldError::not_supported(field, &rule.into(), &["NotOlderThan"]));
        }
    }
    if query.get("continue").is_some() {
        errors.push(FieldError::forbidden("continue", "continue is forbidden for watch"));
    }
    if errors.is_empty() { Ok(()) } else { Err(Status::invalid_options("ListOptions", &errors)) }
}
