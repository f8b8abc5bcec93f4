//! Selectors of labels, in the notation of Kubernetes: `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1`.

/// Characters that are operators, or parts of them.
const SPECIAL: [char; 7] = ['=', '!', '(', ')', ',', '>', '<'];
/// Longest name of a label, without its prefix, and longest value.
const MAX_NAME: usize = 63;
/// Longest prefix of the name of a label.
const MAX_PREFIX: usize = 253;

/// A selector. All of its requirements must be met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Exists,
    DoesNotExist,
    In,
    NotIn,
    Greater,
    Less,
}

impl LabelSelector {
    /// Reads a selector. An empty one selects everything.
    pub fn parse(text: &str) -> Result<Self, String> {
        let tokens = tokens(text)?;
        let mut parser = Parser { tokens: &tokens };
        let mut requirements = Vec::new();
        while !parser.tokens.is_empty() {
            requirements.push(parser.requirement()?);
            match parser.next() {
                None => break,
                Some(",") if !parser.tokens.is_empty() => {}
                Some(",") => return Err("there is nothing behind its last comma".to_owned()),
                Some(other) => return Err(format!("a comma is needed in front of `{other}`")),
            }
        }
        Ok(Self { requirements })
    }

    /// Whether labels, of which `get` gives the values, are selected.
    pub fn matches<'l>(&self, get: impl Fn(&str) -> Option<&'l str>) -> bool {
        self.requirements.iter().all(|requirement| requirement.matches(get(&requirement.key)))
    }
}

impl Requirement {
    fn matches(&self, value: Option<&str>) -> bool {
        let listed = |value: &str| self.values.iter().any(|known| known == value);
        let compared = |value: &str| {
            let wanted = self.values.first()?.parse::<i64>().ok()?;
            Some(value.parse::<i64>().ok()?.cmp(&wanted))
        };
        match self.operator {
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::In => value.is_some_and(listed),
            Operator::NotIn => !value.is_some_and(listed),
            Operator::Greater => value.and_then(compared).is_some_and(std::cmp::Ordering::is_gt),
            Operator::Less => value.and_then(compared).is_some_and(std::cmp::Ordering::is_lt),
        }
    }
}

/// Splits a selector into words and operators.
fn tokens(text: &str) -> Result<Vec<&str>, String> {
    let blank = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n');
    let mut tokens = Vec::new();
    let mut rest = text.trim_start_matches(blank);
    while !rest.is_empty() {
        let length = if rest.starts_with(SPECIAL) {
            let longest =
                ["==", "!=", "=", "!", "(", ")", ",", ">", "<"].iter().find(|token| rest.starts_with(**token));
            longest.map_or(1, |token| token.len())
        } else {
            rest.find(|c| SPECIAL.contains(&c) || blank(c)).unwrap_or(rest.len())
        };
        let (token, tail) = rest.split_at_checked(length).ok_or("it can't be split into words")?;
        tokens.push(token);
        rest = tail.trim_start_matches(blank);
    }
    Ok(tokens)
}

struct Parser<'t> {
    tokens: &'t [&'t str],
}

impl<'t> Parser<'t> {
    fn next(&mut self) -> Option<&'t str> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    fn peek(&self) -> Option<&'t str> {
        self.tokens.first().copied()
    }

    fn word(&mut self, what: &str) -> Result<&'t str, String> {
        match self.next() {
            Some(word) if !word.starts_with(SPECIAL) => Ok(word),
            Some(other) => Err(format!("{what} is needed where `{other}` stands")),
            None => Err(format!("{what} is missing at its end")),
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let negated = self.peek() == Some("!");
        if negated {
            self.next();
        }
        let key = self.word("the name of a label")?;
        check_key(key)?;
        let ends = matches!(self.peek(), None | Some(","));
        let (operator, values) = if negated {
            (Operator::DoesNotExist, Vec::new())
        } else if ends {
            (Operator::Exists, Vec::new())
        } else {
            self.comparison()?
        };
        values.iter().try_for_each(|value| check_value(value))?;
        Ok(Requirement { key: key.to_owned(), operator, values })
    }

