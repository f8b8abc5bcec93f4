//! Fields that another manager owns with another value.

use std::fmt::{self, Display, Formatter};

use serde_json::{Value, json};

use super::{Operation, Writer};
use crate::sim::fields::{Exact, Path};

/// One field that somebody else owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Who owns it.
    pub writer: Writer,
    /// The field.
    pub path: Path,
}

/// Why an apply was refused; never empty, grouped by owner. Shown as the message of the server's answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Conflicts(pub Vec<Conflict>);

impl Conflicts {
    /// The causes in the details of the server's answer.
    pub fn causes(&self) -> Vec<Value> {
        let cause = |conflict: &Conflict| {
            json!({
                "reason": "FieldManagerConflict",
                "message": format!("conflict with {}", conflict.writer),
                "field": conflict.path.to_string(),
            })
        };
        self.0.iter().map(cause).collect()
    }
}

impl Display for Writer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", quoted(&self.manager))?;
        if !self.subresource.is_empty() {
            write!(f, " with subresource {}", quoted(&self.subresource))?;
        }
        match (&self.api_version, self.operation) {
            (Some(version), Operation::Update) => write!(f, " using {version}"),
            _ => Ok(()),
        }
    }
}

impl Display for Conflicts {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let [one] = self.0.as_slice() {
            return write!(f, "Apply failed with 1 conflict: conflict with {}: {}", one.writer, one.path);
        }
        write!(f, "Apply failed with {} conflicts: ", self.0.len())?;
        let mut owner = None;
        for (at, conflict) in self.0.iter().enumerate() {
            if owner != Some(&conflict.writer) {
                let line = if at > 0 { "\n" } else { "" };
                write!(f, "{line}conflicts with {}:", conflict.writer)?;
                owner = Some(&conflict.writer);
            }
            write!(f, "\n- {}", conflict.path)?;
        }
        Ok(())
    }
}

fn quoted(text: &str) -> Exact {
    Exact(Value::String(text.to_owned()))
}
