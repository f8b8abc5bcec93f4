//! The recordings: one file a subject.

use std::fs;
use std::path::PathBuf;

use super::compare::compare;
use super::run::{IMPOSSIBLE, answers};
use super::script::Script;
use super::server::Server;

/// Set to 1, the recordings are written anew from what the real server answers.
pub(crate) const UPDATE: &str = "DRIFTLESS_UPDATE_RECORDINGS";
/// A subject, or some separated by commas: only these are run.
const SUBJECTS: &str = "DRIFTLESS_SUBJECTS";
/// Differences that are shown in full.
const SHOWN: usize = 5;
/// Fewest requests that all recordings hold together.
const FEWEST: usize = 300;

/// A subject with its script.
pub(crate) struct Subject {
    pub(crate) name: String,
    path: PathBuf,
    pub(crate) script: Script,
}

/// All subjects by name, or those that were asked for.
pub(crate) fn subjects() -> Vec<Subject> {
    let wanted = std::env::var(SUBJECTS).unwrap_or_default();
    let mut found = Vec::new();
    for entry in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sim/recordings")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.extension().is_some_and(|extension| extension == "txt")
            && (wanted.is_empty() || wanted.split(',').any(|wanted| wanted == name))
        {
            let script = Script::parse(&fs::read_to_string(&path).unwrap());
            found.push(Subject { name, path, script });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// Runs a subject against a server; the differences as text, empty if there are none. With [`UPDATE`], the answers of the
/// real server are written instead.
pub(crate) fn check(subject: &Subject, server: &mut dyn Server, is_model: bool) -> String {
    let answers = answers(&subject.script, server);
    if !is_model && std::env::var_os(UPDATE).is_some_and(|value| value == "1") {
        for (step, answer) in subject.script.steps.iter().zip(&answers) {
            assert!(!answer.starts_with(IMPOSSIBLE), "{}, {:?}: {answer}", subject.name, step.name);
        }
        fs::write(&subject.path, subject.script.print(&answers)).unwrap();
        return String::new();
    }
    let found = compare(&subject.script, &answers, is_model);
    if found.is_empty() {
        return String::new();
    }
    let mut out = format!("{}: {} of {} answers differ\n", subject.name, found.len(), subject.script.requests());
    for difference in found.iter().take(SHOWN) {
        out.push_str(&format!("--- {}: {}\n{}", subject.name, difference.step, difference.lines));
    }
    let rest: Vec<&str> = found.iter().skip(SHOWN).map(|difference| difference.step.as_str()).collect();
    if !rest.is_empty() {
        out.push_str(&format!("--- and in: {}\n", rest.join("; ")));
    }
    out
}

#[test]
fn every_request_has_its_answer() {
    let subjects = subjects();
    let mut count = 0;
    for subject in &subjects {
        count += subject.script.requests();
        for step in &subject.script.steps {
            let defines = step.action == super::script::Action::Define;
            assert_eq!(
                step.answer.is_empty(),
                defines,
                "{}: step {:?}; record it with {UPDATE}=1",
                subject.name,
                step.name
            );
        }
        let answers: Vec<String> = subject.script.steps.iter().map(|step| step.answer.clone()).collect();
        let text = fs::read_to_string(&subject.path).unwrap();
        assert_eq!(subject.script.print(&answers), text, "{}: not in the form in which it is written", subject.name);
    }
    let all = std::env::var_os(SUBJECTS).is_none();
    assert!(!all || count >= FEWEST, "{count} requests in {} subjects", subjects.len());
}
