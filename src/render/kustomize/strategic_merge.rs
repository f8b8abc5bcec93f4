//! Strategic merge patches, as kustomize applies them.
//!
//! Kustomize walks the object and the patch together, field by field, and also through what the patch doesn't mention.
//! Several of its habits are surprising, and all of them show in its output: an empty null goes wherever the walk gets to,
//! lists that merge are put into the patch's order, a scalar takes the quotes of the one that it replaces, and
//! `$patch: replace` on the element of a list changes nothing. This module has them too; the conformance tests ask the
//! real program.

use super::associative;
use super::schema::{Node, Schema};
use super::value::{Map, Value};

/// The key that says what to do with a mapping or a list instead of merging it.
pub(super) const DIRECTIVE: &str = "$patch";

/// Why a patch can't be merged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{reason}", prefix(.path))]
pub struct MergeError {
    /// Where in the object: keys separated by dots, the elements of a list as `[]`. Empty for the object as a whole.
    pub path: String,
    /// What is wrong.
    pub reason: String,
}

fn prefix(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("{path}: ") }
}

impl MergeError {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self { path: String::new(), reason: reason.into() }
    }

    pub(super) fn under(mut self, part: &str) -> Self {
        let separator = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{part}{separator}{}", self.path);
        self
    }
}

/// What a patch does to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merged {
    /// The object is changed, or as it was.
    Kept,
    /// The object is to be deleted.
    Deleted,
}

/// Merges `patch` into `object`. The kind of the object, or else that of the patch, says how its lists merge.
pub fn merge(object: &mut Value, patch: Value, schema: &Schema) -> Result<Merged, MergeError> {
    let mut patch = patch;
    let outcome = Walk { schema }.pair(Some(object), Some(&mut patch), None)?;
    // An object as a whole can't be replaced: kustomize goes on with the one that it had.
    Ok(if outcome == Outcome::Clear { Merged::Deleted } else { Merged::Kept })
}

/// Which of two values is the result of walking them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The object's, changed in place.
    Ours,
    /// The patch's.
    Theirs,
    /// None of them: the field goes.
    Clear,
}

/// What `$patch` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Directive {
    Merge,
    Replace,
    Delete,
}

/// One merge.
#[derive(Clone, Copy)]
pub(super) struct Walk<'s> {
    pub(super) schema: &'s Schema,
}

impl<'s> Walk<'s> {
    /// Walks a value of the object and the one of the patch for the same field.
    pub(super) fn pair(
        self,
        ours: Option<&mut Value>,
        theirs: Option<&mut Value>,
        node: Option<Node<'s>>,
    ) -> Result<Outcome, MergeError> {
        let node = node.or_else(|| self.embedded(ours.as_deref())).or_else(|| self.embedded(theirs.as_deref()));
        let first = [ours.as_deref(), theirs.as_deref()].into_iter().flatten().find(|value| !value.is_null());
        match first {
            None => Ok(nulls(ours.as_deref(), theirs.is_some())),
            Some(Value::Map(_)) => self.mappings(ours, theirs, node),
            Some(Value::Seq(_)) => self.sequences(ours, theirs, node),
            Some(_) => {
                expect(&[ours.as_deref(), theirs.as_deref()], Value::is_scalar, "a scalar")?;
                Ok(if theirs.is_some() { Outcome::Theirs } else { Outcome::Ours })
            }
        }
    }

    /// Walks a value that the patch alone has, which kustomize merges with itself. Returns whether it stays.
    pub(super) fn alone(self, value: &mut Value, node: Option<Node<'s>>) -> Result<bool, MergeError> {
        let node = node.or_else(|| self.embedded(Some(value)));
        match value {
            Value::Map(map) => {
                if take_directive(map)? == Directive::Delete {
                    return Ok(false);
                }
                self.own_fields(map, node)?;
            }
            Value::Seq(items) => {
                let Some(keys) = node.and_then(Node::merges_by) else { return Ok(true) };
                if associative::take_directive(items)? == Directive::Delete {
                    return Ok(false);
                }
                associative::merge(self, items, associative::Patch::Itself, keys, node)?;
            }
            scalar => return Ok(!scalar.is_null()),
        }
        Ok(true)
    }

