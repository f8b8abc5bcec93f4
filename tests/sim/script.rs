//! The text form of scripts and recordings: requests as people write them, and below each what the server answered.
//! `recordings/README.md` describes it.

use std::time::Duration;

use serde_json::Value;

/// The requests of one subject, with the answers if they were recorded.
#[derive(Debug)]
pub(crate) struct Script {
    /// Controllers that must run, comma-separated; may be empty.
    pub(crate) controllers: String,
    /// What stands before the first step, as written.
    head: String,
    pub(crate) steps: Vec<Step>,
}

/// One request, or one reading of a watch.
#[derive(Debug, Default)]
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) action: Action,
    /// Whose token is sent; `nobody` sends none.
    pub(crate) user: String,
    /// Under which name the answer is remembered.
    pub(crate) remember: Option<String>,
    /// The remembered value that the body is a merge patch for.
    pub(crate) from: Option<String>,
    pub(crate) until: Option<Until>,
    /// Names of the items that are kept of a list, all if empty.
    pub(crate) only: Vec<String>,
    /// How long to wait before.
    pub(crate) pause: Duration,
    /// Why the model answers something else, if it may.
    pub(crate) differs: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// The step as written, without its answer.
    source: String,
    /// The answer as recorded; empty if there is none yet.
    pub(crate) answer: String,
}

/// What a step does.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Action {
    /// Gives a value a name, for [`Step::from`].
    #[default]
    Define,
    Send {
        method: String,
        path: String,
    },
    /// Opens a watch under a name.
    Watch {
        watch: String,
        path: String,
    },
    /// Reads the events of a watch.
    Events {
        watch: String,
        end: End,
    },
}

/// When to stop reading events.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    Count(usize),
    /// At the bookmark behind the initial events.
    Bookmark,
    /// When the server ends the stream.
    Closed,
}

/// A request is repeated until this is so.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Until {
    Code(u16),
    /// What is at this JSON pointer, in which `*` is any item, is this; or nothing is there, if it is `None`.
    Field(String, Option<String>),
}

impl Until {
    /// `until 404`, `until /status/phase is Active`, `until /status/conditions has gone`.
    fn parse(text: &str) -> Option<Self> {
        if let Some(pointer) = text.strip_suffix(" has gone") {
            return Some(Self::Field(pointer.to_owned(), None));
        }
        match text.split_once(" is ") {
            Some((pointer, value)) => Some(Self::Field(pointer.to_owned(), Some(value.to_owned()))),
            None => text.parse().ok().map(Self::Code),
        }
    }

    /// Whether an answer is what is waited for.
    pub(crate) fn holds(&self, code: u16, body: &Value) -> bool {
        match self {
            Self::Code(wanted) => code == *wanted,
            Self::Field(pointer, wanted) => {
                let parts: Vec<&str> = pointer.split('/').skip(1).collect();
                has(body, &parts, wanted.as_deref()) == wanted.is_some()
            }
        }
    }
}

/// Whether there is a value at a path; which one, if it is given.
fn has(value: &Value, path: &[&str], wanted: Option<&str>) -> bool {
    match (path, value) {
        ([], Value::String(text)) => wanted.is_none_or(|wanted| text == wanted),
        ([], value) => {
            wanted.is_none_or(|wanted| serde_json::from_str::<Value>(wanted).is_ok_and(|wanted| wanted == *value))
        }
        (["*", rest @ ..], Value::Array(items)) => items.iter().any(|item| has(item, rest, wanted)),
        ([index, rest @ ..], Value::Array(items)) => {
            index.parse().ok().and_then(|index: usize| items.get(index)).is_some_and(|item| has(item, rest, wanted))
        }
        ([key, rest @ ..], Value::Object(map)) => map.get(*key).is_some_and(|item| has(item, rest, wanted)),
        _ => false,
    }
}

const STEP: &str = "### ";
const ANSWER: &str = "=> ";
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

impl Script {
    /// Reads a script. Panics with the line where it is malformed.
    pub(crate) fn parse(text: &str) -> Self {
        let mut script = Self { controllers: String::new(), head: String::new(), steps: Vec::new() };
        let mut chunk = String::new();
        for line in text.split_inclusive('\n') {
            if line.starts_with(STEP) {
                script.add(&std::mem::take(&mut chunk));
            }
            chunk.push_str(line);
        }
        script.add(&chunk);
        script
    }

    fn add(&mut self, chunk: &str) {
        if chunk.starts_with(STEP) {
            let step = Step::parse(chunk);
            assert!(self.steps.iter().all(|other| other.name != step.name), "two steps named {:?}", step.name);
            self.steps.push(step);
        } else {
            let controllers = chunk.lines().find_map(|line| line.strip_prefix("controllers: "));
            self.controllers = controllers.unwrap_or_default().to_owned();
            self.head = chunk.to_owned();
        }
    }

    /// The text of the script with these answers, one for each step.
    pub(crate) fn print(&self, answers: &[String]) -> String {
        let steps = self.steps.iter().zip(answers).map(|(step, answer)| {
            let gap = if answer.is_empty() { "" } else { "\n" };
            format!("{}{gap}{answer}\n", step.source)
        });
        self.head.clone() + &steps.collect::<String>()
    }

    /// What people wrote, without the answers.
    pub(crate) fn source(&self) -> String {
        self.steps.iter().map(|step| step.source.as_str()).collect()
    }

    /// How many steps ask the server something.
    pub(crate) fn requests(&self) -> usize {
        self.steps.iter().filter(|step| step.action != Action::Define).count()
    }
}

