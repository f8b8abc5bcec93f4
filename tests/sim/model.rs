//! The model as a server of scripts, and the replay of what the real server answered.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use bytes::Bytes;
use driftless::sim::apiserver::lifecycle::Controllers;
use driftless::sim::apiserver::watch::{Frame, Watch};
use driftless::sim::apiserver::{Answer, ApiServer};
use http::{Request, Response};
use jiff::{SignedDuration, Timestamp};

use super::compare::compare;
use super::run::answers;
use super::server::{Next, Server};
use super::subjects;
pub(crate) use crate::support::model_plane::accounts;

/// The model in this process, at a time of its own.
pub(crate) struct Model {
    server: ApiServer,
    now: Timestamp,
    watches: Vec<Watch>,
}

impl Model {
    pub(crate) fn new(seed: u64, controllers: &str) -> Self {
        let has = |name: &str| controllers.split(',').any(|known| known == name);
        let controllers = Controllers {
            namespaces: has("namespace-controller"),
            garbage: has("garbage-collector-controller"),
            ..Controllers::default()
        };
        let now = Timestamp::now();
        Self { server: ApiServer::new(seed, controllers, accounts(), now), now, watches: Vec::new() }
    }

    fn handle(&mut self, request: Request<Vec<u8>>) -> Answer {
        let (parts, body) = request.into_parts();
        self.server.handle(&Request::from_parts(parts, Bytes::from(body)), self.now)
    }
}

fn response(reply: &driftless::sim::apiserver::reply::Reply) -> Response<Vec<u8>> {
    let mut builder = Response::builder().status(reply.code).header("content-type", &reply.content_type);
    for warning in &reply.warnings {
        builder = builder.header("warning", format!("299 - {warning:?}"));
    }
    if let Some(seconds) = reply.retry_after {
        builder = builder.header("retry-after", seconds);
    }
    builder.body(reply.bytes().to_vec()).unwrap()
}

impl Server for Model {
    fn call(&mut self, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
        match self.handle(request) {
            Answer::Reply(reply) => response(&reply),
            Answer::Watch(_) => panic!("a watch was not expected"),
        }
    }

    fn watch(&mut self, request: Request<Vec<u8>>) -> Result<usize, Box<Response<Vec<u8>>>> {
        match self.handle(request) {
            Answer::Reply(reply) => Err(Box::new(response(&reply))),
            Answer::Watch(watch) => {
                self.watches.push(*watch);
                Ok(self.watches.len() - 1)
            }
        }
    }

    fn event(&mut self, watch: usize, limit: Duration) -> Next {
        let until = self.now.checked_add(SignedDuration::try_from(limit).unwrap()).unwrap();
        loop {
            match self.server.next(&mut self.watches[watch], self.now) {
                Frame::Line(pieces) => return Next::Event(serde_json::from_slice(&pieces.concat()).unwrap()),
                Frame::End => return Next::End,
                Frame::Wait(at) if at <= until => self.now = at,
                Frame::Wait(_) => return Next::Nothing,
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.checked_add(SignedDuration::try_from(time).unwrap()).unwrap();
    }
}

/// Set to 1, the list of open differences is written anew.
const UPDATE: &str = "DRIFTLESS_UPDATE_OPEN";

/// Steps that the model answers otherwise than the real server did, each as `SUBJECT: STEP`.
fn differing() -> (BTreeSet<String>, String) {
    let (mut names, mut told) = (BTreeSet::new(), String::new());
    for subject in subjects() {
        let run = || {
            compare(&subject.script, &answers(&subject.script, &mut Model::new(1, &subject.script.controllers)), true)
        };
        // A script that needs what the model does not do comes to no end.
        let Ok(differences) = std::panic::catch_unwind(run) else {
            names.insert(format!("{}: stopped", subject.name));
            continue;
        };
        println!("{}: {} of {} answers differ", subject.name, differences.len(), subject.script.requests());
        for difference in differences {
            told.push_str(&format!("--- {}: {}\n{}", subject.name, difference.step, difference.lines));
            names.insert(format!("{}: {}", subject.name, difference.step));
        }
    }
    (names, told)
}

#[test]
fn the_model_answers_what_the_server_answered() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sim/open.txt");
    let (found, told) = differing();
    if std::env::var_os("DRIFTLESS_SHOW").is_some() {
        println!("{told}");
    }
    let header =
        "# Requests that the model still answers otherwise than kube-apiserver did. The list only gets shorter.\n";
    if std::env::var_os(UPDATE).is_some_and(|value| value == "1") {
        let lines: String = found.iter().map(|name| format!("{name}\n")).collect();
        fs::write(path, format!("{header}{lines}")).unwrap();
        return;
    }
    let text = fs::read_to_string(path).unwrap();
    let open: BTreeSet<String> = text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    let new: Vec<&String> = found.difference(&open).collect();
    assert!(new.is_empty(), "answered otherwise than before: {new:#?}");
    let mended: Vec<&String> = open.difference(&found).collect();
    assert!(mended.is_empty(), "answered right by now, take it off the list with {UPDATE}=1: {mended:#?}");
}
