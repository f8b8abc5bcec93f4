//! Lists: the objects of a resource as they are, as they were, and page by page.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::fields::FieldSelector;
use super::form::Form;
use super::labels::LabelSelector;
use super::reply::{Reply, partial};
use super::request::{Address, Query};
use super::resources::Resource;
use super::status::{FieldError, Status};
use super::store::{Key, Store, Stored};
use super::table;

/// What the expired position of a list is answered with.
const EXPIRED_LIST: &str = "The resourceVersion for the provided list is too old.";
/// The same if it was a continue token.
const EXPIRED_TOKEN: &str = "The provided continue parameter is too old to display a consistent list result. You can \
    start a new list without the continue parameter.";
/// The version that continue tokens carry.
const TOKEN_VERSION: &str = "meta.k8s.io/v1";

/// Which objects of a resource are meant.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Their namespace; `None`: all.
    pub namespace: Option<String>,
    labels: LabelSelector,
    fields: FieldSelector,
}

impl Selection {
    /// What a path and a query select.
    pub fn new(resource: &Resource, address: &Address<'_>, query: &Query) -> Result<Self, Status> {
        let fields = match (address.name, query.get("fieldSelector")) {
            (Some(name), _) => FieldSelector::name(name),
            (None, text) => FieldSelector::parse(text.unwrap_or_default(), resource)?,
        };
        Ok(Self {
            namespace: address.namespace.map(str::to_owned),
            labels: LabelSelector::parse(query.get("labelSelector").unwrap_or_default())?,
            fields,
        })
    }

    /// Whether an object is meant.
    pub fn matches(&self, key: &Key, object: &Stored) -> bool {
        let inside = self.namespace.as_deref().is_none_or(|namespace| key.namespace() == Some(namespace));
        inside && self.labels.matches(object) && self.fields.matches(key, object)
    }

    /// Whether objects are chosen by more than their namespace.
    pub fn has_selectors(&self) -> bool {
        !self.labels.is_empty() || !self.fields.is_empty()
    }

    /// The name that alone is meant, if it is only one.
    pub fn only_name(&self) -> Option<&str> {
        self.fields.only_name()
    }
}

/// From where a list goes on.
#[derive(Debug, Serialize, Deserialize)]
struct Token {
    v: String,
    rv: u64,
    start: String,
}

/// One page of a list.
pub struct Page<'s> {
    /// Its objects, in order.
    pub items: Vec<(&'s Key, &'s std::sync::Arc<Stored>)>,
    /// The state that it shows.
    pub revision: u64,
    /// Where it goes on; `None`: this is the last page.
    next: Option<Token>,
    /// How many objects are behind it, where that is known.
    remaining: Option<usize>,
}

/// What a list shall show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// What is there now.
    Now,
    /// At least what was there at a revision.
    NotOlder(u64),
    /// What was there at a revision.
    Exact(u64),
}

/// Answers a list.
pub fn list(
    store: &Store,
    resource: &Resource,
    selection: &Selection,
    query: &Query,
    form: Form,
    now: Timestamp,
) -> Result<Reply, Status> {
    let page = page(store, resource, selection, query)?;
    let mut metadata = json!({"resourceVersion": page.revision.to_string()});
    if let (Some(token), Some(metadata)) = (&page.next, metadata.as_object_mut()) {
        // A token is a plain structure: it can always be written.
        metadata.insert(
            "continue".to_owned(),
            URL_SAFE_NO_PAD.encode(serde_json::to_vec(token).unwrap_or_default()).into(),
        );
        if let Some(remaining) = page.remaining {
            metadata.insert("remainingItemCount".to_owned(), remaining.into());
        }
    }
    let says_end = resource.custom && form == Form::Whole;
    if let (None, true, Some(metadata)) = (&page.next, says_end, metadata.as_object_mut()) {
        // Lists of custom resources say that they do not go on.
        metadata.insert("continue".to_owned(), "".into());
    }
    let opened = |kind: &str, api_version: &str| -> Bytes {
        format!(r#"{{"kind":"{kind}","apiVersion":"{api_version}","metadata":{metadata},"items":["#).into()
    };
    let mut body = match form {
        Form::Whole => vec![opened(&resource.list_kind, &resource.api_version())],
        Form::Metadata { of_list: false, .. } => return Err(Status::wrong_shape(resource, true)),
        Form::Metadata { version, .. } => vec![opened("PartialObjectMetadataList", version.api_version())],
        Form::Table(version) => {
            let include = table::Include::of(query)?;
            return Ok(table::list(resource, &page.items, metadata, version, include, now));
        }
    };
    for (index, (_, stored)) in page.items.iter().enumerate() {
        if index > 0 {
            body.push(Bytes::from_static(b","));
        }
        match form {
            Form::Metadata { version, .. } => body.extend(partial(stored, version)),
            // The items of typed lists have no kind of their own; those of definitions do.
            _ if resource.custom => body.extend(super::reply::whole(resource, stored)),
            _ => body.push(stored.body.clone()),
        }
    }
    body.push(Bytes::from_static(b"]}"));
    Ok(Reply::pieces(200, body))
}

/// The page that a query asks for.
fn page<'s>(store: &'s Store, resource: &Resource, selection: &Selection, query: &Query) -> Result<Page<'s>, Status> {
    check(query)?;
    let limit = match query.get("resourceVersion") {
        // Any state will do: the server tells one that it has at hand, whole.
        Some("0") => 0,
        _ => usize::try_from(query.number("limit")?.unwrap_or(0)).unwrap_or(0),
    };
    let namespace = selection.namespace.as_deref();
    let token = query.get("continue").map(|text| read_token(text, query, namespace)).transpose()?;
    let (at, after) = match token {
        Some((revision, after)) => (Some(revision), Some(after)),
        None => match position(query, limit)? {
            Position::Now => (None, None),
            Position::NotOlder(revision) | Position::Exact(revision) if revision > store.revision() => {
                return Err(Status::too_large_version(revision, store.revision()));
            }
            Position::NotOlder(_) => (None, None),
            Position::Exact(revision) => (Some(revision), None),
        },
    };
    let expired = if after.is_some() { EXPIRED_TOKEN } else { EXPIRED_LIST };
    let table = resource.qualified();
    let listed = store.list(&table, namespace, after.as_ref(), at).map_err(|_| Status::expired(expired))?;
    let revision = at.unwrap_or_else(|| store.revision());
    let limit = if limit == 0 { usize::MAX } else { limit };
    let selected = listed.iter().enumerate().filter(|(_, (key, stored))| selection.matches(key, stored));
    let (places, items): (Vec<usize>, Vec<_>) = selected.map(|(place, item)| (place, *item)).take(limit).unzip();
    // Whether what is behind a full page is selected, the server finds on the next one.
    let behind = places.last().map_or(0, |last| listed.len() - last - 1);
    if items.len() < limit || behind == 0 {
        return Ok(Page { items, revision, next: None, remaining: None });
    }
    let remaining = (!selection.has_selectors()).then_some(behind);
    let next = items.last().map(|(key, _)| Token {
        v: TOKEN_VERSION.to_owned(),
        rv: revision,
        start: format!("{}\0", relative(key, namespace)),
    });
    Ok(Page { items, revision, next, remaining })
}

