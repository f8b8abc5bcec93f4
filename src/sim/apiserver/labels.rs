//! Label selectors as the query brings them: `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1`, and what is said of wrong ones.

use super::names;
use super::status::Status;
use super::store::Stored;

/// Words that stand where an operator may.
const OPERATORS: &str = "in, notin, =, ==, !=, gt, lt";

/// A selector; all of its requirements must be met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Exists,
    Absent,
    In,
    NotIn,
    Greater,
    Less,
}

impl LabelSelector {
    /// Reads a selector; an empty one selects all.
    pub fn parse(text: &str) -> Result<Self, Status> {
        let mut parser = Parser { rest: text };
        parser.selector().map(Self).map_err(Status::bad_request)
    }

    /// Whether everything is selected.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an object is selected.
    pub fn matches(&self, object: &Stored) -> bool {
        self.0.iter().all(|requirement| requirement.matches(object.label(&requirement.key)))
    }
}

impl Requirement {
    fn matches(&self, label: Option<&str>) -> bool {
        let listed = label.is_some_and(|label| self.values.iter().any(|value| value == label));
        let order = || {
            let wanted: i64 = self.values.first()?.parse().ok()?;
            Some(label?.parse::<i64>().ok()?.cmp(&wanted))
        };
        match self.operator {
            Operator::Exists => label.is_some(),
            Operator::Absent => label.is_none(),
            Operator::In => listed,
            Operator::NotIn => !listed,
            Operator::Greater => order().is_some_and(|order| order.is_gt()),
            Operator::Less => order().is_some_and(|order| order.is_lt()),
        }
    }
}

/// Words and operators of a selector, one after the other.
struct Parser<'t> {
    rest: &'t str,
}

