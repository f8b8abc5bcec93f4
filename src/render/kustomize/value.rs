//! The values of YAML documents, with what is needed to print them as kustomize does and nothing else: no comments, which
//! kustomize drops, but the text of unquoted scalars, which it copies into names, annotations and patches, and which
//! strings had quotes: what is written over such a string becomes a string itself.

use super::emit::Style;
use super::scalar;

pub use super::map::Map;
pub use super::scalar::Kind;

/// A YAML value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A scalar without quotes that is no string: null, a boolean, a number or a time.
    Plain(Plain),
    /// A string.
    Str(Text),
    /// A sequence.
    Seq(Vec<Self>),
    /// A mapping. Its keys are strings.
    Map(Map),
}

/// A scalar that is no string, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plain {
    text: Box<str>,
    kind: Kind,
    untagged: bool,
}

impl Plain {
    /// A scalar of this kind. `text` must be a text that is read as this kind.
    pub(super) fn new(text: &str, kind: Kind) -> Self {
        Self { text: text.into(), kind, untagged: false }
    }

    /// Null, as a scalar of which nothing was written.
    pub(super) fn empty() -> Self {
        Self::new("", Kind::Null)
    }

    /// The text as it was written: `0x1F`, `True`, `~`.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it is.
    pub const fn kind(&self) -> Kind {
        self.kind
    }
}

/// A string. Two are equal if they say the same, with quotes or without.
#[derive(Clone, Debug, Default)]
pub struct Text {
    text: Box<str>,
    style: Style,
    /// The node that it belongs to with others of its object (see `shared.rs`); 0 if it is one by itself.
    shared: u32,
    untagged: bool,
}

impl Text {
    /// The node that it belongs to; 0 if it is one by itself.
    pub(super) const fn shared(&self) -> u32 {
        self.shared
    }

    /// Puts it into a node.
    pub(super) const fn set_shared(&mut self, node: u32) {
        self.shared = node;
    }

    /// A string that stands in quotes, or in a block.
    pub fn quoted(text: impl Into<String>) -> Self {
        Self::styled(text, Style::DoubleQuoted)
    }

    /// A string that is written in this way.
    pub(super) fn styled(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into().into(), style, shared: 0, untagged: false }
    }

    /// How it is written, where that can be.
    pub(super) const fn style(&self) -> Style {
        self.style
    }

    /// Whether it stands in quotes, or in a block.
    pub const fn is_quoted(&self) -> bool {
        !matches!(self.style, Style::Plain)
    }

    /// Gives it quotes if go-yaml v2 would not read it as a string without them.
    pub(super) fn quote_if_keyword(&mut self) {
        if !self.is_quoted() && !self.text.is_empty() && scalar::needs_quotes(&self.text) {
            self.style = Style::DoubleQuoted;
        }
        self.untagged &= !self.is_quoted();
    }
}

impl std::ops::Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Text {}

impl From<String> for Text {
    /// A string without quotes.
    fn from(text: String) -> Self {
        Self::styled(text, Style::Plain)
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.text.into()
    }
}

impl Value {
    /// Null, as it stands behind a key without a value.
    pub fn null() -> Self {
        Self::Plain(Plain::new("null", Kind::Null))
    }

    /// A boolean.
    pub fn bool(value: bool) -> Self {
        Self::Plain(Plain::new(if value { "true" } else { "false" }, Kind::Bool))
    }

    /// An integer.
    pub fn int(value: i64) -> Self {
        Self::Plain(Plain::new(&value.to_string(), Kind::Int))
    }

    /// A string, without quotes as far as patches are concerned.
    pub fn str(text: impl Into<String>) -> Self {
        Self::Str(Text::from(text.into()))
    }

    /// A string that stands in quotes, or in a block.
    pub fn quoted(text: impl Into<String>) -> Self {
        Self::Str(Text::quoted(text))
    }

    /// What `text` is as a scalar without quotes: a number for `12`, null for `~`, a string for what is nothing else.
    pub fn plain(text: &str) -> Self {
        match scalar::kind(text) {
            Some(kind) => Self::Plain(Plain::new(text, kind)),
            None => Self::str(text),
        }
    }

    /// Whether it is a scalar that kustomize set or made: it is of no type, so anything may be written over it.
    pub(super) const fn is_untagged(&self) -> bool {
        match self {
            Self::Str(text) => text.untagged,
            Self::Plain(plain) => plain.untagged || matches!(plain.kind, Kind::Empty),
            _ => false,
        }
    }

