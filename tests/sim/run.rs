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
/// In place of an answer: why there is none.
pub(crate) const IMPOSSIBLE: &str = "=> impossible: ";
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

/// The answers to all steps of a script. A step that can't be done is told as an answer, for the model may not have given what
/// it needs.
pub(crate) fn answers(script: &Script, server: &mut dyn Server) -> Vec<String> {
    let mut run = Run::new(server, script.source());
    script.steps.iter().map(|step| run.step(step).unwrap_or_else(|why| format!("{IMPOSSIBLE}{why}\n"))).collect()
}

impl<'a> Run<'a> {
    /// `written`: what people wrote, which is never replaced by a name.
    pub(crate) fn new(server: &'a mut dyn Server, written: String) -> Self {
        Self { server, names: Names::new(written), values: BTreeMap::new(), watches: BTreeMap::new() }
    }

    /// Does one step and gives its answer as it is recorded; the error says why it can't be done.
    pub(crate) fn step(&mut self, step: &Step) -> Result<String, String> {
        if !step.pause.is_zero() {
            self.server.pass(step.pause);
        }
        match &step.action {
            Action::Define => {
                let name = step.remember.clone().ok_or("it does nothing")?;
                let value = yaml(&self.fill(&step.body)?)?;
                self.values.insert(name, value);
                Ok(String::new())
            }
            Action::Send { method, path } => self.send_until(step, method, path),
            Action::Watch { watch, path } => self.open(step, watch, path),
            Action::Events { watch, end } => self.events(watch, end),
        }
    }

    fn send_until(&mut self, step: &Step, method: &str, path: &str) -> Result<String, String> {
        let request = self.request(step, method, path)?;
        let mut answer = self.server.call(request.clone());
        let Some(until) = &step.until else { return Ok(self.shown(step, &answer)) };
        for _ in 0..MAX_ATTEMPTS {
            if until.holds(answer.status().as_u16(), &value_of(&answer).unwrap_or_default()) {
                return Ok(self.shown(step, &answer));
            }
            self.server.pass(RETRY);
            answer = self.server.call(request.clone());
        }
        Err(format!("{until:?} was never reached; the last answer:\n{}", self.shown(step, &answer)))
    }

    fn open(&mut self, step: &Step, watch: &str, path: &str) -> Result<String, String> {
        let request = self.request(step, "GET", path)?;
        Ok(match self.server.watch(request) {
            Ok(number) => {
                self.watches.insert(watch.to_owned(), number);
                print_answer(200, &[], "")
            }
            Err(answer) => self.shown(step, &answer),
        })
    }

    fn events(&mut self, watch: &str, end: &End) -> Result<String, String> {
        let number = *self.watches.get(watch).ok_or_else(|| format!("no watch {watch:?} was opened"))?;
        let mut events: Vec<Value> = Vec::new();
        let last = loop {
            if events.len() == MAX_EVENTS {
                return Err("too many events".to_owned());
            }
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
        Ok(print_answer(200, &[], &body))
    }

    /// The request of a step, with all references filled in.
    fn request(&self, step: &Step, method: &str, path: &str) -> Result<Request<Vec<u8>>, String> {
        let mut builder = Request::builder().method(method).uri(self.fill(path)?);
        if step.user != "nobody" {
            builder = builder.header(AUTHORIZATION, format!("Bearer {}-token", step.user));
        }
        if step.header("accept").is_none() {
            builder = builder.header(ACCEPT, JSON);
        }
        let body = self.body(step)?;
        if step.header("content-type").is_none() && !body.is_empty() {
            builder = builder.header(CONTENT_TYPE, JSON);
        }
        for (name, value) in &step.headers {
            builder = builder.header(name, value);
        }
        builder.body(body.into_bytes()).map_err(|error| error.to_string())
    }

    /// Bodies are written as YAML and sent as JSON, unless the content type says YAML. What begins with a brace, a bracket or
    /// a quote is sent as it is.
    fn body(&self, step: &Step) -> Result<String, String> {
        let text = self.fill(&step.body)?;
        if let Some(from) = &step.from {
            let mut value = self.value(from)?.clone();
            if !text.trim().is_empty() {
                json_patch::merge(&mut value, &yaml(&text)?);
            }
            return Ok(value.to_string());
        }
        let sent_as_yaml = step.header("content-type").is_some_and(|kind| kind.contains("yaml"));
        if text.is_empty() || sent_as_yaml || text.starts_with(['{', '[', '"']) {
            return Ok(text);
        }
        Ok(yaml(&text)?.to_string())
    }

    fn value(&self, name: &str) -> Result<&Value, String> {
        self.values.get(name).ok_or_else(|| format!("nothing is remembered as {name:?}"))
    }

    fn fill(&self, text: &str) -> Result<String, String> {
        let (mut out, mut rest) = (String::new(), 0);
        for found in REFERENCE.captures_iter(text) {
            let whole = found.get_match();
            out.push_str(&text[rest..whole.start()]);
            out.push_str(&self.reference(&found)?);
            rest = whole.end();
        }
        out.push_str(&text[rest..]);
        Ok(out)
    }

    fn reference(&self, found: &Captures<'_>) -> Result<String, String> {
        if let (Some(letter), Some(count)) = (found.get(3), found.get(4)) {
            return Ok(letter.as_str().repeat(count.as_str().parse().map_err(|_| "too many letters")?));
        }
        let pointer = match &found[1] {
            "rv" => "/metadata/resourceVersion",
            "uid" => "/metadata/uid",
            "name" => "/metadata/name",
            "continue" => "/metadata/continue",
            pointer => pointer,
        };
        match self.value(&found[2])?.pointer(pointer) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(value) => Ok(value.to_string()),
            None => Err(format!("{:?} has no {pointer}", &found[2])),
        }
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
                // A refusal says nothing of the object.
                if let Some(name) = &step.remember
                    && answer.status().is_success()
                    && value["kind"] != "Status"
                {
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

fn yaml(text: &str) -> Result<Value, String> {
    if text.trim().is_empty() {
        return Ok(json!({}));
    }
    serde_saphyr::from_str(text).map_err(|error| error.to_string())
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