/// A key as tokens tell it: behind the namespace that is listed, or with a slash in front.
fn relative(key: &Key, namespace: Option<&str>) -> String {
    match (namespace, key.namespace()) {
        (Some(_), _) | (None, None) => key.name().to_owned(),
        (None, Some(_)) => format!("/{}", key.text()),
    }
}

fn read_token(text: &str, query: &Query, namespace: Option<&str>) -> Result<(u64, Key), Status> {
    let wrong = |why: &str| Status::bad_request(format!("invalid continue token: continue key is not valid: {why}"));
    if query.get("resourceVersion").is_some_and(|revision| revision != "0") {
        let message = "specifying resource version is not allowed when using continue";
        return Err(Status::bad_request(message));
    }
    let is_alphabet = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| {
        wrong(&format!("illegal base64 data at input byte {}", text.chars().take_while(is_alphabet).count()))
    })?;
    let token: Token = serde_json::from_slice(&bytes).map_err(|error| match bytes.first() {
        Some(first) if !matches!(first, b'{' | b'[' | b'"') => {
            wrong(&format!("invalid character {:?} looking for beginning of value", char::from(*first)))
        }
        _ => wrong(&error.to_string()),
    })?;
    let start = token.start.trim_end_matches('\0').trim_start_matches('/');
    Ok((
        token.rv,
        match namespace {
            Some(namespace) => Key::new(Some(namespace), start),
            None => Key::from_text(start),
        },
    ))
}

/// Refuses options that don't go together.
fn check(query: &Query) -> Result<(), Status> {
    let field = "resourceVersionMatch";
    let mut errors = Vec::new();
    if let Some(rule) = query.get(field) {
        let revision = query.get("resourceVersion");
        if revision.is_none() {
            let detail = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            errors.push(FieldError::forbidden(field, detail));
        }
        if query.get("continue").is_some() {
            let detail = "resourceVersionMatch is forbidden when continue is provided";
            errors.push(FieldError::forbidden(field, detail));
        }
        if !matches!(rule, "Exact" | "NotOlderThan") {
            errors.push(FieldError::not_supported(field, &rule.into(), &["Exact", "NotOlderThan", ""]));
        }
        if rule == "Exact" && revision == Some("0") {
            let detail = r#"resourceVersionMatch "exact" is forbidden for resourceVersion "0""#;
            errors.push(FieldError::forbidden(field, detail));
        }
    }
    if query.get("sendInitialEvents").is_some() {
        errors.push(FieldError::forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
    }
    if errors.is_empty() { Ok(()) } else { Err(Status::invalid_options("ListOptions", &errors)) }
}

fn position(query: &Query, limit: usize) -> Result<Position, Status> {
    let revision = match query.get("resourceVersion") {
        None | Some("0") => return Ok(Position::Now),
        Some(text) => {
            revision(text).map_err(|error| Status::bad_request(format!("invalid resource version: {error}")))?
        }
    };
    match query.get("resourceVersionMatch") {
        Some("Exact") => Ok(Position::Exact(revision)),
        // Without a rule a limited list is exact, by history.
        None if limit > 0 => Ok(Position::Exact(revision)),
        _ => Ok(Position::NotOlder(revision)),
    }
}

/// Reads a revision.
pub fn revision(text: &str) -> Result<u64, String> {
    let wrong =
        |_| format!("resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax");
    text.parse().map_err(wrong)
}
