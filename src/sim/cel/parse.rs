//! The grammar.

use serde_json::Value;

use super::{Function, Macro, Node, Operator};

/// Deepest nesting of an expression.
const MAX_DEPTH: usize = 64;

/// Operators by how tightly they bind, the loosest first; of each line, longer ones first.
const OPERATORS: [&[(&str, Operator)]; 5] = [
    &[("||", Operator::Or)],
    &[("&&", Operator::And)],
    &[
        ("<=", Operator::AtMost),
        (">=", Operator::AtLeast),
        ("==", Operator::Equal),
        ("!=", Operator::Different),
        ("<", Operator::Less),
        (">", Operator::Greater),
        ("in", Operator::In),
    ],
    &[("+", Operator::Add), ("-", Operator::Subtract)],
    &[("*", Operator::Multiply), ("/", Operator::Divide), ("%", Operator::Remainder)],
];
/// Functions of what stands in front of them.
const METHODS: [(&str, Function, usize); 6] = [
    ("size", Function::Size, 0),
    ("startsWith", Function::StartsWith, 1),
    ("endsWith", Function::EndsWith, 1),
    ("contains", Function::Contains, 1),
    ("matches", Function::Matches, 1),
    ("lowerAscii", Function::LowerAscii, 0),
];
const MACROS: [(&str, Macro); 5] = [
    ("all", Macro::All),
    ("exists", Macro::Exists),
    ("exists_one", Macro::ExistsOne),
    ("filter", Macro::Filter),
    ("map", Macro::Map),
];

pub(super) fn parse(text: &str) -> Option<Node> {
    let mut parser = Parser { rest: text, depth: 0 };
    let node = parser.choice()?;
    parser.blank();
    parser.rest.is_empty().then_some(node)
}

struct Parser<'t> {
    rest: &'t str,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn blank(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Takes a sign if it stands next. A word must end where it ends.
    fn take(&mut self, sign: &str) -> bool {
        self.blank();
        let Some(rest) = self.rest.strip_prefix(sign) else { return false };
        let is_word = sign.starts_with(|c: char| c.is_ascii_alphabetic());
        if is_word && rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
            return false;
        }
        self.rest = rest;
        true
    }

    fn word(&mut self) -> Option<&'t str> {
        self.blank();
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_').then(|| {
            self.rest = rest;
            word
        })
    }

    fn choice(&mut self) -> Option<Node> {
        if self.depth >= MAX_DEPTH {
            return None;
        }
        self.depth += 1;
        let condition = self.binary(&OPERATORS)?;
        let node = if self.take("?") {
            let then = self.choice()?;
            let otherwise = self.take(":").then(|| self.choice())??;
            Node::Choice(Box::new(condition), Box::new(then), Box::new(otherwise))
        } else {
            condition
        };
        self.depth -= 1;
        Some(node)
    }

    fn binary(&mut self, levels: &[&[(&str, Operator)]]) -> Option<Node> {
        let Some((level, tighter)) = levels.split_first() else { return self.unary() };
        let mut node = self.binary(tighter)?;
        while let Some((_, operator)) = level.iter().find(|(sign, _)| self.take(sign)) {
            let right = self.binary(tighter)?;
            node = Node::Binary(*operator, Box::new(node), Box::new(right));
        }
        Some(node)
    }

    fn unary(&mut self) -> Option<Node> {
        if self.depth >= MAX_DEPTH {
            return None;
        }
        self.depth += 1;
        let node = if self.take("!") {
            Node::Not(Box::new(self.unary()?))
        } else if self.take("-") {
            Node::Negative(Box::new(self.unary()?))
        } else {
            self.postfix()?
        };
        self.depth -= 1;
        Some(node)
    }

    fn postfix(&mut self) -> Option<Node> {
        let mut node = self.primary()?;
        loop {
            if self.take(".") {
                let name = self.word()?;
                node = if self.take("(") {
                    self.method(node, name)?
                } else {
                    Node::Member(Box::new(node), name.to_owned())
                };
            } else if self.take("[") {
                let index = self.choice()?;
                node = self.take("]").then_some(Node::Index(Box::new(node), Box::new(index)))?;
            } else {
                return Some(node);
            }
        }
    }

    fn method(&mut self, of: Node, name: &str) -> Option<Node> {
        if let Some((_, kind)) = MACROS.iter().find(|(known, _)| *known == name) {
            let item = self.word()?.to_owned();
            let body = self.take(",").then(|| self.choice())??;
            return self.take(")").then_some(Node::Each(*kind, Box::new(of), item, Box::new(body)));
        }
        let (_, function, count) = METHODS.iter().find(|(known, ..)| *known == name)?;
        let mut arguments = vec![of];
        arguments.extend(self.list(")")?);
        (arguments.len() == count + 1).then_some(Node::Call(*function, arguments))
    }

    /// Expressions up to a sign.
    fn list(&mut self, end: &str) -> Option<Vec<Node>> {
        let mut nodes = Vec::new();
        loop {
            if self.take(end) {
                return Some(nodes);
            }
            if !nodes.is_empty() && !self.take(",") {
                return None;
            }
            nodes.push(self.choice()?);
        }
    }

    fn primary(&mut self) -> Option<Node> {
        self.blank();
        match self.rest.chars().next()? {
            '(' => {
                self.take("(");
                let node = self.choice()?;
                self.take(")").then_some(node)
            }
            '[' => {
                self.take("[");
                self.list("]").map(Node::List)
            }
            quote @ ('"' | '\'') => self.text(quote),
            digit if digit.is_ascii_digit() => self.number(),
            _ => self.named(),
        }
    }

    fn named(&mut self) -> Option<Node> {
        let word = self.word()?;
        let constant = match word {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            "null" => Some(Value::Null),
            _ => None,
        };
        if let Some(constant) = constant {
            return Some(Node::Literal(constant));
        }
        if !self.take("(") {
            return Some(Node::Name(word.to_owned()));
        }
        let mut arguments = self.list(")")?;
        match (word, arguments.len()) {
            ("has", 1) => match arguments.pop()? {
                Node::Member(of, name) => Some(Node::Has(of, name)),
                _ => None,
            },
            ("size", 1) => Some(Node::Call(Function::Size, arguments)),
            ("string", 1) => Some(Node::Call(Function::Text, arguments)),
            _ => None,
        }
    }

    fn number(&mut self) -> Option<Node> {
        let end = self.rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        if digits.contains('.') {
            return Some(Node::Literal(digits.parse::<f64>().ok()?.into()));
        }
        Some(Node::Literal(digits.parse::<i64>().ok()?.into()))
    }

    fn text(&mut self, quote: char) -> Option<Node> {
        let mut text = String::new();
        let mut letters = self.rest.char_indices().skip(1);
        while let Some((at, letter)) = letters.next() {
            match letter {
                '\\' => text.push(match letters.next()?.1 {
                    'n' => '\n',
                    't' => '\t',
                    same @ ('\\' | '\'' | '"') => same,
                    _ => return None,
                }),
                letter if letter == quote => {
                    self.rest = self.rest.get(at + 1..)?;
                    return Some(Node::Literal(text.into()));
                }
                letter => text.push(letter),
            }
        }
        None
    }
}
