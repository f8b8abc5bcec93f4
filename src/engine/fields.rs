//! `fieldsV1`, the form in which `metadata.managedFields` says which fields are whose.
//!
//! A set of fields is a tree of JSON objects (Kubernetes' `FieldsV1`, structured-merge-diff's `fieldpath`): `f:name` is a
//! field of a map, `k:{"name":"web"}` the item of a list with these key fields, `v:"x"` an item of a set, `i:3` an item by
//! position. An element without children is a member of the set; one with children is a member only if `.` is among
//! them. The API server may leave whole maps and lists to one member (atomic ones, and those without a schema): such a
//! leaf stands for everything below it.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::hash::canonical;
use super::ids::Gvk;
use super::names::FIELD_MANAGER;

/// One step from a field to one below it.
#[derive(Clone, Debug, PartialEq)]
pub enum Element<'a> {
    /// A field of a map.
    Field(Cow<'a, str>),
    /// An item of a set, by its value.
    Item(Keyed),
    /// An item by position.
    Index(i64),
    /// An item of a list, by its key fields: a map from their names to their values.
    Key(Keyed),
}

/// A value together with its canonical text, by which it is ordered and found.
#[derive(Clone, Debug, PartialEq)]
pub struct Keyed {
    /// Canonical form.
    pub text: Vec<u8>,
    /// The value.
    pub value: Value,
}

impl Keyed {
    /// `value` with its canonical text.
    pub fn new(value: Value) -> Self {
        let mut text = Vec::new();
        canonical(&value, &mut text);
        Self { text, value }
    }

    /// The key fields, if this is a list key.
    pub fn fields(&self) -> Option<&Map<String, Value>> {
        self.value.as_object()
    }
}

impl<'a> Element<'a> {
    /// Reads the name of a member of a `fieldsV1` object; `None` if it has no form that is known.
    fn parse(name: Cow<'a, str>) -> Option<Self> {
        let (kind, rest) = name.split_at_checked(2)?;
        match kind {
            "f:" => Some(Self::Field(match name {
                Cow::Borrowed(text) => Cow::Borrowed(text.get(2..)?),
                Cow::Owned(_) => Cow::Owned(rest.to_owned()),
            })),
            "k:" => {
                let key: Value = serde_json::from_str(rest).ok()?;
                key.is_object().then(|| Self::Key(Keyed::new(key)))
            }
            "v:" => Some(Self::Item(Keyed::new(serde_json::from_str(rest).ok()?))),
            "i:" => Some(Self::Index(rest.parse().ok()?)),
            _ => None,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Field(_) => 0,
            Self::Item(_) => 1,
            Self::Index(_) => 2,
            Self::Key(_) => 3,
        }
    }

