//! A part of the Common Expression Language: as much as the rules in schemas of custom resources mostly use.
//!
//! There are literals, members, indexing, operators, `has`, the macros over lists and maps, `size` and the common functions of
//! strings. An expression with anything else is no [`Expression`], and one whose value can't be told has none: the server
//! compiles and checks types, which this does not.

mod evaluate;
mod parse;

use serde_json::Value;

/// An expression.
#[derive(Clone, Debug)]
pub struct Expression {
    root: Node,
    uses_old: bool,
}

impl Expression {
    /// Reads an expression; `None`: it has something in it that is not known here.
    pub fn parse(text: &str) -> Option<Self> {
        let root = parse::parse(text)?;
        Some(Self { uses_old: root.names("oldSelf"), root })
    }

    /// Whether it looks at the value before, too.
    pub fn uses_old(&self) -> bool {
        self.uses_old
    }

    /// Its value, with `self` and `oldSelf` given; `None`: it can't be told.
    pub fn evaluate(&self, this: &Value, old: Option<&Value>) -> Option<Value> {
        evaluate::evaluate(&self.root, this, old)
    }
}

/// One step of an expression.
#[derive(Clone, Debug, PartialEq)]
enum Node {
    Literal(Value),
    Name(String),
    List(Vec<Self>),
    Member(Box<Self>, String),
    Index(Box<Self>, Box<Self>),
    Not(Box<Self>),
    Negative(Box<Self>),
    Binary(Operator, Box<Self>, Box<Self>),
    Choice(Box<Self>, Box<Self>, Box<Self>),
    /// `has(a.b)`.
    Has(Box<Self>, String),
    /// A function of what stands in front of it, if anything does, and of its arguments.
    Call(Function, Vec<Self>),
    /// A macro over a list or the keys of a map: what stands in front, the name of an item, what is asked of it.
    Each(Macro, Box<Self>, String, Box<Self>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Or,
    And,
    Equal,
    Different,
    Less,
    AtMost,
    Greater,
    AtLeast,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    Size,
    StartsWith,
    EndsWith,
    Contains,
    Matches,
    LowerAscii,
    Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Macro {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

impl Node {
    /// Whether a name stands anywhere in it.
    fn names(&self, name: &str) -> bool {
        match self {
            Self::Literal(_) => false,
            Self::Name(known) => known == name,
            Self::List(nodes) | Self::Call(_, nodes) => nodes.iter().any(|node| node.names(name)),
            Self::Member(of, _) | Self::Not(of) | Self::Negative(of) | Self::Has(of, _) => of.names(name),
            Self::Index(a, b) | Self::Binary(_, a, b) | Self::Each(_, a, _, b) => a.names(name) || b.names(name),
            Self::Choice(a, b, c) => a.names(name) || b.names(name) || c.names(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn expressions_have_values() {
        let this = json!({"size": 4, "replicas": 3, "name": "web", "tags": ["a", "b"], "map": {"k": 1}, "none": null});
        for (text, expected) in [
            ("!has(self.replicas) || self.replicas <= self.size", json!(true)),
            ("!has(self.missing) || self.missing > 1", json!(true)),
            ("self.missing > 1 || true", json!(true)),
            ("self.missing == 1 && false", json!(false)),
            ("self == oldSelf", json!(false)),
            ("oldSelf.size + 1 == self.size", json!(true)),
            ("self.name.startsWith('w') && self.name.matches(\"^[a-z]+$\")", json!(true)),
            ("size(self.tags) == 2 && self.tags.size() < 3", json!(true)),
            ("self.tags.all(t, t != 'c')", json!(true)),
            ("self.tags.exists(t, t == 'b') && self.tags.exists_one(t, t == 'a')", json!(true)),
            ("self.map.all(k, self.map[k] == 1)", json!(true)),
            ("self.tags.map(t, t + '!')", json!(["a!", "b!"])),
            ("self.tags.filter(t, t > 'a')", json!(["b"])),
            ("'a' in self.tags && 'k' in self.map && !(3 in [1, 2])", json!(true)),
            ("self.size > 3 ? 'many' : 'few'", json!("many")),
            ("-self.size * 2 + 10 / 3 - 7 % 4", json!(-8)),
            ("1.5 + 1.0 >= 2.5", json!(true)),
            ("self.none == null", json!(true)),
        ] {
            let found = Expression::parse(text).and_then(|read| read.evaluate(&this, Some(&json!({"size": 3}))));
            assert_eq!(found, Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_known_has_no_value() {
        for text in ["url(self.a).getHost() == 'x'", "self.", "1 +", "(1", "self.x ==", "\"open", "a b"] {
            assert!(Expression::parse(text).is_none(), "{text}");
        }
        let value = |text: &str| Expression::parse(text).and_then(|read| read.evaluate(&json!({}), None));
        for text in ["self.missing", "other", "1 / 0", "'a' + 1", "oldSelf.a", "self.a.b", "9223372036854775807 + 1"] {
            assert_eq!(value(text), None, "{text}");
        }
        assert!(Expression::parse(&"(".repeat(100_000)).is_none());
        assert!(Expression::parse("self == oldSelf").is_some_and(|read| read.uses_old()));
    }
}