    /// A scalar of no type that says `text`.
    pub(super) fn untagged(text: &str) -> Self {
        let mut value = Self::plain(text);
        match &mut value {
            Self::Str(text) => text.untagged = true,
            Self::Plain(plain) => plain.untagged = true,
            _ => {}
        }
        value
    }

    /// Makes it print as an empty text if it is null of which nothing is written.
    pub(super) fn settle_empty(&mut self) {
        if let Self::Plain(plain) = self
            && plain.text.is_empty()
        {
            plain.kind = Kind::Empty;
        }
    }

    /// Gives quotes to what a walk of a merge passes and an older version of YAML would not take for a string, so that it
    /// stays one whatever a later patch puts there. A scalar of no type becomes a string by that, except for times.
    pub(super) fn quote_if_keyword(&mut self) {
        match self {
            Self::Str(text) => text.quote_if_keyword(),
            Self::Plain(plain) if plain.untagged && !plain.text.is_empty() && plain.kind != Kind::Time => {
                *self = Self::quoted(&*plain.text);
            }
            _ => {}
        }
    }

    /// Whether it is a string that stands in quotes, or in a block.
    pub const fn is_quoted(&self) -> bool {
        matches!(self, Self::Str(text) if text.is_quoted())
    }

    /// How it is written, where that can be.
    pub(super) const fn style(&self) -> Style {
        match self {
            Self::Str(text) => text.style(),
            _ => Style::Plain,
        }
    }

    /// A string in the quotes that this one has, if any.
    pub(super) fn with_its_quotes(&self, text: impl Into<String>) -> Self {
        Self::Str(Text::styled(text, self.style()))
    }

    /// Replaces it by `value`, which gets the quotes that this one has, or loses its own: a scalar that is written over a
    /// string in quotes becomes a string.
    pub fn replace_keeping_quotes(&mut self, value: Self) {
        let shared = self.shared();
        *self = match value {
            Self::Str(text) => {
                Self::Str(Text { text: text.text, style: self.style(), shared, untagged: text.untagged })
            }
            Self::Plain(plain) if self.is_quoted() => {
                Self::Str(Text { text: plain.text, style: self.style(), shared, untagged: false })
            }
            other => other,
        };
    }

    /// Writes `text` over it as kustomize sets names: the quotes stay, and what has none is read again, so that it may
    /// become a number.
    pub fn write_over(&mut self, text: &str) {
        *self = if self.is_quoted() { self.with_its_quotes(text) } else { Self::untagged(text) };
    }

    /// Whether it is null.
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Plain(plain) if matches!(plain.kind, Kind::Null | Kind::Empty) && !plain.untagged)
    }

    /// Whether it is neither a sequence nor a mapping.
    pub const fn is_scalar(&self) -> bool {
        matches!(self, Self::Plain(_) | Self::Str(_))
    }

    /// The string. `None` for what is no string, numbers included.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Plain(plain) if plain.kind == Kind::Bool => Some(plain.text.starts_with(['t', 'T'])),
            _ => None,
        }
    }

    /// The text of a scalar as it was written, whatever it is: what kustomize compares and copies. `None` for sequences
    /// and mappings.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Plain(plain) => Some(&plain.text),
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The items of a sequence.
    pub fn as_seq(&self) -> Option<&[Self]> {
        match self {
            Self::Seq(items) => Some(items),
            _ => None,
        }
    }

    /// The items of a sequence, to change.
    pub const fn as_seq_mut(&mut self) -> Option<&mut Vec<Self>> {
        match self {
            Self::Seq(items) => Some(items),
            _ => None,
        }
    }

    /// The mapping.
    pub const fn as_map(&self) -> Option<&Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The mapping, to change.
    pub const fn as_map_mut(&mut self) -> Option<&mut Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The value under `key` of a mapping.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_map()?.get(key)
    }

    /// The value under `key` of a mapping, to change.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        self.as_map_mut()?.get_mut(key)
    }

    /// The value at a path of keys through nested mappings.
    pub fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |value, key| value.get(key))
    }

    /// What it is, for messages.
    pub const fn describe(&self) -> &'static str {
        match self {
            Self::Plain(plain) => match plain.kind {
                Kind::Null | Kind::Empty => "null",
                Kind::Bool => "a boolean",
                Kind::Int | Kind::Float => "a number",
                Kind::Time => "a time",
            },
            Self::Str(_) => "a string",
            Self::Seq(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::str(text)
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Self::Map(map)
    }
}