    fn comparison(&mut self) -> Result<(Operator, Vec<String>), String> {
        match self.next() {
            Some("=" | "==") => Ok((Operator::In, vec![self.value()?])),
            Some("!=") => Ok((Operator::NotIn, vec![self.value()?])),
            Some("in") => Ok((Operator::In, self.values()?)),
            Some("notin") => Ok((Operator::NotIn, self.values()?)),
            Some(sign @ (">" | "<")) => {
                let value = self.value()?;
                if value.parse::<i64>().is_err() {
                    return Err(format!("a whole number is needed behind `{sign}`"));
                }
                Ok((if sign == ">" { Operator::Greater } else { Operator::Less }, vec![value]))
            }
            other => Err(format!(
                "one of `=`, `==`, `!=`, `in`, `notin`, `<` and `>` is needed where `{}` stands",
                other.unwrap_or_default()
            )),
        }
    }

    /// The one value behind an operator, which may be left out.
    fn value(&mut self) -> Result<String, String> {
        match self.peek() {
            None | Some(",") => Ok(String::new()),
            _ => self.word("a value").map(str::to_owned),
        }
    }

    /// Values in parentheses, each of which may be left out.
    fn values(&mut self) -> Result<Vec<String>, String> {
        if self.next() != Some("(") {
            return Err("`(` is needed behind `in` and `notin`".to_owned());
        }
        let mut values = Vec::new();
        let mut expected = true;
        loop {
            match self.next() {
                Some(")") => {
                    if expected {
                        values.push(String::new());
                    }
                    return Ok(values);
                }
                Some(",") => {
                    if expected {
                        values.push(String::new());
                    }
                    expected = true;
                }
                Some(word) if expected && !word.starts_with(SPECIAL) => {
                    values.push(word.to_owned());
                    expected = false;
                }
                Some(other) => return Err(format!("`,` or `)` is needed where `{other}` stands")),
                None => return Err("`)` is missing at its end".to_owned()),
            }
        }
    }
}

/// Letters, digits, `-`, `_` and `.`, with a letter or digit at both ends.
fn is_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let ends = [text.bytes().next(), text.bytes().next_back()];
    text.len() <= MAX_NAME && ends.iter().flatten().all(u8::is_ascii_alphanumeric) && text.bytes().all(inner)
}

fn check_key(key: &str) -> Result<(), String> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    let label = |part: &str| {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !part.is_empty() && !part.starts_with('-') && !part.ends_with('-') && part.bytes().all(inner)
    };
    let prefixed = prefix.is_none_or(|prefix| prefix.len() <= MAX_PREFIX && prefix.split('.').all(label));
    if prefixed && !name.is_empty() && is_name(name) {
        return Ok(());
    }
    Err(format!("`{key}` can't be the name of a label"))
}

fn check_value(value: &str) -> Result<(), String> {
    if is_name(value) { Ok(()) } else { Err(format!("`{value}` can't be the value of a label")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selects(selector: &str, labels: &[(&str, &str)]) -> bool {
        let selector = LabelSelector::parse(selector).unwrap_or_else(|error| panic!("{selector}: {error}"));
        selector.matches(|key| labels.iter().find(|(name, _)| *name == key).map(|(_, value)| *value))
    }

    #[test]
    fn requirements_select() {
        let labels = [("a", "b"), ("x.io/y", "z"), ("n", "5"), ("e", "")];
        for selector in [
            "",
            "a",
            "a=b",
            "a==b",
            "a != c",
            "!q",
            "q!=b",
            "a in (b, c)",
            "a notin (c)",
            "q notin (b)",
            "x.io/y=z",
            "n>4",
            "n<6",
            "a=b,n,e=",
            "e in ()",
            "e in (b,)",
            "e in (,b)",
            "a=b , x.io/y in (z)",
        ] {
            assert!(selects(selector, &labels), "{selector}");
        }
        for selector in ["q", "a=c", "!a", "a in (c)", "a notin (b)", "n>5", "q>1", "a>1", "a=b,q", "a="] {
            assert!(!selects(selector, &labels), "{selector}");
        }
    }

    #[test]
    fn what_is_no_selector_is_an_error() {
        for selector in [
            ",",
            "a,",
            "a b",
            "a=b c=d",
            "=b",
            "a in b",
            "a in (b",
            "a in (b c)",
            "a>b",
            "!a=b",
            "a/b/c",
            "-a",
            "a=-",
            "a=b)",
            "(a)",
            "A/b",
            "a=<",
        ] {
            assert!(LabelSelector::parse(selector).is_err(), "{selector}");
        }
    }
}
