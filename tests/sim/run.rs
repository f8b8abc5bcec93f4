//! Runs a script against a server and gives the answers in the form in which they are recorded.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{Request, Response};
use regex::{Captures, Regex};
use serde_json::{Value, json};

use super::normal::Names;
use super::readable;
use super::script::{Action, End, Script, Step, print_answer};
use super::server::{Next, Server};

/// Between two attempts of a step that waits for something.
const RETRY: Duration = Duration::from_millis(100);
/// Attempts of such a step.
const MAX_ATTEMPTS: usize = 300;
/// How long an event may take.
const EVENT_LIMIT: Duration = Duration::from_secs(10);
/// Most events that one step reads.
const MAX_EVENTS: usize = 1000;
/// Headers of answers that clients act on. The content type is shown unless it is JSON.
const HEADERS: [&str; 5] = ["warning", "retry-after", "allow", "location", "www-authenticate"];
const JSON: &str = "application/json";

/// `{rv:web}`, `{/spec/clusterIP:web}`, and `{a*100}` for a hundred letters.
static REFERENCE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\{(uid|rv|name|continue|/[^:{}\s]+):([A-Za-z0-9-]+)\}|\{(.)\*(\d+)\}").unwrap());

/// One run of a script.
pub(crate) struct Run<'a> {
    server: &'a mut dyn Server,
    pub(crate) names: Names,
    values: BTreeMap<String, Value>,
    watches: BTreeMap<String, usize>,
}

/// The answers to all steps of a script.
pub(crate) fn answers(script: &Script, server: &mut dyn Server) -> Vec<String> {
    let mut run = Run::new(server, script.source());
    script.steps.iter().map(|step| run.step(step)).collect()
}

impl<'a> Run<'a> {
    /// `written`: what people wrote, which is never replaced by a name.
    pub(crate) fn new(server: &'a mut dyn Server, written: String) -> Self {
        Self { server, names: Names::new(written), values: BTreeMap::new(), watches: BTreeMap::new() }
    }

    /// Does one step and gives its answer as it is recorded. Panics if the step itself makes no sense.
    pub(crate) fn step(&mut self, step: &Step) -> String {
        if !step.pause.is_zero() {
            self.server.pass(step.pause);
        }
        match &step.action {
            Action::Define => {
                let name = step.remember.clone().unwrap_or_else(|| panic!("step {:?} does nothing", step.name));
                let value = yaml(&step.name, &self.fill(&step.name, &step.body));
                self.values.insert(name, value);
                String::new()
            }
            Action::Send { method, path } => self.send_until(step, method, path),
            Action::Watch { watch, path } => self.open(step, watch, path),
            Action::Events { watch, end } => self.events(step, watch, end),
        }
    }

    fn send_until(&mut self, step: &Step, method: &str, path: &str) -> String {
        let mut last = String::new();
        for _ in 0..MAX_ATTEMPTS {
            let request = self.request(step, method, path);
            let answer = self.server.call(request);
            let Some(until) = &step.until else { return self.shown(step, &answer) };
            let body = value_of(&answer).unwrap_or_default();
            let reached = until.holds(answer.status().as_u16(), &body);
            last = format!("{} {body}", answer.status());
            if reached {
                return self.shown(step, &answer);
            }
            self.server.pass(RETRY);
        }
        panic!("step {:?}: {:?} was never reached, but {last}", step.name, step.until);
    }

    fn open(&mut self, step: &Step, watch: &str, path: &str) -> String {
        let request = self.request(step, "GET", path);
        match self.server.watch(request) {
            Ok(number) => {
                self.watches.insert(watch.to_owned(), number);
                print_answer(200, &[], "")
            }
            Err(answer) => self.shown(step, &answer),
        }
    }

    fn events(&mut self, step: &Step, watch: &str, end: &End) -> String {
        let number = *self.watches.get(watch).unwrap_or_else(|| panic!("step {:?}: no watch {watch:?}", step.name));
        let mut events: Vec<Value> = Vec::new();
        let last = loop {
            assert!(events.len() < MAX_EVENTS, "step {:?}: too many events", step.name);
            let event = match self.server.event(number, EVENT_LIMIT) {
                Next::Event(event) => event,
                Next::End => break "end of the stream",
                Next::Nothing => break "nothing more",
            };
            let bookmark = event["type"] == "BOOKMARK";
            let after_initial = event["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"] == "true";
            // Others come when the server finds it is time.
            if bookmark && !after_initial && *end != End::Bookmark {
                continue;
            }
            events.push(self.names.normalize(&event));
            match end {
                End::Count(count) if events.len() == *count => break "",
                End::Bookmark if bookmark => break "",
                _ => {}
            }
        };
        let mut body = if events.is_empty() { String::new() } else { readable::print(&Value::Array(events)) };
        if !last.is_empty() {
            body.push_str(&format!("# {last}\n"));
        }
        print_answer(200, &[], &body)
    }

