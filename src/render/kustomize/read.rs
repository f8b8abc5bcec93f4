//! YAML to values as kustomize reads resources: go-yaml v3, aliases replaced by what they stand for, merge keys followed.
//!
//! Everything that a text can blow up is bounded. No message quotes a value: it may be a Secret's.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde_saphyr::granit_parser::{
    ErrorKind, Event, Options, Parser, ScalarStyle, ScanError, Span, StrInput, StructureStyle,
};

use super::read_scalar::{scalar_value, seems_commented, settings_scalar};
use super::value::{Kind, Map, Value};

/// How deep values nest.
pub const MAX_NESTING: usize = 200;
/// How many values one text has, aliases replaced.
pub const MAX_VALUES: usize = 2_000_000;
/// How much text the strings of one text have, aliases replaced, in bytes.
pub const MAX_TEXT: usize = 64 << 20;
/// Number of keys up to which two equal ones are searched for one by one.
const FEW_KEYS: usize = 16;

/// Why a text can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ReadError {
    /// Line in the text, counted from 1.
    pub line: usize,
    /// What is wrong and, where it isn't plain, what to do.
    pub reason: String,
}

/// A document of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// What it says. Never null.
    pub value: Value,
    /// Line of the text at which it begins, counted from 1.
    pub line: usize,
}

/// All documents of `text` that are not empty. Line ends of Windows are read as plain ones.
pub fn documents(text: &str) -> Result<Vec<Document>, ReadError> {
    let text = text.replace("\r\n", "\n");
    let mut documents = Vec::new();
    let mut budget = Budget::default();
    for (part, line) in split(&text)? {
        let value = first_document(part, &mut budget, false)
            .map_err(|error| ReadError { line: error.line + line - 1, ..error })?;
        if let Some(value) = value.filter(|value| !value.is_null()) {
            documents.push(Document { value, line });
        }
    }
    Ok(documents)
}

/// The first document of `text`. `None` if there is none.
pub fn document(text: &str) -> Result<Option<Value>, ReadError> {
    first_document(text, &mut Budget::default(), false)
}

/// The first document of a text that holds settings and no resources: such are read with go-yaml v2, for which `yes` is a
/// boolean, keys are strings whatever they look like, and of two equal keys the last counts.
pub fn settings(text: &str) -> Result<Option<Value>, ReadError> {
    first_document(text, &mut Budget::default(), true)
}

/// The first document of a text. Go-yaml looks no further than to its end, so brackets too many behind it do no harm.
fn first_document(text: &str, budget: &mut Budget, lenient: bool) -> Result<Option<Value>, ReadError> {
    let mut reader = Reader::new(text, budget)?;
    reader.lenient = lenient;
    let error = match reader.document() {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let Some(complete) = reader.bracket.and_then(|end| reader.text.get(..end)) else { return Err(error) };
    let mut reader = Reader::new(complete, budget)?;
    reader.lenient = lenient;
    reader.document().map_err(|_| error)
}

/// Splits a text at the lines that begin with `---`, the first line apart, each part with the number of its first line.
fn split(text: &str) -> Result<Vec<(&str, usize)>, ReadError> {
    let mut parts = Vec::new();
    let (mut start, mut start_line) = (0, 1);
    let (mut at, mut line) = (0, 1);
    // Whether the line break in front of this line already ended a separator.
    let mut taken = true;
    for content in text.split_inclusive('\n') {
        let separator = content.strip_prefix("---").filter(|_| !taken && content.ends_with('\n'));
        taken = false;
        if let Some(rest) = separator {
            let rest = rest.trim();
            if !rest.is_empty() && !rest.starts_with('#') {
                return Err(ReadError {
                    line,
                    reason: "only a comment may stand behind the separator `---`".to_owned(),
                });
            }
            parts.push((text.get(start..at).unwrap_or_default(), start_line));
            (start, start_line) = (at + content.len(), line + 1);
            taken = true;
        }
        at += content.len();
        line += 1;
    }
    parts.push((text.get(start..).unwrap_or_default(), start_line));
    Ok(parts)
}

/// What is left to spend on one text.
#[derive(Debug)]
struct Budget {
    values: usize,
    text: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { values: MAX_VALUES, text: MAX_TEXT }
    }
}

impl Budget {
    fn spend(&mut self, values: usize, text: usize) -> Result<(), String> {
        let left = |left: usize, spent: usize, what: &str| {
            left.checked_sub(spent).ok_or_else(|| format!("the file has too {what} once aliases are replaced"))
        };
        self.values = left(self.values, values, "many values")?;
        self.text = left(self.text, text, "much text")?;
        Ok(())
    }
}

