//! The sandbox's API server, spoken to from within the process that it runs in.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, BodyStream, Full};
use jiff::Timestamp;
use serde_json::Value;

use crate::cli::error::CommandError;
use crate::sim::apiserver::ApiServer;
use crate::sim::apiserver::access::User;
use crate::sim::controllers::Controllers;
use crate::sim::disk::Disk;
use crate::sim::shared::{Body, Shared};

/// The field manager of what the sandbox itself writes.
const MANAGER: &str = "driftless-sandbox";
/// The group that may do anything.
const MASTERS: &str = "system:masters";

/// An API server and the tokens of its users.
#[derive(Clone)]
pub(super) struct Cluster {
    shared: Shared,
    /// Of the person at the terminal.
    pub(super) person: String,
    /// Of the agents.
    pub(super) agent: String,
}

impl Cluster {
    /// One that forgets everything when it ends, or goes on from a file and keeps it up to date.
    pub(super) fn new(file: Option<&Path>) -> Result<Self, CommandError> {
        let token = || format!("{:032x}", rand::random::<u128>());
        let (person, agent) = (token(), token());
        let accounts = vec![
            (person.clone(), User::known("sandbox", &[MASTERS])),
            (agent.clone(), User::known("system:serviceaccount:driftless:driftless", &[MASTERS])),
        ];
        let (seed, controllers, now) = (rand::random(), Controllers::all(), Timestamp::now());
        let clock = Arc::new(Timestamp::now);
        let shared = match file {
            None => Shared::new(ApiServer::new(seed, controllers, accounts, now), clock),
            Some(file) => {
                let disk = Disk::open(file).map_err(CommandError::failure)?;
                let server = match disk.load().map_err(CommandError::failure)? {
                    Some(saved) => ApiServer::restore(seed, controllers, accounts, saved, now),
                    None => ApiServer::new(seed, controllers, accounts, now),
                };
                Shared::kept(server, clock, disk)
            }
        };
        Ok(Self { shared, person, agent })
    }

    /// What serves it.
    pub(super) fn shared(&self) -> Shared {
        self.shared.clone()
    }

    /// Makes an object as it is here, whatever was there.
    pub(super) async fn apply(&self, path: &str, object: &Value) -> Result<(), CommandError> {
        let uri = format!("{path}?fieldManager={MANAGER}&force=true");
        let (code, answer) = self.call(Method::PATCH, &uri, "application/apply-patch+yaml", object).await?;
        if code < 300 {
            return Ok(());
        }
        let why = answer.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
        Err(CommandError::failure(format_args!("the API server refused {path}: {code} {why}")))
    }

    async fn call(&self, method: Method, uri: &str, form: &str, body: &Value) -> Result<(u16, Value), CommandError> {
        let response = self.send(method, uri, form, body.to_string().into()).await?;
        let code = response.status().as_u16();
        // The body comes from memory and can't break off.
        let Ok(body) = response.into_body().collect().await;
        Ok((code, serde_json::from_slice(&body.to_bytes()).unwrap_or_default()))
    }

    /// What happens to the objects of a path, those that are there first; it ends when the server ends the watch.
    pub(super) async fn watch(
        &self,
        path: &str,
    ) -> Result<impl Stream<Item = Value> + Send + Unpin + use<>, CommandError> {
        let uri = format!("{path}?watch=true&timeoutSeconds=86400");
        let response = self.send(Method::GET, &uri, "application/json", Bytes::new()).await?;
        if !response.status().is_success() {
            let problem = format_args!("the API server refused a watch of {path}: {}", response.status());
            return Err(CommandError::failure(problem));
        }
        let frames = BodyStream::new(response.into_body()).filter_map(|frame| async {
            let Ok(frame) = frame;
            frame.into_data().ok()
        });
        // The model sends whole lines.
        let lines = frames.flat_map(|data| {
            let events: Vec<Value> =
                data.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
            stream::iter(events)
        });
        Ok(Box::pin(lines))
    }

    async fn send(&self, method: Method, uri: &str, form: &str, body: Bytes) -> Result<Response<Body>, CommandError> {
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header(AUTHORIZATION, format!("Bearer {}", self.person))
            .header(CONTENT_TYPE, form)
            .body(Full::new(body))
            .map_err(|error| CommandError::failure(format_args!("{uri}: {error}")))?;
        Ok(self.shared.respond(request).await)
    }
}
