//! Replaces what no two runs share by names in order of appearance: `<uid1>`, `<rv1>`, `<time>`.
//!
//! What a script writes itself (a time in a Lease, a node port) stays as it is.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::{Map, Value};

static UID: LazyLock<Regex> = LazyLock::new(|| pattern("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"));
static TIME: LazyLock<Regex> = LazyLock::new(|| pattern(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(?:Z|[+-]\d\d:\d\d)"));
static IP: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b10\.0\.\d{1,3}\.\d{1,3}\b"));
static CURRENT: LazyLock<Regex> = LazyLock::new(|| pattern(r"(current: |\()\d+\b"));
static PRECONDITION: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(ResourceVersion in (?:the precondition|record)) \((\d+)\)"));
/// An object that is quoted in a message.
static QUOTED: LazyLock<Regex> = LazyLock::new(|| pattern(r#""\{\\"(?:[^"\\]|\\.)*""#));
static PREFIX: LazyLock<Regex> = LazyLock::new(|| pattern(r#"generateName: "?([\w.-]+)"#));
/// A node port in a cell of a table: `80:30080/TCP`.
static PORT: LazyLock<Regex> = LazyLock::new(|| pattern(r":(3\d{4})/"));
static TOKEN: LazyLock<Regex> = LazyLock::new(|| pattern(r"\beyJ[\w-]+\.[\w-]+\.[\w-]+"));
static AGE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(\d+[smhd])+$"));

/// Keys whose values tell builds of one release, and servers, apart.
const BUILD: [&str; 7] =
    ["buildDate", "compiler", "gitCommit", "gitTreeState", "goVersion", "platform", "serverAddress"];

/// What is left of a prefix before a generated name.
const LONGEST_PREFIX: usize = 58;

fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap()
}

/// The names given so far in one run of a script.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// What people wrote in the script.
    written: String,
    /// Names that the server generates from what is written.
    prefixes: Vec<Regex>,
    uids: Vec<String>,
    ips: Vec<String>,
    ports: Vec<u64>,
    versions: Vec<u64>,
    /// Names that the server made, and how they are shown.
    generated: BTreeMap<String, String>,
}

impl Names {
    pub(crate) fn new(written: String) -> Self {
        let prefixes = PREFIX.captures_iter(&written).filter_map(|found| {
            let base = &found[1][..found[1].len().min(LONGEST_PREFIX)];
            Regex::new(&format!("({})[bcdfghjklmnpqrstvwxz2456789]{{5}}", regex::escape(base))).ok()
        });
        Self { prefixes: prefixes.collect(), written, ..Self::default() }
    }

    /// A value that is the same in every run, or what the server did against its own rules.
    pub(crate) fn normalize(&mut self, value: &Value) -> Value {
        self.learn(value);
        let mut value = value.clone();
        sort_causes(&mut value);
        self.value(&value, "", false)
    }

    /// Finds generated names first: they also stand in front of the object that explains them.
    fn learn(&mut self, value: &Value) {
        match value {
            Value::Object(map) => {
                let text = |key: &str| map.get(key).and_then(Value::as_str);
                if let (Some(prefix), Some(name)) = (text("generateName"), text("name"))
                    && let Some(base) = prefix.get(..prefix.len().min(LONGEST_PREFIX))
                    && name.starts_with(base)
                    && name.len() == base.len() + 5
                    && !self.written.contains(name)
                    && !self.generated.contains_key(name)
                {
                    let shown = format!("{base}<name{}>", self.generated.len() + 1);
                    self.generated.insert(name.to_owned(), shown);
                }
                map.values().for_each(|value| self.learn(value));
            }
            Value::Array(list) => list.iter().for_each(|value| self.learn(value)),
            _ => {}
        }
    }

    /// `of_list`: inside of the metadata of a list or a bookmark, whose version is that of the whole storage.
    fn value(&mut self, value: &Value, key: &str, of_list: bool) -> Value {
        match (key, value) {
            ("resourceVersion", Value::String(text)) => self.version(text, of_list).into(),
            ("continue", Value::String(text)) if !text.is_empty() => "<continue>".into(),
            ("managedFields", Value::Array(entries)) => {
                let ordered = ordered(entries);
                Value::Array(ordered.iter().map(|entry| self.value(entry, "", of_list)).collect())
            }
            ("nodePort" | "healthCheckNodePort", Value::Number(port)) => self.port(port.as_u64().unwrap_or_default()),
            ("resourceRules" | "nonResourceRules", Value::Array(rules)) => {
                // In the order of a list of bindings that is not sorted.
                let mut rules = rules.clone();
                rules.sort_by_key(ToString::to_string);
                Value::Array(rules)
            }
            (_, Value::Object(map)) => Value::Object(self.map(map, key, of_list)),
            (_, Value::Array(list)) => Value::Array(list.iter().map(|item| self.value(item, "", false)).collect()),
            (key, Value::String(_)) if BUILD.contains(&key) => format!("<{key}>").into(),
            (_, Value::String(text)) => self.text(text).into(),
            _ => value.clone(),
        }
    }

    fn map(&mut self, map: &Map<String, Value>, key: &str, of_list: bool) -> Map<String, Value> {
        let is_list = map.contains_key("items") || map.contains_key("rows") && !is_row_of_watch(map);
        let is_bookmark = map.get("type").is_some_and(|kind| kind == "BOOKMARK") || has_end_mark(map);
        let mut out = Map::new();
        for (name, value) in map {
            let inside = match name.as_str() {
                "metadata" => is_list || is_bookmark || key == "object" && of_list,
                "object" => is_bookmark,
                "resourceVersion" => of_list,
                _ => false,
            };
            let shown = self.text(name);
            out.insert(shown, self.value(value, name, inside));
        }
        if let (Some(columns), Some(Value::Array(rows))) = (map.get("columnDefinitions"), out.get_mut("rows")) {
            hide_ages(columns.as_array().map(Vec::as_slice), rows);
        }
        out
    }

    fn version(&mut self, text: &str, of_list: bool) -> String {
        let Ok(number) = text.parse::<u64>() else { return text.to_owned() };
        let highest = self.versions.iter().copied().max().unwrap_or_default();
        let known = self.versions.iter().position(|known| *known == number);
        match known {
            _ if number == 0 => text.to_owned(),
            // Others write to the storage as well, so this may be more than the last write of the script.
            _ if of_list && number >= highest => "<current>".to_owned(),
            Some(at) => format!("<rv{}>", at + 1),
            // Between two writes of the script: that of the older one, as far as the script can tell.
            None if of_list => match self
                .versions
                .iter()
                .enumerate()
                .filter(|(_, version)| **version < number)
                .max_by_key(|(_, version)| **version)
            {
                Some((at, _)) => format!("<rv{}>", at + 1),
                None => "<before>".to_owned(),
            },
            None => {
                self.versions.push(number);
                format!("<rv{}>", self.versions.len())
            }
        }
    }

    fn port(&mut self, port: u64) -> Value {
        if self.is_written(&port.to_string()) {
            return port.into();
        }
        format!("<port{}>", place(&mut self.ports, port)).into()
    }

    /// A JSON object in quotes: normalized as any object, its keys in order.
    fn quoted(&mut self, text: &str) -> String {
        let inner =
            serde_json::from_str::<String>(text).ok().and_then(|inner| serde_json::from_str::<Value>(&inner).ok());
        match inner {
            Some(value) => Value::from(self.value(&value, "", false).to_string()).to_string(),
            None => text.to_owned(),
        }
    }

    /// Whether it stands in the script as a word of its own.
    fn is_written(&self, text: &str) -> bool {
        let boundary = |c: Option<char>| !c.is_some_and(char::is_alphanumeric);
        self.written.match_indices(text).any(|(at, _)| {
            boundary(self.written[..at].chars().next_back()) && boundary(self.written[at + text.len()..].chars().next())
        })
    }

    /// A text with all in it replaced that differs between runs.
    pub(crate) fn text(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, shown) in &self.generated {
            text = text.replace(name, shown);
        }
        let mut text = QUOTED.replace_all(&text, |found: &Captures<'_>| self.quoted(&found[0])).into_owned();
        for prefix in &self.prefixes {
            text = prefix.replace_all(&text, "${1}<name>").into_owned();
        }
        let text = TIME.replace_all(&text, |found: &Captures<'_>| match &found[0] {
            time if self.is_written(time) => time.to_owned(),
            _ if found.get(1).is_some() => "<microtime>".to_owned(),
            _ => "<time>".to_owned(),
        });
        let text = UID.replace_all(&text, |found: &Captures<'_>| match &found[0] {
            uid if self.is_written(uid) => uid.to_owned(),
            uid => format!("<uid{}>", place(&mut self.uids, uid.to_owned())),
        });
        let text = IP.replace_all(&text, |found: &Captures<'_>| match &found[0] {
            ip if self.is_written(ip) => ip.to_owned(),
            ip => format!("<ip{}>", place(&mut self.ips, ip.to_owned())),
        });
        let text = PRECONDITION
            .replace_all(&text, |found: &Captures<'_>| format!("{} ({})", &found[1], self.version(&found[2], false)));
        let text = PORT.replace_all(&text, |found: &Captures<'_>| {
            let known = found[1].parse().ok().and_then(|port: u64| self.ports.iter().position(|known| *known == port));
            known.map_or_else(|| found[0].to_owned(), |at| format!(":<port{}>/", at + 1))
        });
        let text = TOKEN.replace_all(&text, "<token>");
        if text.contains("resource version") || text.contains("resourceVersion") {
            return CURRENT.replace_all(&text, "${1}<rv>").into_owned();
        }
        text.into_owned()
    }
}

/// The place of `item` in `list`, from 1; new ones go to the end.
fn place<T: PartialEq>(list: &mut Vec<T>, item: T) -> usize {
    match list.iter().position(|known| *known == item) {
        Some(at) => at + 1,
        None => {
            list.push(item);
            list.len()
        }
    }
}

/// The entries in an order that does not depend on whether two writes fell into one second. The server's own order (operation,
/// time, manager, version, subresource) is checked first; what is not in it stays as it is, so that it is seen.
fn ordered(entries: &[Value]) -> Vec<&Value> {
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    let rest = |entry: &Value| [text(entry, "manager"), text(entry, "apiVersion"), text(entry, "subresource")];
    let real = |entry: &Value| (text(entry, "operation"), text(entry, "time"), rest(entry));
    let mut sorted: Vec<&Value> = entries.iter().collect();
    if entries.is_sorted_by_key(real) {
        sorted.sort_by_key(|entry| (text(entry, "operation"), rest(entry)));
    }
    sorted
}

/// The causes of a refusal in one order: kube-apiserver finds some of them by walking over a map, whose order is random.
fn sort_causes(status: &mut Value) {
    let Some(causes) = status.pointer_mut("/details/causes").and_then(Value::as_array_mut) else { return };
    let text = |cause: &Value, key: &str| cause[key].as_str().unwrap_or_default().to_owned();
    let joined = |causes: &[Value]| {
        let lines: Vec<_> =
            causes.iter().map(|cause| format!("{}: {}", text(cause, "field"), text(cause, "message"))).collect();
        format!("[{}]", lines.join(", "))
    };
    let before = joined(causes);
    causes.sort_by_key(|cause| (text(cause, "field"), text(cause, "message")));
    let after = joined(causes);
    if let Some(message) = status["message"].as_str() {
        status["message"] = message.replace(&before, &after).into();
    }
}

/// Whether an object is the bookmark behind the initial events of a watch.
fn has_end_mark(object: &Map<String, Value>) -> bool {
    object.get("metadata").is_some_and(|metadata| !metadata["annotations"]["k8s.io/initial-events-end"].is_null())
}

/// Whether a table shows one object at the version of that object, as in a watch.
fn is_row_of_watch(table: &Map<String, Value>) -> bool {
    let version = table.get("metadata").map(|metadata| &metadata["resourceVersion"]);
    match table.get("rows") {
        Some(Value::Array(rows)) => {
            matches!(&rows[..], [row] if Some(&row["object"]["metadata"]["resourceVersion"]) == version
            && !row["object"].as_object().is_some_and(has_end_mark))
        }
        _ => false,
    }
}

/// Ages in a table count seconds. Without columns, as in all but the first event of a watch, each cell may be one.
fn hide_ages(columns: Option<&[Value]>, rows: &mut [Value]) {
    for row in rows {
        let Some(cells) = row["cells"].as_array_mut() else { continue };
        for (at, cell) in cells.iter_mut().enumerate() {
            let column = columns.map(|columns| &columns[at]);
            let is_time = column.is_none_or(|column| {
                column["name"] == "Age" || column["type"] == "date" || column["name"] == "Duration"
            });
            if is_time && cell.as_str().is_some_and(|cell| AGE.is_match(cell)) {
                *cell = "<age>".into();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_differs_between_runs_gets_names() {
        let mut names = Names::new("renewTime: 2026-01-01T00:00:00.000000Z nodePort: 30080".to_owned());
        let uid = "1d3cdba2-9d4f-4f3e-9c5c-6f3f1e2d4c5b";
        let first = json!({"metadata": {"uid": uid, "resourceVersion": "17", "generateName": "web-", "name": "web-x7k2p",
            "creationTimestamp": "2026-11-23T20:00:00Z"}, "renewTime": "2026-01-01T00:00:00.000000Z", "at": "2026-11-23T20:00:00.123456Z"});
        assert_eq!(
            names.normalize(&first),
            json!({"metadata": {"uid": "<uid1>", "resourceVersion": "<rv1>", "generateName": "web-", "name": "web-<name1>",
                "creationTimestamp": "<time>"}, "renewTime": "2026-01-01T00:00:00.000000Z", "at": "<microtime>"})
        );
        let list = json!({"items": [{"metadata": {"resourceVersion": "18"}}, {"metadata": {"resourceVersion": "17"}}],
            "metadata": {"resourceVersion": "18", "continue": "eyJ"}});
        assert_eq!(
            names.normalize(&list),
            json!({"items": [{"metadata": {"resourceVersion": "<rv2>"}}, {"metadata": {"resourceVersion": "<rv1>"}}],
                "metadata": {"resourceVersion": "<current>", "continue": "<continue>"}})
        );
        let lists = ["17", "16", "99", "0"]
            .map(|version| names.normalize(&json!({"items": [], "metadata": {"resourceVersion": version}})));
        let shown = lists.each_ref().map(|list| list["metadata"]["resourceVersion"].as_str().unwrap());
        assert_eq!(shown, ["<rv1>", "<before>", "<current>", "0"]);
        let bookmark = json!({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "30"}}});
        assert_eq!(names.normalize(&bookmark)["object"]["metadata"]["resourceVersion"], "<current>");
        let service = json!({"ports": [{"nodePort": 30080}, {"nodePort": 31234}], "clusterIP": "10.0.3.4"});
        let expected = json!({"ports": [{"nodePort": 30080}, {"nodePort": "<port1>"}], "clusterIP": "<ip1>"});
        assert_eq!(names.normalize(&service), expected);
        assert_eq!(names.text(&format!("pods \"web-x7k2p\" {uid}")), "pods \"web-<name1>\" <uid1>");
    }

    #[test]
    fn managers_stand_in_one_order_if_the_server_kept_its_own() {
        let entry = |manager: &str, time: &str| json!({"manager": manager, "operation": "Update", "time": time});
        let of = |entries: [Value; 2]| {
            ordered(&entries).iter().map(|entry| entry["manager"].to_string()).collect::<String>()
        };
        assert_eq!(of([entry("b", "1"), entry("a", "2")]), "\"a\"\"b\"");
        assert_eq!(of([entry("b", "2"), entry("a", "1")]), "\"b\"\"a\"", "out of the server's order: shown as it is");
    }
}