/// Values and bytes of text in `value`.
fn weigh(value: &Value) -> (usize, usize) {
    let sum = |(values, text): (usize, usize), (more_values, more_text)| (values + more_values, text + more_text);
    match value {
        Value::Plain(plain) => (1, plain.text().len()),
        Value::Str(text) => (1, text.len()),
        Value::Seq(items) => items.iter().map(weigh).fold((1, 0), sum),
        Value::Map(map) => map.iter().map(|(key, value)| sum(weigh(value), (0, key.len()))).fold((1, 0), sum),
    }
}

/// A value with an anchor.
struct Anchored {
    value: Value,
    /// Values and bytes of text in it.
    weight: (usize, usize),
}

struct Reader<'i, 'b> {
    text: &'i str,
    parser: Parser<'i, StrInput<'i>>,
    /// By the numbers of their anchors. `None` while the value is being read.
    anchors: HashMap<usize, Option<Anchored>>,
    budget: &'b mut Budget,
    /// Whether it reads as go-yaml v2 does.
    lenient: bool,
    /// Whether it seems to have comments.
    commented: bool,
    /// Offset of a closing bracket without an opening one, at which the parser gave up.
    bracket: Option<usize>,
}

impl<'i, 'b> Reader<'i, 'b> {
    fn new(text: &'i str, budget: &'b mut Budget) -> Result<Self, ReadError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let refused = |c: char| {
            matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{7f}'..='\u{84}')
                || matches!(c, '\u{86}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}')
        };
        // Most texts are of bytes that needn't be decoded to know.
        let ordinary = text.bytes().all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~'));
        let found = if ordinary { None } else { text.find(refused) };
        if let Some(at) = found {
            let line = text.get(..at).unwrap_or_default().matches('\n').count() + 1;
            return Err(ReadError { line, reason: "control characters are not allowed".to_owned() });
        }
        let mut options = Options::default();
        options.flow_nesting_limit = MAX_NESTING;
        options.block_nesting_limit = MAX_NESTING;
        options.emit_comments = false;
        let parser = Parser::new_from_str_with_options(text, options);
        Ok(Self {
            text,
            parser,
            anchors: HashMap::new(),
            budget,
            lenient: false,
            commented: seems_commented(text),
            bracket: None,
        })
    }

    fn next(&mut self) -> Result<(Event<'i>, Span), ReadError> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => {
                if *error.kind() == ErrorKind::MisplacedFlowCollectionEnd {
                    self.bracket = error.marker().byte_offset();
                }
                Err(scan_error(&error))
            }
            None => Err(ReadError { line: 1, reason: "the text ends early".to_owned() }),
        }
    }

    /// The text that a value was read from.
    fn source(&self, span: &Span) -> &'i str {
        let range = span.start.byte_offset().zip(span.end.byte_offset());
        range.and_then(|(start, end)| self.text.get(start..end)).unwrap_or_default()
    }

    fn document(&mut self) -> Result<Option<Value>, ReadError> {
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(None),
                (Event::StreamStart | Event::DocumentStart(..), _) => {}
                (event, span) => return self.node(event, span, 0, false).map(Some),
            }
        }
    }

    fn node(&mut self, event: Event<'i>, span: Span, depth: usize, in_flow: bool) -> Result<Value, ReadError> {
        let line = span.start.line();
        let error = |reason: String| ReadError { line, reason };
        if depth > MAX_NESTING {
            return Err(error(format!("values nest deeper than {MAX_NESTING} levels")));
        }
        self.budget.spend(1, 0).map_err(error)?;
        let (value, anchor) = match event {
            Event::Alias(id) => return self.alias(id).map_err(error),
            Event::Scalar(text, style, anchor, tag) => {
                self.budget.spend(0, text.len()).map_err(error)?;
                let tag = tag.as_deref();
                // The parser says `~` for a scalar that was left out.
                if style == ScalarStyle::DoubleQuoted && !escapes_are_known(self.source(&span)) {
                    return Err(error("a string in double quotes has an escape that isn't known".to_owned()));
                }
                let left_out = style == ScalarStyle::Plain && span.start.index() == span.end.index();
                let text = if left_out { Cow::Borrowed("") } else { text };
                let value = if self.lenient {
                    settings_scalar(text.into_owned(), style, tag)
                } else {
                    scalar_value(text.into_owned(), style, tag, in_flow)
                };
                (value.map_err(|reason| error(reason.to_owned()))?, anchor)
            }
            Event::SequenceStart(style, anchor, _) => {
                self.open(anchor);
                (Value::Seq(self.items(depth, in_flow || style == StructureStyle::Flow)?), anchor)
            }
            Event::MappingStart(style, anchor, _) => {
                self.open(anchor);
                (Value::Map(self.entries(depth, in_flow || style == StructureStyle::Flow)?), anchor)
            }
            _ => return Err(error("a value is missing".to_owned())),
        };
        if anchor > 0 {
            let weight = weigh(&value);
            self.budget.spend(weight.0, weight.1).map_err(error)?;
            self.anchors.insert(anchor, Some(Anchored { value: value.clone(), weight }));
        }
        Ok(value)
    }

    fn open(&mut self, anchor: usize) {
        if anchor > 0 {
            self.anchors.insert(anchor, None);
        }
    }

    fn alias(&mut self, id: usize) -> Result<Value, String> {
        match self.anchors.get(&id) {
            Some(Some(Anchored { value, weight })) => {
                self.budget.spend(weight.0, weight.1)?;
                Ok(value.clone())
            }
            Some(None) => Err("an alias stands inside the value that it stands for".to_owned()),
            None => Err("an alias names an anchor that isn't there".to_owned()),
        }
    }

    fn items(&mut self, depth: usize, in_flow: bool) -> Result<Vec<Value>, ReadError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, span, depth + 1, in_flow)?),
            }
        }
    }

    fn entries(&mut self, depth: usize, in_flow: bool) -> Result<Map, ReadError> {
        let mut entries: Vec<(String, Value)> = Vec::new();
        let mut seen: HashSet<String> = HashSet::new();
        let (mut merged, mut quoted) = (None, false);
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let line = span.start.line();
            let error = |reason: &str| ReadError { line, reason: reason.to_owned() };
            let merge = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<");
            let key = self.node(event, span, depth + 1, in_flow)?;
            quoted |= key.is_quoted();
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1, in_flow)?;
            if merge {
                if merged.replace((value, line)).is_some() {
                    return Err(error("the merge key `<<` is given twice"));
                }
                continue;
            }
            // Kustomize takes a quoted `<<` for a merge key that was followed already.
            if !self.lenient && key.text() == Some("<<") {
                continue;
            }
            let key = key_text(key, if self.lenient { 0 } else { depth }).map_err(error)?;
            let twice = if entries.len() < FEW_KEYS {
                entries.iter().any(|(found, _)| *found == key)
            } else {
                if seen.is_empty() {
                    seen.extend(entries.iter().map(|(key, _)| key.clone()));
                }
                !seen.insert(key.clone())
            };
            if twice && self.lenient {
                entries.retain(|(found, _)| *found != key);
            } else if twice {
                return Err(error(&format!("the key {key:?} is given twice in one mapping; remove one of them")));
            }
            entries.push((key, value));
        }
        let mut map = Map::from_unique(entries, in_flow);
        if quoted || self.commented {
            map.decorate();
        }
        if let Some((value, line)) = merged {
            merge(&mut map, value).map_err(|reason| ReadError { line, reason: reason.to_owned() })?;
        }
        Ok(map)
    }
}

