//! YAML inside of texts, printed again in the styles that it was written in: quotes, blocks and braces stay, as go-yaml v3
//! keeps them, while indentation becomes two spaces and empty lines go.
//!
//! Comments, anchors, tags and folded blocks are more than is kept here; a text with one of them is refused, and so is a
//! mapping or list put into one whose own styles are not known.

use serde_saphyr::granit_parser::{Event, Options, Parser, ScalarStyle, StrInput, StructureStyle};

use super::emit::{Emitter, Style};
use super::scalar;
use super::value::{Map, Value};

/// Longest key that stands on the line of its value.
const SIMPLE_KEY: usize = 128;

/// How a value was written.
#[derive(Debug)]
enum Node {
    Scalar(Style, String),
    Seq(bool, Vec<Self>),
    Map(bool, Vec<(Self, Self)>),
}

/// `changed` as YAML, in the styles of `text`: the same document before some of its fields were set. `replaced` are the
/// addresses of those that were mappings or lists, and have the styles of what took their place.
pub(super) fn print(text: &str, changed: &Value, replaced: &[*const Value]) -> Result<String, String> {
    let node = Reader::new(text).document().map_err(|what| {
        format!("the text there is YAML with {what}, in which nothing can be replaced; write it without, or as JSON")
    })?;
    let mut out = String::new();
    let mut writer = Writer { emitter: Emitter::new(&mut out), replaced };
    writer.document(changed, &node)?;
    Ok(out.trim().to_owned())
}

struct Reader<'i> {
    text: &'i str,
    parser: Parser<'i, StrInput<'i>>,
}

impl<'i> Reader<'i> {
    fn new(text: &'i str) -> Self {
        let mut options = Options::default();
        options.flow_nesting_limit = super::read::MAX_NESTING;
        options.block_nesting_limit = super::read::MAX_NESTING;
        options.emit_comments = true;
        Self { text, parser: Parser::new_from_str_with_options(text, options) }
    }

    fn next(&mut self) -> Result<(Event<'i>, bool), &'static str> {
        match self.parser.next_event() {
            Some(Ok((Event::Comment(..), _))) => Err("comments"),
            Some(Ok((event, span))) => Ok((event, span.start.index() == span.end.index())),
            Some(Err(_)) | None => Err("mistakes"),
        }
    }

    fn document(&mut self) -> Result<Node, &'static str> {
        if self.text.lines().any(|line| line.starts_with("---") || line.starts_with('%')) {
            return Err("several documents");
        }
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(..), _) => {}
                (event, empty) => {
                    let node = self.node(event, empty)?;
                    // A comment may still follow.
                    while !matches!(self.next()?, (Event::StreamEnd, _)) {}
                    return Ok(node);
                }
            }
        }
    }

    fn node(&mut self, event: Event<'i>, empty: bool) -> Result<Node, &'static str> {
        Ok(match event {
            Event::Scalar(text, style, 0, None) => {
                let style = match style {
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::SingleQuoted => Style::SingleQuoted,
                    ScalarStyle::DoubleQuoted => Style::DoubleQuoted,
                    ScalarStyle::Literal => Style::Literal,
                    ScalarStyle::Folded => return Err("folded blocks"),
                };
                // The parser says `~` for what was left out.
                let left_out = empty && style == Style::Plain;
                Node::Scalar(style, if left_out { String::new() } else { text.into_owned() })
            }
            Event::SequenceStart(style, 0, None) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break Node::Seq(style == StructureStyle::Flow, items),
                        (event, empty) => items.push(self.node(event, empty)?),
                    }
                }
            }
            Event::MappingStart(style, 0, None) => {
                let mut entries = Vec::new();
                loop {
                    let (event, empty) = self.next()?;
                    if matches!(event, Event::MappingEnd) {
                        break Node::Map(style == StructureStyle::Flow, entries);
                    }
                    let key = self.node(event, empty)?;
                    let (event, empty) = self.next()?;
                    entries.push((key, self.node(event, empty)?));
                }
            }
            Event::Alias(..) => return Err("aliases"),
            _ => return Err("anchors or tags"),
        })
    }
}

/// Prints values in the styles of their nodes. What has no node was made, or comes from elsewhere.
struct Writer<'o> {
    emitter: Emitter<'o>,
    replaced: &'o [*const Value],
}

