//! Values of expressions.

use std::cell::Cell;
use std::cmp::Ordering;

use serde_json::Value;

use super::{Function, Macro, Node, Operator};

/// Most steps of one evaluation.
const MAX_STEPS: u32 = 1_000_000;

/// What names mean, the innermost first.
struct Scope<'v> {
    name: &'v str,
    value: &'v Value,
    outer: Option<&'v Self>,
}

pub(super) fn evaluate(node: &Node, this: &Value, old: Option<&Value>) -> Option<Value> {
    let steps = Cell::new(0);
    let outer = old.map(|old| Scope { name: "oldSelf", value: old, outer: None });
    let scope = Scope { name: "self", value: this, outer: outer.as_ref() };
    value(node, &scope, &steps)
}

fn value(node: &Node, scope: &Scope<'_>, steps: &Cell<u32>) -> Option<Value> {
    steps.set(steps.get() + 1);
    if steps.get() > MAX_STEPS {
        return None;
    }
    let of = |node: &Node| value(node, scope, steps);
    match node {
        Node::Literal(literal) => Some(literal.clone()),
        Node::Name(name) => named(scope, name).cloned(),
        Node::List(nodes) => nodes.iter().map(of).collect::<Option<Vec<_>>>().map(Value::Array),
        Node::Member(node, name) => of(node)?.get(name).cloned(),
        Node::Has(node, name) => Some(of(node)?.as_object()?.contains_key(name).into()),
        Node::Index(node, index) => match (of(node)?, of(index)?) {
            (Value::Object(members), Value::String(key)) => members.get(&key).cloned(),
            (Value::Array(items), index) => items.get(usize::try_from(index.as_i64()?).ok()?).cloned(),
            _ => None,
        },
        Node::Not(node) => Some((!of(node)?.as_bool()?).into()),
        Node::Negative(node) => match of(node)? {
            Value::Number(number) => match number.as_i64() {
                Some(whole) => Some(whole.checked_neg()?.into()),
                None => Some((-number.as_f64()?).into()),
            },
            _ => None,
        },
        Node::Choice(condition, then, otherwise) => {
            if of(condition)?.as_bool()? {
                of(then)
            } else {
                of(otherwise)
            }
        }
        Node::Binary(operator @ (Operator::Or | Operator::And), left, right) => {
            // What decides, decides even where the other side has no value.
            let decisive = *operator == Operator::Or;
            let side = |node: &Node| of(node).and_then(|value| value.as_bool());
            match side(left) {
                Some(found) if found == decisive => Some(decisive.into()),
                Some(_) => side(right).map(Value::Bool),
                None => side(right).filter(|found| *found == decisive).map(Value::Bool),
            }
        }
        Node::Binary(operator, left, right) => binary(*operator, &of(left)?, &of(right)?),
        Node::Call(function, arguments) => {
            let arguments = arguments.iter().map(of).collect::<Option<Vec<_>>>()?;
            call(*function, &arguments)
        }
        Node::Each(kind, list, item, body) => each(*kind, &of(list)?, item, body, scope, steps),
    }
}

fn named<'s>(scope: &'s Scope<'_>, name: &str) -> Option<&'s Value> {
    if scope.name == name { Some(scope.value) } else { named(scope.outer?, name) }
}

fn binary(operator: Operator, left: &Value, right: &Value) -> Option<Value> {
    let ordered = |wanted: &[Ordering]| compare(left, right).map(|found| wanted.contains(&found).into());
    match operator {
        Operator::Equal => Some(equal(left, right).into()),
        Operator::Different => Some((!equal(left, right)).into()),
        Operator::Less => ordered(&[Ordering::Less]),
        Operator::AtMost => ordered(&[Ordering::Less, Ordering::Equal]),
        Operator::Greater => ordered(&[Ordering::Greater]),
        Operator::AtLeast => ordered(&[Ordering::Greater, Ordering::Equal]),
        Operator::In => match right {
            Value::Array(items) => Some(items.iter().any(|item| equal(item, left)).into()),
            Value::Object(members) => Some(members.contains_key(left.as_str()?).into()),
            _ => None,
        },
        Operator::Add => match (left, right) {
            (Value::String(left), Value::String(right)) => Some(format!("{left}{right}").into()),
            (Value::Array(left), Value::Array(right)) => Some(left.iter().chain(right).cloned().collect()),
            _ => arithmetic(left, right, i64::checked_add, |left, right| left + right),
        },
        Operator::Subtract => arithmetic(left, right, i64::checked_sub, |left, right| left - right),
        Operator::Multiply => arithmetic(left, right, i64::checked_mul, |left, right| left * right),
        Operator::Divide => arithmetic(left, right, i64::checked_div, |left, right| left / right),
        Operator::Remainder => Some(left.as_i64()?.checked_rem(right.as_i64()?)?.into()),
        Operator::Or | Operator::And => None,
    }
}