    /// Total order: fields, then items, positions and keys, each by its text or number.
    fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Field(a), Self::Field(b)) => a.cmp(b),
            (Self::Item(a), Self::Item(b)) | (Self::Key(a), Self::Key(b)) => a.text.cmp(&b.text),
            (Self::Index(a), Self::Index(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

/// A set of fields at one place of an object: whether the place itself is a member, and what is below it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node<'a> {
    /// The place itself is a member.
    pub member: bool,
    /// What is below, in the order of [`Element`], whatever the order in the JSON.
    children: Vec<(Element<'a>, Self)>,
}

impl<'a> Node<'a> {
    /// A member with nothing below it: it stands for everything there.
    pub fn is_leaf(&self) -> bool {
        self.member && self.children.is_empty()
    }

    /// What is below, in the order of [`Element`].
    pub fn children(&self) -> &[(Element<'a>, Self)] {
        &self.children
    }

    /// The set below the field `name`.
    pub fn field(&self, name: &str) -> Option<&Self> {
        let found = self.children.binary_search_by(|(element, _)| match element {
            Element::Field(field) => field.as_ref().cmp(name),
            _ => Ordering::Greater,
        });
        found.ok().and_then(|at| self.children.get(at)).map(|(_, node)| node)
    }

    /// The set below the list item with the key fields `key`, of which those with a default may be left out.
    pub fn key(&self, key: &Map<String, Value>) -> Option<&Self> {
        let is_complete = self.key_names()?.len() == key.len();
        if is_complete {
            let wanted = Keyed::new(Value::Object(key.clone()));
            let found = self.children.binary_search_by(|(element, _)| match element {
                Element::Key(key) => key.text.cmp(&wanted.text),
                _ => Ordering::Less,
            });
            return found.ok().and_then(|at| self.children.get(at)).map(|(_, node)| node);
        }
        let agrees = |known: &Keyed| known.fields().is_some_and(|known| is_part(key, known));
        self.keys().find(|(known, _)| agrees(known)).map(|(_, node)| node)
    }

    /// The list keys here.
    pub fn keys(&self) -> impl Iterator<Item = (&Keyed, &Self)> {
        self.children.iter().filter_map(|(element, node)| match element {
            Element::Key(key) => Some((key, node)),
            _ => None,
        })
    }

    /// The set items here.
    pub fn items(&self) -> impl Iterator<Item = &Keyed> {
        self.children.iter().filter_map(|(element, _)| match element {
            Element::Item(item) => Some(item),
            _ => None,
        })
    }

    /// The names of the key fields of the list here, ordered, if any of its items is in the set.
    pub fn key_names(&self) -> Option<Vec<&str>> {
        let mut names: Vec<_> = self.keys().next()?.0.fields()?.keys().map(String::as_str).collect();
        names.sort_unstable();
        Some(names)
    }

    /// Which list key of this set each of `items` has, by position.
    ///
    /// An item that leaves out a key field takes a key that agrees with it on the others and that no complete item has:
    /// manifests may omit a key field with a default (`protocol: TCP` of a port), keys always name it.
    pub fn assign(&self, items: &[Value]) -> Vec<Option<(&Keyed, &Self)>> {
        let keys: Vec<_> = self.keys().collect();
        let mut assigned = vec![None; items.len()];
        let Some(names) = self.key_names() else { return assigned };
        let by_text: HashMap<&[u8], usize> = keys.iter().enumerate().map(|(at, (key, _))| (&*key.text, at)).collect();
        let mut taken = vec![false; keys.len()];
        let mut text = Vec::new();
        for (slot, item) in assigned.iter_mut().zip(items) {
            let found = key_text(item, &names, &mut text).and_then(|()| by_text.get(&*text).copied());
            if let Some(at) = found {
                *slot = keys.get(at).copied();
                if let Some(taken) = taken.get_mut(at) {
                    *taken = true;
                }
            }
        }
        for (slot, item) in assigned.iter_mut().zip(items) {
            if slot.is_some() || names.iter().all(|name| item.get(name).is_some()) {
                continue;
            }
            let free = keys.iter().zip(&mut taken).find(|((key, _), taken)| !**taken && agrees(item, key));
            if let Some((key, taken)) = free {
                *slot = Some(*key);
                *taken = true;
            }
        }
        assigned
    }
}

/// Whether every field of `part` is in `whole`, with the same value. An empty part is part of nothing.
pub fn is_part(part: &Map<String, Value>, whole: &Map<String, Value>) -> bool {
    !part.is_empty() && part.iter().all(|(name, value)| whole.get(name) == Some(value))
}

/// The key of a list item that has all of the key fields `names`.
pub fn key_of(item: &Value, names: &[&str]) -> Option<Keyed> {
    let fields: Option<Map<String, Value>> =
        names.iter().map(|name| Some(((*name).to_owned(), item.get(name)?.clone()))).collect();
    Some(Keyed::new(Value::Object(fields?)))
}

/// The canonical text of the same key, without making the key.
fn key_text(item: &Value, names: &[&str], text: &mut Vec<u8>) -> Option<()> {
    text.clear();
    for (at, name) in names.iter().enumerate() {
        text.push(if at == 0 { b'{' } else { b',' });
        serde_json::to_writer(&mut *text, name).ok()?;
        text.push(b':');
        canonical(item.get(name)?, text);
    }
    text.push(b'}');
    Some(())
}

/// Whether `item` has at least one of the key's fields, and the key's value in each that it has.
pub fn agrees(item: &Value, key: &Keyed) -> bool {
    let Some(fields) = key.fields() else { return false };
    let mut any = false;
    fields.iter().all(|(name, value)| match item.get(name) {
        Some(found) => {
            any = true;
            found == value
        }
        None => true,
    }) && any
}

impl<'de: 'a, 'a> Deserialize<'de> for Node<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<'a>(std::marker::PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Members<'a> {
            type Value = Node<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a fieldsV1 object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node<'a>, A::Error> {
                let mut node = Node::default();
                while let Some(Name(name)) = map.next_key()? {
                    if name == "." {
                        map.next_value::<IgnoredAny>()?;
                        node.member = true;
                    } else {
                        let element = Element::parse(name).ok_or_else(|| A::Error::custom("unknown path element"))?;
                        node.children.push((element, map.next_value()?));
                    }
                }
                node.member |= node.children.is_empty();
                node.children.sort_by(|a, b| a.0.order(&b.0));
                Ok(node)
            }
        }
        deserializer.deserialize_map(Members(std::marker::PhantomData))
    }
}

