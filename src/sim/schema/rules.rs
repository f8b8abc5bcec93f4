//! The rules in CEL of a schema (`x-kubernetes-validations`).

use serde_json::Value;

use super::FieldError;
use super::check::same_item;
use super::structural::{Additional, Node, Structural};
use crate::sim::cel::Expression;

/// A rule.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// `None`: it can't be evaluated here, and holds.
    expression: Option<Expression>,
    message: String,
    /// Gives the message.
    message_expression: Option<Expression>,
    reason: String,
    /// The field below that is told.
    field: String,
    /// Whether it is looked at without a value before.
    optional_old: bool,
}

impl Rule {
    /// Reads the rules of one level of a schema.
    pub(super) fn read_all(schema: &Value) -> Vec<Self> {
        let rules = schema.get("x-kubernetes-validations").and_then(Value::as_array);
        rules.into_iter().flatten().map(Self::read).collect()
    }

    fn read(rule: &Value) -> Self {
        let text = |name: &str| rule.get(name).and_then(Value::as_str).unwrap_or_default().trim().to_owned();
        let source = text("rule");
        let message = text("message");
        Self {
            message: if message.is_empty() { format!("failed rule: {source}") } else { message },
            expression: Expression::parse(&source),
            message_expression: Expression::parse(&text("messageExpression")),
            reason: text("reason"),
            field: text("fieldPath"),
            optional_old: rule.get("optionalOldSelf") == Some(&true.into()),
        }
    }

    /// What is wrong with a value by this rule.
    fn check(&self, value: &Value, old: Option<&Value>, path: &str) -> Option<FieldError> {
        let expression = self.expression.as_ref()?;
        // A rule of changes says nothing of what is new; one of states nothing of what stays as it was.
        if expression.uses_old() && (old.is_none() || self.optional_old) || !expression.uses_old() && old == Some(value)
        {
            return None;
        }
        if expression.evaluate(value, old) != Some(Value::Bool(false)) {
            return None;
        }
        let told = self.message_expression.as_ref().and_then(|expression| expression.evaluate(value, old));
        let detail = told.as_ref().and_then(Value::as_str).unwrap_or(&self.message);
        let shown = if value.is_object() || value.is_array() { String::new() } else { format!("{value}: ") };
        let (reason, message) = match self.reason.as_str() {
            "FieldValueForbidden" => ("FieldValueForbidden", format!("Forbidden: {detail}")),
            "FieldValueRequired" => ("FieldValueRequired", format!("Required value: {detail}")),
            "FieldValueDuplicate" => {
                ("FieldValueDuplicate", format!("Duplicate value: {shown}").trim_end_matches([':', ' ']).to_owned())
            }
            _ => ("FieldValueInvalid", format!("Invalid value: {shown}{detail}")),
        };
        let field = match (path, self.field.as_str()) {
            ("", "") => "<nil>".to_owned(),
            (path, below) => format!("{path}{below}").trim_start_matches('.').to_owned(),
        };
        Some(FieldError { reason, field, message })
    }
}

impl Structural {
    /// Whether there is any rule.
    pub fn has_rules(&self) -> bool {
        has_rules(&self.root)
    }

    /// What is wrong with an object by the rules that can be evaluated. `old` is the object before.
    pub fn check_rules(&self, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
        let mut found = Vec::new();
        check(&self.root, object, old, "", &mut found);
        found
    }
}

fn has_rules(node: &Node) -> bool {
    let below = match &node.additional {
        Additional::Of(of) => has_rules(of),
        _ => false,
    };
    !node.validations.is_empty()
        || below
        || node.properties.values().any(has_rules)
        || node.items.as_deref().is_some_and(has_rules)
        || node.rules.all_of.iter().any(has_rules)
}

fn check(node: &Node, value: &Value, old: Option<&Value>, path: &str, found: &mut Vec<FieldError>) {
    if value.is_null() {
        return;
    }
    let old = old.filter(|old| !old.is_null());
    found.extend(node.validations.iter().filter_map(|rule| rule.check(value, old, path)));
    for of in &node.rules.all_of {
        check(of, value, old, path, found);
    }
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let before = old.and_then(|old| old.get(name));
                let dot = if path.is_empty() { "" } else { "." };
                match (node.properties.get(name), &node.additional) {
                    (Some(of), _) => check(of, value, before, &format!("{path}{dot}{name}"), found),
                    (None, Additional::Of(of)) => check(of, value, before, &format!("{path}[{name}]"), found),
                    _ => {}
                }
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                if let Some(of) = &node.items {
                    check(of, item, same_item(node, item, old), &format!("{path}[{at}]"), found);
                }
            }
        }
        _ => {}
    }
}