/// Numbers are of one kind on both sides.
fn arithmetic(
    left: &Value,
    right: &Value,
    whole: fn(i64, i64) -> Option<i64>,
    float: fn(f64, f64) -> f64,
) -> Option<Value> {
    match (left.as_i64(), right.as_i64()) {
        (Some(left), Some(right)) => Some(whole(left, right)?.into()),
        _ if left.is_f64() && right.is_f64() => Some(float(left.as_f64()?, right.as_f64()?).into()),
        _ => None,
    }
}

fn equal(left: &Value, right: &Value) -> bool {
    left == right || left.is_number() && right.is_number() && left.as_f64() == right.as_f64()
}

fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (Value::Number(_), Value::Number(_)) => match (left.as_i64(), right.as_i64()) {
            (Some(left), Some(right)) => Some(left.cmp(&right)),
            _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
        },
        _ => None,
    }
}

fn call(function: Function, arguments: &[Value]) -> Option<Value> {
    match (function, arguments) {
        (Function::Size, [Value::String(text)]) => Some(text.chars().count().into()),
        (Function::Size, [Value::Array(items)]) => Some(items.len().into()),
        (Function::Size, [Value::Object(members)]) => Some(members.len().into()),
        (Function::StartsWith, [Value::String(text), Value::String(part)]) => Some(text.starts_with(part).into()),
        (Function::EndsWith, [Value::String(text), Value::String(part)]) => Some(text.ends_with(part).into()),
        (Function::Contains, [Value::String(text), Value::String(part)]) => Some(text.contains(part).into()),
        (Function::Matches, [Value::String(text), Value::String(form)]) => {
            Some(regex::Regex::new(form).ok()?.is_match(text).into())
        }
        (Function::LowerAscii, [Value::String(text)]) => Some(text.to_ascii_lowercase().into()),
        (Function::Text, [Value::String(text)]) => Some(text.as_str().into()),
        (Function::Text, [Value::Number(number)]) => Some(number.as_i64()?.to_string().into()),
        _ => None,
    }
}

fn each(kind: Macro, list: &Value, item: &str, body: &Node, scope: &Scope<'_>, steps: &Cell<u32>) -> Option<Value> {
    let items: Vec<Value> = match list {
        Value::Array(items) => items.clone(),
        Value::Object(members) => members.keys().map(|key| key.as_str().into()).collect(),
        _ => return None,
    };
    let of = |value_of: &Value| value(body, &Scope { name: item, value: value_of, outer: Some(scope) }, steps);
    let holds = |item: &Value| of(item)?.as_bool();
    match kind {
        Macro::All | Macro::Exists => {
            let decisive = kind == Macro::Exists;
            let found: Vec<Option<bool>> = items.iter().map(holds).collect();
            if found.contains(&Some(decisive)) {
                return Some(decisive.into());
            }
            (!found.contains(&None)).then_some((!decisive).into())
        }
        Macro::ExistsOne => {
            let found = items.iter().map(holds).collect::<Option<Vec<bool>>>()?;
            Some((found.into_iter().filter(|found| *found).count() == 1).into())
        }
        Macro::Filter => {
            let found = items.iter().map(holds).collect::<Option<Vec<bool>>>()?;
            Some(items.into_iter().zip(found).filter_map(|(item, kept)| kept.then_some(item)).collect())
        }
        Macro::Map => items.iter().map(of).collect::<Option<Vec<_>>>().map(Value::Array),
    }
}