/// A map key that borrows from the text where it has no escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text<'a>(std::marker::PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Text<'a> {
            type Value = Name<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path element")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Name<'a>, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Name<'a>, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text(std::marker::PhantomData))
    }
}

/// One entry of `metadata.managedFields`: a manager and the set of fields that it holds.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Entry<'a> {
    /// Field manager.
    #[serde(borrow)]
    pub manager: Cow<'a, str>,
    /// `Apply` or `Update`.
    #[serde(borrow)]
    pub operation: Cow<'a, str>,
    /// API version in which the fields are named.
    #[serde(borrow)]
    pub api_version: Cow<'a, str>,
    /// Subresource through which the manager wrote; empty for the object itself.
    #[serde(borrow)]
    pub subresource: Cow<'a, str>,
    /// When the set last changed, RFC 3339; the API server may leave it out.
    #[serde(borrow)]
    pub time: Option<Cow<'a, str>>,
    /// The fields.
    #[serde(borrow, rename = "fieldsV1", deserialize_with = "root")]
    pub fields: Node<'a>,
}

impl Default for Entry<'_> {
    fn default() -> Self {
        Self {
            manager: Cow::Borrowed(""),
            operation: Cow::Borrowed(""),
            api_version: Cow::Borrowed(""),
            subresource: Cow::Borrowed(""),
            time: None,
            fields: Node::default(),
        }
    }
}

/// The set of an entry. An empty one has no members, while an empty object anywhere below is one.
fn root<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Node<'a>, D::Error> {
    let node: Option<Node<'a>> = Option::deserialize(deserializer)?;
    Ok(Node { member: false, ..node.unwrap_or_default() })
}

impl Entry<'_> {
    /// Whether this is what our own applies hold, in the API version `api_version` (`v1`, `apps/v1`).
    ///
    /// There is at most one such entry: appliers have one per name and subresource. One in another version names its
    /// fields differently, and counts as none until the next apply.
    pub fn is_ours(&self, api_version: &str) -> bool {
        self.is_our_apply() && self.api_version == api_version
    }

    /// Whether this is our own Apply entry, in any API version.
    pub fn is_our_apply(&self) -> bool {
        self.manager == FIELD_MANAGER && self.operation == "Apply" && self.subresource.is_empty()
    }

    /// Whether both entries are one manager's, writing in one way.
    pub fn same_writer(&self, other: &Entry<'_>) -> bool {
        self.manager == other.manager
            && self.operation == other.operation
            && self.api_version == other.api_version
            && self.subresource == other.subresource
    }
}

/// Reads `metadata.managedFields` from its JSON text. Text that can't be read holds no entries: what then seems to be lost
/// is applied once more, which is the worst that comes of it.
pub fn parse(managed_fields: &str) -> Vec<Entry<'_>> {
    serde_json::from_str(managed_fields).unwrap_or_default()
}

/// The entries of an object's `metadata.managedFields`; as [`parse`].
pub fn of_object(object: &Value) -> Vec<Entry<'_>> {
    let managed_fields = object.pointer("/metadata/managedFields");
    managed_fields.and_then(|list| Vec::deserialize(list).ok()).unwrap_or_default()
}

/// The set of fields of our own Apply entry, without reading those of the others: what the watch path needs.
pub fn ours<'a>(managed_fields: &'a str, gvk: &Gvk) -> Option<Node<'a>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Unread<'a> {
        #[serde(borrow, default)]
        manager: Cow<'a, str>,
        #[serde(borrow, default)]
        operation: Cow<'a, str>,
        #[serde(borrow, default)]
        api_version: Cow<'a, str>,
        #[serde(borrow, default)]
        subresource: Cow<'a, str>,
        #[serde(borrow, default, rename = "fieldsV1")]
        fields: Option<&'a RawValue>,
    }
    let entries: Vec<Unread<'a>> = serde_json::from_str(managed_fields).ok()?;
    let entry = entries.into_iter().find(|entry| {
        entry.manager == FIELD_MANAGER
            && entry.operation == "Apply"
            && entry.subresource.is_empty()
            && is_version_of(&entry.api_version, gvk)
    })?;
    let node: Node<'a> = serde_json::from_str(entry.fields?.get()).ok()?;
    Some(Node { member: false, ..node })
}

fn is_version_of(api_version: &str, gvk: &Gvk) -> bool {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    *group == *gvk.group && *version == *gvk.version
}

#[cfg(test)]
#[path = "fields_tests.rs"]
mod tests;