impl Writer<'_> {
    /// The node that a value still has.
    fn kept<'n>(&self, value: &Value, node: Option<&'n Node>) -> Option<&'n Node> {
        node.filter(|_| !self.replaced.iter().any(|replaced| std::ptr::eq(*replaced, value)))
    }

    fn document(&mut self, value: &Value, node: &Node) -> Result<(), String> {
        match (value, node) {
            (Value::Map(map), Node::Map(false, entries)) if !map.is_empty() => self.mapping(map, entries, 0, true),
            (Value::Seq(items), Node::Seq(false, nodes)) if !items.is_empty() => self.sequence(items, nodes, 0, true),
            _ => self.inline(value, Some(node), 0, false),
        }
    }

    fn mapping(&mut self, map: &Map, nodes: &[(Node, Node)], indent: usize, mut fresh: bool) -> Result<(), String> {
        for (at, (key, value)) in map.iter().enumerate() {
            if !fresh {
                self.emitter.line(indent);
            }
            fresh = false;
            let node = nodes.get(at);
            self.key(key, node.map(|(key, _)| key))?;
            self.emitter.indicator(":");
            self.entry(value, node.map(|(_, value)| value), indent)?;
        }
        Ok(())
    }

    fn key(&mut self, key: &str, node: Option<&Node>) -> Result<(), String> {
        let style = match node {
            None => Style::Plain,
            Some(Node::Scalar(style, text)) if text == key && *style != Style::Literal => *style,
            Some(_) => return Err("a key of the YAML there is no simple text".to_owned()),
        };
        if key.len() > SIMPLE_KEY || key.contains('\n') || (key.is_empty() && style == Style::Plain) {
            return Err("a key of the YAML there is empty or too long".to_owned());
        }
        self.emitter.styled(key, style, 0, false);
        Ok(())
    }

    /// Writes the value behind a key and its colon.
    fn entry(&mut self, value: &Value, node: Option<&Node>, indent: usize) -> Result<(), String> {
        let node = self.kept(value, node);
        match (value, node) {
            (Value::Map(map), None) if !map.is_empty() && !map.is_flow() => {
                self.emitter.line(indent + 2);
                self.mapping(known(map)?, &[], indent + 2, true)
            }
            (Value::Seq(items), None) if is_block(items) => {
                self.emitter.line(indent);
                self.sequence(items, &[], indent, true)
            }
            (Value::Map(map), Some(Node::Map(false, nodes))) if !map.is_empty() => {
                self.emitter.line(indent + 2);
                self.mapping(map, nodes, indent + 2, true)
            }
            (Value::Seq(items), Some(Node::Seq(false, nodes))) if !items.is_empty() => {
                self.emitter.line(indent);
                self.sequence(items, nodes, indent, true)
            }
            _ => {
                if !is_left_out(value) {
                    self.emitter.space();
                }
                self.inline(value, node, indent + 2, false)
            }
        }
    }

    fn sequence(&mut self, items: &[Value], nodes: &[Node], indent: usize, mut fresh: bool) -> Result<(), String> {
        for (at, item) in items.iter().enumerate() {
            if !fresh {
                self.emitter.line(indent);
            }
            fresh = false;
            self.emitter.indicator("-");
            match (item, self.kept(item, nodes.get(at))) {
                (Value::Map(map), Some(Node::Map(false, nodes))) if !map.is_empty() => {
                    self.emitter.space();
                    self.mapping(map, nodes, indent + 2, true)?;
                }
                (Value::Map(map), None) if !map.is_empty() && !map.is_flow() => {
                    self.emitter.space();
                    self.mapping(known(map)?, &[], indent + 2, true)?;
                }
                (Value::Seq(items), None) if is_block(items) => {
                    self.emitter.space();
                    self.sequence(items, &[], indent + 2, true)?;
                }
                (Value::Seq(items), Some(Node::Seq(false, nodes))) if !items.is_empty() => {
                    self.emitter.space();
                    self.sequence(items, nodes, indent + 2, true)?;
                }
                (item, node) => {
                    if !is_left_out(item) {
                        self.emitter.space();
                    }
                    self.inline(item, node, indent + 2, false)?;
                }
            }
        }
        Ok(())
    }

    /// Writes what stands on the line that it begins on: a scalar, or a collection in brackets.
    fn inline(&mut self, value: &Value, node: Option<&Node>, indent: usize, flow: bool) -> Result<(), String> {
        let node = self.kept(value, node);
        match (value, node) {
            (Value::Map(map), Some(Node::Map(..)) | None) => {
                let nodes = match node {
                    Some(Node::Map(_, nodes)) => nodes.as_slice(),
                    _ => known(map).map(|_| [].as_slice())?,
                };
                self.emitter.indicator("{");
                for (at, (key, value)) in map.iter().enumerate() {
                    self.emitter.indicator(if at > 0 { ", " } else { "" });
                    let node = nodes.get(at);
                    self.flow_key(key, node.map(|(key, _)| key))?;
                    self.emitter.indicator(": ");
                    self.inline(value, node.map(|(_, value)| value), indent + 2, true)?;
                }
                self.emitter.indicator("}");
            }
            (Value::Seq(items), None) if !flow && !items.is_empty() => return Err(UNKNOWN.to_owned()),
            (Value::Seq(items), Some(Node::Seq(..)) | None) => {
                let nodes = if let Some(Node::Seq(_, nodes)) = node { nodes.as_slice() } else { &[] };
                self.emitter.indicator("[");
                for (at, item) in items.iter().enumerate() {
                    self.emitter.indicator(if at > 0 { ", " } else { "" });
                    self.inline(item, nodes.get(at), indent + 2, true)?;
                }
                self.emitter.indicator("]");
            }
            (Value::Map(_) | Value::Seq(_), Some(_)) => return Err(UNKNOWN.to_owned()),
            (scalar, node) => return self.scalar(scalar, node, indent, flow),
        }
        Ok(())
    }

    fn flow_key(&mut self, key: &str, node: Option<&Node>) -> Result<(), String> {
        if key.contains([',', '[', ']', '{', '}', '?', ':']) {
            return Err("a key between braces in the YAML there has special characters".to_owned());
        }
        self.key(key, node)
    }

    fn scalar(&mut self, value: &Value, node: Option<&Node>, indent: usize, flow: bool) -> Result<(), String> {
        let text = value.text().unwrap_or_default();
        let style = match node {
            Some(Node::Scalar(style, old)) => {
                // A string without quotes gets some where it would be read as something else.
                let was_string = matches!(value, Value::Str(_)) || scalar::kind(old).is_none();
                let forced = *style == Style::Plain && was_string && scalar::kind(text).is_some();
                if forced && !value.is_untagged() { Style::DoubleQuoted } else { *style }
            }
            Some(_) if value.is_quoted() => {
                return Err("a text with quotes can't take the place of a list or mapping".to_owned());
            }
            _ => {
                let forced = !value.is_quoted() && !value.is_untagged() && matches!(value, Value::Str(_));
                if forced && scalar::kind(text).is_some() { Style::DoubleQuoted } else { value.style() }
            }
        };
        if style == Style::Plain && text == "<<" || style == Style::Folded && !flow {
            return Err("the text can't be put into the YAML there; write that as JSON".to_owned());
        }
        self.emitter.styled(text, style, indent, flow);
        Ok(())
    }
}

