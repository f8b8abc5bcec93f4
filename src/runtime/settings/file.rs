//! The settings file: YAML, one key for each flag. Its values become the defaults of the command line, so that a flag
//! wins over the environment, the environment over the file, and the file over what is built in.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde_json::{Map, Value};

/// Largest settings file, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// Flags that can't be set by the file itself.
const NOT_IN_FILE: [&str; 3] = ["config", "help", "version"];

/// Why a settings file can't be used.
#[derive(Debug, thiserror::Error)]
#[error("settings file {file}: {problem}")]
pub struct SettingsFileError {
    file: String,
    problem: String,
}

/// `command` with the values of the file at `path` as the defaults of its arguments. A key is the name of a flag, in
/// kebab-case or camelCase; a value is a string, number, boolean or list of strings, in the form that the flag takes.
/// `null` leaves the built-in default. Fails if the file can't be read, is no YAML mapping, or has an unknown key; whether
/// the values fit is told when the command parses.
pub fn with_defaults(command: clap::Command, path: &Path) -> Result<clap::Command, SettingsFileError> {
    let failure = |problem| SettingsFileError { file: path.display().to_string(), problem };
    let text = read(path).map_err(failure)?;
    apply(command, &text).map_err(failure)
}

fn read(path: &Path) -> Result<String, String> {
    let file = File::open(path).map_err(|error| format!("can't be opened: {error}"))?;
    let mut text = String::new();
    file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(|error| format!("can't be read: {error}"))?;
    if text.len() as u64 > MAX_FILE { Err(format!("is larger than {MAX_FILE} bytes")) } else { Ok(text) }
}

fn apply(mut command: clap::Command, text: &str) -> Result<clap::Command, String> {
    let settings: Map<String, Value> = match serde_saphyr::from_str::<Value>(text) {
        Ok(Value::Object(settings)) => settings,
        Ok(Value::Null) => Map::new(),
        Ok(_) => return Err("must be a YAML mapping, one setting in a line".to_owned()),
        Err(error) => return Err(format!("is not valid YAML: {error}")),
    };
    let known: Vec<(String, clap::Id)> = command
        .get_arguments()
        .filter_map(|arg| Some((arg.get_long()?.to_owned(), arg.get_id().clone())))
        .filter(|(long, _)| !NOT_IN_FILE.contains(&long.as_str()))
        .collect();
    for (key, value) in settings {
        let flag = kebab_case(&key);
        let Some((_, id)) = known.iter().find(|(long, _)| *long == flag) else {
            return Err(unknown_key(&key, &flag, known.iter().map(|(long, _)| long.as_str())));
        };
        if let Some(value) = text_of(&value)
            .ok_or_else(|| format!("`{key}` must be a string, a number, true, false or a list of strings"))?
        {
            // clap keeps defaults as 'static text; settings live as long as the process and the file is bounded.
            let value: &'static str = value.leak();
            command = command.mut_arg(id, |arg| arg.default_value(value));
        }
    }
    Ok(command)
}

/// `pollInterval` as `poll-interval`.
fn kebab_case(key: &str) -> String {
    let mut flag = String::with_capacity(key.len() + 4);
    for c in key.chars() {
        if c.is_ascii_uppercase() && !flag.is_empty() {
            flag.push('-');
        }
        flag.push(c.to_ascii_lowercase());
    }
    flag
}

/// The value as it would stand behind a flag; `Some(None)` for `null`, `None` if no flag takes such a value.
fn text_of(value: &Value) -> Option<Option<String>> {
    match value {
        Value::Null => Some(None),
        Value::Bool(value) => Some(Some(value.to_string())),
        Value::Number(value) => Some(Some(value.to_string())),
        Value::String(value) => Some(Some(value.clone())),
        Value::Array(values) => {
            let words: Option<Vec<&str>> = values.iter().map(Value::as_str).collect();
            words.map(|words| Some(words.join(",")))
        }
        Value::Object(_) => None,
    }
}

fn unknown_key<'a>(key: &str, flag: &str, known: impl Iterator<Item = &'a str>) -> String {
    let near = known.map(|long| (distance(flag, long), long)).min().filter(|(distance, _)| *distance <= 3);
    match near {
        Some((_, long)) => format!("unknown key `{key}`; did you mean `{long}`?"),
        None => format!("unknown key `{key}`; `driftless run --help` lists the settings"),
    }
}

/// Levenshtein distance: how many letters differ.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut next = Vec::with_capacity(row.len());
        next.push(i + 1);
        for ((&y, &diagonal), &above) in b.iter().zip(&row).zip(row.iter().skip(1)) {
            let left = next.last().copied().unwrap_or_default();
            next.push((diagonal + usize::from(x != y)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_either_case_name_the_flag() {
        for (key, flag) in [("pollInterval", "poll-interval"), ("poll-interval", "poll-interval"), ("listen", "listen")]
        {
            assert_eq!(kebab_case(key), flag);
        }
    }

    #[test]
    fn distance_counts_edits() {
        for (a, b, expected) in [("", "", 0), ("abc", "abc", 0), ("abc", "abd", 1), ("abc", "ab", 1), ("", "abc", 3)] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }
}