    /// The request of a step, with all references filled in.
    fn request(&self, step: &Step, method: &str, path: &str) -> Request<Vec<u8>> {
        let mut builder = Request::builder().method(method).uri(self.fill(&step.name, path));
        if step.user != "nobody" {
            builder = builder.header(AUTHORIZATION, format!("Bearer {}-token", step.user));
        }
        if step.header("accept").is_none() {
            builder = builder.header(ACCEPT, JSON);
        }
        let body = self.body(step);
        if step.header("content-type").is_none() && !body.is_empty() {
            builder = builder.header(CONTENT_TYPE, JSON);
        }
        for (name, value) in &step.headers {
            builder = builder.header(name, value);
        }
        builder.body(body.into_bytes()).unwrap_or_else(|error| panic!("step {:?}: {error}", step.name))
    }

    /// Bodies are written as YAML and sent as JSON, unless the content type says YAML. What begins with a brace, a bracket or
    /// a quote is sent as it is.
    fn body(&self, step: &Step) -> String {
        let text = self.fill(&step.name, &step.body);
        if let Some(from) = &step.from {
            let base = self.values.get(from).unwrap_or_else(|| panic!("step {:?}: nothing named {from:?}", step.name));
            let mut value = base.clone();
            if !text.trim().is_empty() {
                json_patch::merge(&mut value, &yaml(&step.name, &text));
            }
            return value.to_string();
        }
        let sent_as_yaml = step.header("content-type").is_some_and(|kind| kind.contains("yaml"));
        if text.is_empty() || sent_as_yaml || text.starts_with(['{', '[', '"']) {
            return text;
        }
        yaml(&step.name, &text).to_string()
    }

    fn fill(&self, step: &str, text: &str) -> String {
        let found = |captures: &Captures<'_>| {
            if let (Some(letter), Some(count)) = (captures.get(3), captures.get(4)) {
                return letter.as_str().repeat(count.as_str().parse().unwrap());
            }
            let name = &captures[2];
            let value = self.values.get(name).unwrap_or_else(|| panic!("step {step:?}: nothing named {name:?}"));
            let pointer = match &captures[1] {
                "rv" => "/metadata/resourceVersion",
                "uid" => "/metadata/uid",
                "name" => "/metadata/name",
                "continue" => "/metadata/continue",
                pointer => pointer,
            };
            match value.pointer(pointer) {
                Some(Value::String(text)) => text.clone(),
                Some(value) => value.to_string(),
                None => panic!("step {step:?}: {name:?} has no {pointer}"),
            }
        };
        REFERENCE.replace_all(text, found).into_owned()
    }

    /// An answer as it is recorded; it is remembered if the step says so.
    fn shown(&mut self, step: &Step, answer: &Response<Vec<u8>>) -> String {
        let mut headers = Vec::new();
        for (name, value) in answer.headers() {
            let value = value.to_str().unwrap_or("<not text>").to_owned();
            let name = name.as_str();
            if HEADERS.contains(&name) || name == "content-type" && value != JSON {
                headers.push((name.to_owned(), self.names.text(&value)));
            }
        }
        headers.sort_by(|a, b| a.0.cmp(&b.0));
        let body = match value_of(answer) {
            Some(mut value) => {
                keep(&mut value, &step.only);
                if let Some(name) = &step.remember {
                    self.values.insert(name.clone(), value.clone());
                }
                readable::print(&self.names.normalize(&value))
            }
            None => {
                let text = String::from_utf8_lossy(answer.body()).into_owned();
                text.lines().map(|line| format!("| {}\n", self.names.text(line))).collect()
            }
        };
        print_answer(answer.status().as_u16(), &headers, &body)
    }
}

/// The body of an answer if it is JSON, or YAML and said to be.
fn value_of(answer: &Response<Vec<u8>>) -> Option<Value> {
    let is_yaml = answer.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "application/yaml");
    if is_yaml {
        return serde_saphyr::from_slice(answer.body()).ok();
    }
    serde_json::from_slice(answer.body()).ok()
}

fn yaml(step: &str, text: &str) -> Value {
    if text.trim().is_empty() {
        return json!({});
    }
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("step {step:?}: {error}"))
}

/// Keeps the items of the given names of a list of whatever kind: objects, groups, resources.
fn keep(value: &mut Value, only: &[String]) {
    if only.is_empty() {
        return;
    }
    for list in ["items", "groups", "resources"] {
        if let Some(Value::Array(items)) = value.get_mut(list) {
            let name = |item: &Value| {
                let named = item["metadata"]["name"].as_str().or_else(|| item["name"].as_str());
                named.unwrap_or_default().to_owned()
            };
            items.retain(|item| only.contains(&name(item)));
        }
    }
}
