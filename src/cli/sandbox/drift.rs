//! `driftless sandbox drift`: changes by hand, for where kubectl is not installed.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::client::Client;
use super::folder;
use crate::cli::error::CommandError;
use crate::cli::output;

/// The field manager of these changes: what the agents name as who it was.
const MANAGER: &str = "sandbox-drift";
/// The forms of patches.
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";

#[derive(Debug, Args)]
pub(super) struct Drift {
    #[command(subcommand)]
    change: Change,
    /// Namespace of the object
    #[arg(short, long, global = true, value_name = "NAME", default_value = "default")]
    namespace: String,
    /// Folder of the sandbox [default: driftless-sandbox in the folder for temporary files]
    #[arg(long, global = true, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Change {
    /// Set the number of replicas
    Scale {
        /// The object, as deployment/web
        object: Object,
        /// How many
        #[arg(long, value_name = "N")]
        replicas: u32,
    },
    /// Set the image of a container of a workload
    SetImage {
        /// The object, as deployment/web
        object: Object,
        /// The container and its image
        #[arg(value_name = "CONTAINER=IMAGE")]
        image: Assignment,
    },
    /// Set a value, or remove one
    Edit {
        /// The object, as configmap/settings
        object: Object,
        /// Where and what: .data.greeting=hello, or .data.greeting- to remove it; a dot in a key is written \.
        #[arg(value_name = "PATH=VALUE", allow_hyphen_values = true)]
        value: String,
    },
    /// Delete an object
    Delete {
        /// The object, as service/web
        object: Object,
    },
}

/// `KIND/NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Object {
    kind: String,
    name: String,
}

impl std::str::FromStr for Object {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some((kind, name)) if !kind.is_empty() && !name.is_empty() && !name.contains('/') => {
                Ok(Self { kind: kind.to_owned(), name: name.to_owned() })
            }
            _ => Err("must be KIND/NAME, like deployment/web".to_owned()),
        }
    }
}

impl std::fmt::Display for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

/// `NAME=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Assignment {
    name: String,
    value: String,
}

impl std::str::FromStr for Assignment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() && !value.is_empty() => {
                Ok(Self { name: name.to_owned(), value: value.to_owned() })
            }
            _ => Err("must be CONTAINER=IMAGE".to_owned()),
        }
    }
}

impl Drift {
    pub(super) fn run(self) -> Result<ExitCode, CommandError> {
        let client = Client::of(&self.dir.clone().unwrap_or_else(folder::usual))?;
        let done = match &self.change {
            Change::Scale { object, replicas } => {
                let path = format!("{}/scale", self.path(&client, object)?);
                patch(&client, &path, MERGE, &json!({"spec": {"replicas": replicas}}))?;
                format!("{object} scaled to {replicas}")
            }
            Change::SetImage { object, image: Assignment { name, value } } => {
                let containers = json!([{"name": name, "image": value}]);
                let change = json!({"spec": {"template": {"spec": {"containers": containers}}}});
                patch(&client, &self.path(&client, object)?, STRATEGIC, &change)?;
                format!("{object}: image of {name} is {value}")
            }
            Change::Edit { object, value } => {
                let edit = Edit::of(value).map_err(CommandError::usage)?;
                let path = self.path(&client, object)?;
                let current = client.call(Method::GET, &path, None)?;
                patch(&client, &path, MERGE, &edit.patch(&current))?;
                format!("{object} edited")
            }
            Change::Delete { object } => {
                client.call(Method::DELETE, &self.path(&client, object)?, None)?;
                format!("{object} deleted")
            }
        };
        output::print(&format!("{done}\n"))
    }

    fn path(&self, client: &Client, object: &Object) -> Result<String, CommandError> {
        Ok(client.kind(&object.kind)?.path(&self.namespace, &object.name))
    }
}

fn patch(client: &Client, path: &str, form: &str, change: &Value) -> Result<Value, CommandError> {
    client.call(Method::PATCH, &format!("{path}?fieldManager={MANAGER}"), Some((form, change)))
}

/// What is set where.
#[derive(Debug, PartialEq, Eq)]
struct Edit {
    path: Vec<String>,
    /// `None`: it is removed.
    value: Option<String>,
}

impl Edit {
    fn of(text: &str) -> Result<Self, String> {
        let (path, value) = match (text.split_once('='), text.strip_suffix('-')) {
            (Some((path, value)), _) => (path, Some(value.to_owned())),
            (None, Some(path)) => (path, None),
            (None, None) => return Err(format!("{text:?} must be PATH=VALUE, or PATH- to remove what is there")),
        };
        let path = keys(path.strip_prefix('.').unwrap_or(path));
        if path.iter().any(|key| key.is_empty() || key.contains(['[', ']'])) {
            return Err(format!(
                "the path of {text:?} must be keys with dots between, like .data.greeting; lists are not \
                                reached into"
            ));
        }
        Ok(Self { path, value })
    }

    /// A merge patch. The value is of the type of the one that is there; where there is none, it is text unless it reads
    /// as something else.
    fn patch(&self, current: &Value) -> Value {
        let there = self.path.iter().try_fold(current, |value, key| value.get(key));
        let value = match (&self.value, there) {
            (None, _) => Value::Null,
            (Some(value), Some(Value::String(_))) => Value::String(value.clone()),
            // All values of data are text.
            (Some(value), None) if self.path.first().is_some_and(|key| key == "data") => Value::String(value.clone()),
            (Some(value), _) => serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.clone())),
        };
        self.path.iter().rev().fold(value, |value, key| Value::Object(Map::from_iter([(key.clone(), value)])))
    }
}

/// Keys with dots between; `\.` is a dot in a key.
fn keys(path: &str) -> Vec<String> {
    let mut keys = vec![String::new()];
    let mut rest = path.chars().peekable();
    while let Some(c) = rest.next() {
        let last = keys.len() - 1;
        match (c, keys.get_mut(last)) {
            ('.', _) => keys.push(String::new()),
            ('\\', Some(key)) if rest.peek() == Some(&'.') => key.extend(rest.next()),
            (c, Some(key)) => key.push(c),
            (_, None) => {}
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_kind_and_name() {
        assert!("deployment/web".parse::<Object>().is_ok());
        for bad in ["", "web", "/web", "deployment/", "a/b/c"] {
            assert!(bad.parse::<Object>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_value_takes_the_type_of_the_one_that_is_there() {
        let current = json!({"spec": {"replicas": 3, "paused": false, "text": "1"}, "data": {}});
        let cases = [
            (".spec.replicas=5", json!({"spec": {"replicas": 5}})),
            ("spec.paused=true", json!({"spec": {"paused": true}})),
            ("spec.text=5", json!({"spec": {"text": "5"}})),
            ("spec.new=many words", json!({"spec": {"new": "many words"}})),
            ("data.count=5", json!({"data": {"count": "5"}})),
            (
                r"metadata.annotations.example\.com/a=b=c",
                json!({"metadata": {"annotations": {"example.com/a": "b=c"}}}),
            ),
            (".spec.replicas-", json!({"spec": {"replicas": null}})),
        ];
        for (text, expected) in cases {
            assert_eq!(Edit::of(text).unwrap().patch(&current), expected, "{text}");
        }
        for bad in ["", "spec.replicas", "spec..a=1", "=1", "spec.containers[0].image=a"] {
            assert!(Edit::of(bad).is_err(), "{bad:?}");
        }
    }
}