impl Step {
    fn parse(chunk: &str) -> Self {
        let (source, answer) = match chunk.find("\n=> ") {
            Some(at) => chunk.split_at(at + 1),
            None => (chunk, ""),
        };
        let mut step = Self { user: "admin".to_owned(), ..Self::default() };
        step.source = source.trim_end().to_owned() + "\n";
        step.answer = if answer.is_empty() { String::new() } else { answer.trim_end().to_owned() + "\n" };
        let (head, body) = step.source.split_once("\n\n").unwrap_or((&step.source, ""));
        step.body = body.to_owned();
        let head = head.to_owned();
        for line in head.lines() {
            if !step.read(line) {
                panic!("step {:?}: what is {line:?}?", step.name);
            }
        }
        step
    }

    /// Takes one line of a step's head; whether it could be understood.
    fn read(&mut self, line: &str) -> bool {
        if let Some(name) = line.strip_prefix(STEP) {
            name.clone_into(&mut self.name);
            return true;
        }
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let text = || Some(rest.to_owned());
        match word {
            "as" => rest.clone_into(&mut self.user),
            "let" => self.remember = text(),
            "from" => self.from = text(),
            "differs" => self.differs = text(),
            "only" => self.only = rest.split(", ").map(str::to_owned).collect(),
            "until" => {
                self.until = Until::parse(rest);
                return self.until.is_some();
            }
            "pause" => {
                return rest
                    .strip_suffix("ms")
                    .and_then(|ms| ms.parse().ok())
                    .map(|ms| self.pause = Duration::from_millis(ms))
                    .is_some();
            }
            "define" => self.remember = text(),
            "watch" | "events" => return self.read_watch(word, rest),
            _ if METHODS.contains(&word) => {
                self.action = Action::Send { method: word.to_owned(), path: rest.to_owned() };
            }
            _ => return self.read_header(line),
        }
        true
    }

    fn read_watch(&mut self, word: &str, rest: &str) -> bool {
        let words: Vec<&str> = rest.split(' ').collect();
        self.action = match (word, &words[..]) {
            ("watch", [watch, path]) => Action::Watch { watch: (*watch).to_owned(), path: (*path).to_owned() },
            ("events", [watch, "until", end]) => {
                let end = match *end {
                    "bookmark" => End::Bookmark,
                    "end" => End::Closed,
                    count => match count.parse() {
                        Ok(count) => End::Count(count),
                        Err(_) => return false,
                    },
                };
                Action::Events { watch: (*watch).to_owned(), end }
            }
            _ => return false,
        };
        true
    }

    fn read_header(&mut self, line: &str) -> bool {
        let Some((name, value)) = line.split_once(": ") else { return false };
        self.headers.push((name.to_owned(), value.to_owned()));
        http::HeaderName::try_from(name).is_ok()
    }

    /// The value of a request header, by its name in any case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// The answer part of a step.
pub(crate) fn print_answer(code: u16, headers: &[(String, String)], body: &str) -> String {
    let mut out = format!("{ANSWER}{code}\n");
    for (name, value) in headers {
        out.push_str(&format!("{name}: {value}\n"));
    }
    if !body.is_empty() {
        out.push('\n');
        out.push_str(body);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# About this.\ncontrollers: a,b\n\n### one\ndefine x\n\na: 1\n\n### two\nas bob\nlet y\nfrom x\nuntil 404\npause 5ms\n\
        PUT /api?x=1\nAccept: text/plain\n\n{\"a\": \"### \",\n\n b}\n\n=> 201\n\na: 1\n\n### three\nevents w until 3\n\n=> 200\n\n- x\n\n";

    #[test]
    fn a_script_is_read_and_written_as_it_was() {
        let script = Script::parse(TEXT);
        assert_eq!((script.controllers.as_str(), script.steps.len(), script.requests()), ("a,b", 3, 2));
        let two = &script.steps[1];
        assert_eq!((two.user.as_str(), two.remember.as_deref(), two.from.as_deref()), ("bob", Some("y"), Some("x")));
        assert_eq!((&two.until, two.pause), (&Some(Until::Code(404)), Duration::from_millis(5)));
        assert_eq!(two.action, Action::Send { method: "PUT".to_owned(), path: "/api?x=1".to_owned() });
        assert_eq!((two.header("accept"), two.body.as_str()), (Some("text/plain"), "{\"a\": \"### \",\n\n b}\n"));
        assert_eq!(two.answer, "=> 201\n\na: 1\n");
        assert_eq!(script.steps[2].action, Action::Events { watch: "w".to_owned(), end: End::Count(3) });
        let answers: Vec<String> = script.steps.iter().map(|step| step.answer.clone()).collect();
        assert_eq!(script.print(&answers), TEXT);
    }

    #[test]
    fn conditions_are_waited_for() {
        let body = serde_json::json!({"status": {"phase": "Active", "conditions": [{"type": "A"}, {"type": "B", "count": 2}]}});
        let holds = |text: &str| Until::parse(text).unwrap().holds(200, &body);
        assert!(holds("200") && !holds("404"));
        assert!(holds("/status/phase is Active") && !holds("/status/phase is Terminating"));
        assert!(holds("/status/conditions/*/type is B") && !holds("/status/conditions/*/type is C"));
        assert!(holds("/status/conditions/1/count is 2") && !holds("/status/conditions/0/count is 2"));
        assert!(holds("/status/message has gone") && !holds("/status/conditions/*/count has gone"));
    }

    #[test]
    #[should_panic(expected = "what is \"HAT /x\"?")]
    fn what_is_not_understood_is_named() {
        Script::parse("### a\nHAT /x\n");
    }
}