    /// A value that says its API version and kind is of that kind, wherever the schema knows no better.
    fn embedded(self, value: Option<&Value>) -> Option<Node<'s>> {
        let value = value?;
        self.schema.kind(value.get("apiVersion")?.text()?, value.get("kind")?.text()?)
    }

    fn mappings(
        self,
        ours: Option<&mut Value>,
        theirs: Option<&mut Value>,
        node: Option<Node<'s>>,
    ) -> Result<Outcome, MergeError> {
        expect(&[ours.as_deref(), theirs.as_deref()], |value| value.as_map().is_some(), "a mapping")?;
        let Some(ours) = ours.and_then(Value::as_map_mut) else {
            let Some(theirs) = theirs.and_then(Value::as_map_mut) else { return Ok(Outcome::Clear) };
            // What the patch adds may say anything here: kustomize doesn't look at an error.
            if take_directive(theirs) == Ok(Directive::Delete) {
                return Ok(Outcome::Clear);
            }
            self.own_fields(theirs, node)?;
            return Ok(Outcome::Theirs);
        };
        let mut nothing = Map::new();
        let theirs = match theirs {
            None => &mut nothing,
            Some(Value::Map(map)) => map,
            Some(_) => return Ok(Outcome::Clear),
        };
        match take_directive(theirs)? {
            Directive::Delete => Ok(Outcome::Clear),
            Directive::Replace => {
                self.own_fields(theirs, node)?;
                Ok(Outcome::Theirs)
            }
            Directive::Merge => {
                self.fields(ours, theirs, node)?;
                Ok(Outcome::Ours)
            }
        }
    }

    fn fields(self, ours: &mut Map, theirs: &mut Map, node: Option<Node<'s>>) -> Result<(), MergeError> {
        if theirs.is_decorated() {
            ours.decorate();
        }
        let new: Vec<bool> = theirs.keys().map(|key| !ours.contains_key(key)).collect();
        let mut failed = None;
        ours.retain(|key, value| {
            if failed.is_some() {
                return true;
            }
            let mut their = theirs.get_mut(key);
            let field = node.and_then(|node| node.field(key));
            match self.pair(Some(value), their.as_deref_mut(), field) {
                Ok(Outcome::Clear) => false,
                Ok(Outcome::Theirs) => assign(value, their),
                Ok(Outcome::Ours) => {
                    value.quote_if_keyword();
                    true
                }
                Err(error) => {
                    failed = Some(error.under(key));
                    true
                }
            }
        });
        if let Some(error) = failed {
            return Err(error);
        }
        for ((key, value), _) in theirs.iter_mut().zip(new).filter(|(_, new)| *new) {
            let field = node.and_then(|node| node.field(key));
            if self.pair(None, Some(value), field).map_err(|error| error.under(key))? == Outcome::Theirs {
                value.quote_if_keyword();
                ours.insert(key, value.clone());
            }
        }
        Ok(())
    }

    /// Walks the fields of a mapping that is the result as it is, each with itself.
    fn own_fields(self, map: &mut Map, node: Option<Node<'s>>) -> Result<(), MergeError> {
        let mut failed = None;
        map.retain(|key, value| {
            let field = node.and_then(|node| node.field(key));
            let stays = match failed {
                Some(_) => Ok(true),
                None => self.alone(value, field),
            };
            value.quote_if_keyword();
            stays.unwrap_or_else(|error| {
                failed = Some(error.under(key));
                true
            })
        });
        failed.map_or(Ok(()), Err)
    }

    fn sequences(
        self,
        ours: Option<&mut Value>,
        theirs: Option<&mut Value>,
        node: Option<Node<'s>>,
    ) -> Result<Outcome, MergeError> {
        expect(&[ours.as_deref(), theirs.as_deref()], |value| value.as_seq().is_some(), "a list")?;
        let Some(keys) = node.and_then(Node::merges_by) else {
            return Ok(match theirs {
                None => Outcome::Ours,
                Some(value) if value.is_null() => Outcome::Clear,
                Some(_) => Outcome::Theirs,
            });
        };
        let Some(ours) = ours.and_then(Value::as_seq_mut) else {
            let Some(theirs) = theirs.and_then(Value::as_seq_mut) else { return Ok(Outcome::Clear) };
            associative::merge(self, theirs, associative::Patch::Itself, keys, node)?;
            return Ok(Outcome::Theirs);
        };
        let theirs = match theirs {
            None => {
                associative::merge(self, ours, associative::Patch::Nothing, keys, node)?;
                return Ok(Outcome::Ours);
            }
            Some(Value::Seq(items)) => items,
            Some(_) => return Ok(Outcome::Clear),
        };
        match associative::take_directive(theirs)? {
            Directive::Delete => Ok(Outcome::Clear),
            Directive::Replace => {
                associative::merge(self, theirs, associative::Patch::Itself, keys, node)?;
                Ok(Outcome::Theirs)
            }
            Directive::Merge => {
                associative::merge(self, ours, associative::Patch::Items(std::mem::take(theirs)), keys, node)?;
                Ok(Outcome::Ours)
            }
        }
    }
}

/// Two values of which none is more than null. A null that is spelled out stays unless the patch has one too.
fn nulls(ours: Option<&Value>, patched: bool) -> Outcome {
    match ours {
        Some(Value::Plain(plain)) if !patched && !plain.text().is_empty() => Outcome::Ours,
        _ => Outcome::Clear,
    }
}

/// Fails unless all values that are there and not null are of one shape.
fn expect(values: &[Option<&Value>], fits: impl Fn(&Value) -> bool, shape: &str) -> Result<(), MergeError> {
    let odd = values.iter().flatten().find(|value| !value.is_null() && !fits(value));
    odd.map_or(Ok(()), |odd| Err(MergeError::new(format!("{} can't be merged with {shape}", odd.describe()))))
}

/// Puts the patch's value into a field. Returns whether the field stays. The patch keeps the value, with the quotes that it
/// got: in a list, an element of the patch may be walked again.
fn assign(slot: &mut Value, theirs: Option<&mut Value>) -> bool {
    let Some(theirs) = theirs.filter(|value| !value.is_null()) else { return false };
    slot.replace_keeping_quotes(theirs.clone());
    theirs.clone_from(slot);
    true
}

/// What a mapping of the patch says about itself; that is taken out of it.
fn take_directive(map: &mut Map) -> Result<Directive, MergeError> {
    let Some(value) = map.get(DIRECTIVE) else { return Ok(Directive::Merge) };
    let directive = parse_directive(value)?;
    map.remove(DIRECTIVE);
    Ok(directive)
}

pub(super) fn parse_directive(value: &Value) -> Result<Directive, MergeError> {
    match value.text() {
        Some("merge") => Ok(Directive::Merge),
        Some("replace") => Ok(Directive::Replace),
        Some("delete") => Ok(Directive::Delete),
        _ => Err(MergeError::new(format!("{DIRECTIVE} is none of `merge`, `replace` and `delete`"))),
    }
}

/// Whether a value is null, or a mapping without entries.
pub(super) fn is_empty_or_null(value: &Value) -> bool {
    value.is_null() || value.as_map().is_some_and(Map::is_empty)
}