/// Why a mapping or a list can't be printed.
const UNKNOWN: &str = "a list or mapping can't be put into the YAML that the text there is in the styles that it has; \
                       write the text as JSON";

/// A mapping from elsewhere, if nothing that is not known would be printed of it.
fn known(map: &Map) -> Result<&Map, String> {
    if map.is_decorated() {
        return Err("the mapping that is put into the YAML there has comments or keys in quotes, which are not kept; \
                    remove those, or write the text as JSON"
            .to_owned());
    }
    Ok(map)
}

/// Whether a list from elsewhere stands on lines of its own, as far as that is known: by the mappings in it.
fn is_block(items: &[Value]) -> bool {
    items.iter().any(|item| matches!(item, Value::Map(map) if !map.is_empty() && !map.is_flow()))
}

/// Whether nothing is written for a value in a block.
fn is_left_out(value: &Value) -> bool {
    matches!(value, Value::Plain(plain) if plain.text().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::kustomize::read;

    /// `text` with its entry `a` set to `new`.
    fn set(text: &str, new: Value) -> Result<String, String> {
        let mut value = read::document(text).unwrap().unwrap();
        value.as_map_mut().unwrap().insert("a", new);
        print(text, &value, &[])
    }

    #[test]
    fn styles_stay() {
        let text = "a: old\nb:\n    c: 'd'\n\n    e: \"f\"\ng:\n  - h\n  - {i: j}\n";
        let printed = "a: new\nb:\n  c: 'd'\n  e: \"f\"\ng:\n- h\n- {i: j}";
        assert_eq!(set(text, Value::str("new")).unwrap(), printed);
        assert_eq!(set("a: old\n", Value::str("8")).unwrap(), "a: \"8\"");
        assert_eq!(set("a: 7\n", Value::plain("8")).unwrap(), "a: 8");
        assert_eq!(set("b: 7\n", Value::untagged("8")).unwrap(), "b: 7\na: 8");
    }

    #[test]
    fn what_would_be_lost_is_refused() {
        let texts = [
            ("a: b # c\n", "comments"),
            ("a: b\n# c\n", "comments"),
            ("a: &x b\nc: *x\n", "anchors"),
            ("a: !!str b\n", "tags"),
            ("a: >\n  b\n", "folded"),
            ("---\na: b\n", "documents"),
            ("a: b\n<<: {c: d}\n", "key"),
        ];
        for (text, what) in texts {
            let error = set(text, Value::str("new")).unwrap_err();
            assert!(error.contains(what), "{text:?}: {error}");
        }
        assert!(set("a: >-\n  b\n", Value::quoted("c\nd")).is_err());
        assert!(set("a: b\n", Value::str("<<")).is_err());
        assert!(set("a: b\n", Value::Seq(vec![Value::str("c")])).is_err());
        assert!(set("a: [b]\n", Value::quoted("c")).is_err());
    }
}