/// Whether go-yaml knows all escapes of a string in double quotes: it has neither `\\/` nor halves of characters.
fn escapes_are_known(quoted: &str) -> bool {
    let mut rest = quoted;
    while let Some((_, escape)) = rest.split_once('\\') {
        let mut characters = escape.chars();
        match characters.next() {
            Some('/') => return false,
            Some('u')
                if escape.get(1..5).is_some_and(|hex| matches!(u32::from_str_radix(hex, 16), Ok(0xd800..=0xdfff))) =>
            {
                return false;
            }
            _ => {}
        }
        rest = characters.as_str();
    }
    true
}

fn scan_error(error: &ScanError) -> ReadError {
    ReadError { line: error.marker().line().max(1), reason: format!("the text is no YAML: {}", error.info()) }
}

/// The text of a key. Only those of a document's outermost mapping may be no strings.
fn key_text(key: Value, depth: usize) -> Result<String, &'static str> {
    match key {
        Value::Str(text) => Ok(text.into()),
        Value::Plain(plain) if plain.kind() == Kind::Empty => Ok(String::new()),
        Value::Plain(plain) if depth == 0 => Ok(plain.text().to_owned()),
        _ => Err("a key is no string; write it with quotes"),
    }
}

/// Adds the entries of the value of a merge key that `map` lacks. Of several mappings the first wins.
fn merge(map: &mut Map, value: Value) -> Result<(), &'static str> {
    let from = match value {
        Value::Map(other) => vec![other],
        Value::Seq(items) => {
            let maps = items.into_iter().map(|item| match item {
                Value::Map(other) => Ok(other),
                _ => Err("the list behind the merge key `<<` may only hold mappings"),
            });
            maps.collect::<Result<_, _>>()?
        }
        _ => return Err("the merge key `<<` needs a mapping, or a list of mappings"),
    };
    for (key, value) in from.into_iter().flat_map(Map::into_entries) {
        map.get_or_insert_with(&key, || value);
    }
    Ok(())
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