impl<'t> Parser<'t> {
    /// The next word or operator; empty at the end.
    fn peek(&self) -> &'t str {
        let text = self.rest.trim_start();
        let special = |c: char| matches!(c, '=' | '!' | '(' | ')' | ',' | '>' | '<');
        match text.chars().next() {
            None => "",
            Some('=' | '!') => ["==", "!="]
                .into_iter()
                .find(|known| text.starts_with(*known))
                .map_or_else(|| text.get(..1).unwrap_or_default(), |known| text.get(..known.len()).unwrap_or_default()),
            Some(first) if special(first) => text.get(..1).unwrap_or_default(),
            Some(_) => text.split(|c: char| special(c) || c.is_whitespace()).next().unwrap_or_default(),
        }
    }

    fn next(&mut self) -> &'t str {
        let token = self.peek();
        self.rest = self.rest.trim_start().get(token.len()..).unwrap_or_default();
        token
    }

    fn selector(&mut self) -> Result<Vec<Requirement>, String> {
        let mut requirements = Vec::new();
        if self.peek().is_empty() {
            return Ok(requirements);
        }
        loop {
            let requirement = self.requirement().map_err(|error| format!("unable to parse requirement: {error}"))?;
            requirements.push(requirement);
            match self.next() {
                "" => return Ok(requirements),
                "," => {
                    let behind = self.peek();
                    if behind != "!" && !is_word(behind) {
                        return Err(format!("found '{behind}', expected: identifier after ','"));
                    }
                }
                other => return Err(format!("found '{other}', expected: ',' or 'end of string'")),
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let absent = self.peek() == "!";
        if absent {
            self.next();
        }
        let key = self.next();
        if !is_word(key) {
            return Err(format!("found '{key}', expected: identifier"));
        }
        check_key(key)?;
        let done = |operator, values| Ok(Requirement { key: key.to_owned(), operator, values });
        if absent {
            return done(Operator::Absent, Vec::new());
        }
        let operator = match self.peek() {
            "" | "," => return done(Operator::Exists, Vec::new()),
            "=" | "==" | "in" => Operator::In,
            "!=" | "notin" => Operator::NotIn,
            ">" | "gt" => Operator::Greater,
            "<" | "lt" => Operator::Less,
            other => return Err(format!("found '{other}', expected: {OPERATORS}")),
        };
        let values = match self.next() {
            "in" | "notin" => self.values()?,
            _ => vec![self.value()?],
        };
        check_values(key, operator, &values)?;
        done(operator, values)
    }

    /// The one value behind `=`; none is an empty one.
    fn value(&mut self) -> Result<String, String> {
        match self.peek() {
            "" | "," => Ok(String::new()),
            word if is_word(word) => Ok(self.next().to_owned()),
            other => Err(format!("found '{other}', expected: identifier")),
        }
    }

    /// `(a,b)`, in the order of the alphabet, each once.
    fn values(&mut self) -> Result<Vec<String>, String> {
        match self.next() {
            "(" => {}
            other => return Err(format!("found '{other}' expected: '('")),
        }
        let mut values = Vec::new();
        loop {
            match self.peek() {
                word if is_word(word) => values.push(self.next().to_owned()),
                "," | ")" => values.push(String::new()),
                other => return Err(format!("found '{other}', expected: ',', ')' or identifier")),
            }
            match self.next() {
                ")" => break,
                "," => {}
                other => return Err(format!("found '{other}', expected: ',' or ')'")),
            }
        }
        values.sort_unstable();
        values.dedup();
        Ok(values)
    }
}

fn is_word(token: &str) -> bool {
    token.chars().next().is_some_and(|first| !matches!(first, '=' | '!' | '(' | ')' | ',' | '>' | '<'))
}

fn check_key(key: &str) -> Result<(), String> {
    match names::qualified_name(key).first() {
        None => Ok(()),
        Some(problem) => Err(format!("<nil>: Invalid value: {key:?}: {problem}")),
    }
}

fn check_values(key: &str, operator: Operator, values: &[String]) -> Result<(), String> {
    let numeric = matches!(operator, Operator::Greater | Operator::Less);
    for (index, value) in values.iter().enumerate() {
        if numeric && value.parse::<i64>().is_err() {
            let needed = "for 'Gt', 'Lt' operators, the value must be an integer";
            return Err(format!("values[{index}]: Invalid value: {value:?}: {needed}"));
        }
        if let Some(problem) = names::label_value(value).first() {
            return Err(format!("values[{index}][{key}]: Invalid value: {value:?}: {problem}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(labels: &[(&str, &str)]) -> Stored {
        let labels = labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        Stored { labels, ..Stored::transient(&serde_json::Value::Null) }
    }

    #[test]
    fn what_a_selector_selects() {
        let web = stored(&[("app", "web"), ("tier", "2"), ("empty", "")]);
        for (text, expected) in [
            ("", true),
            ("app", true),
            ("!app", false),
            ("app=web,tier=2", true),
            ("app==web , tier!=3", true),
            ("app in (db, web)", true),
            ("app notin (web)", false),
            ("other notin (web)", true),
            ("other!=web", true),
            ("tier>1,tier<3", true),
            ("app>1", false),
            ("empty=", true),
            ("example.com/app", false),
        ] {
            assert_eq!(LabelSelector::parse(text).unwrap().matches(&web), expected, "{text}");
        }
    }

    /// The messages of kube-apiserver 1.37.2.
    #[test]
    fn wrong_selectors_are_told_as_the_server_tells_them() {
        for (text, expected) in [
            ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
            ("a===b", "unable to parse requirement: found '=', expected: identifier"),
            ("a in b", "unable to parse requirement: found 'b' expected: '('"),
            ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
            ("a,", "found '', expected: identifier after ','"),
            (
                "a>b",
                "unable to parse requirement: values[0]: Invalid value: \"b\": for 'Gt', 'Lt' operators, the value must \
                 be an integer",
            ),
        ] {
            assert_eq!(LabelSelector::parse(text).unwrap_err().message, expected, "{text}");
        }
    }
}
