//! Writing an Application: its whole status, the operation and refresh that were served, and our finalizers.
//!
//! Every write is a JSON patch that holds only for the resource version that the engine saw: a person's edit in between
//! answers 409, and the engine decides anew. A merge patch could not replace a status, only add to it.

use kube::Client;
use serde::Deserialize;
use serde_json::{Value, json};

use super::application_decode::Watched;
use super::call::{Answer, Call, Version, send, send_patch};
use super::error;
use super::fence::{WriteContext, fenced};
use super::path::ResourcePath;
use crate::engine::application::{ObservedApplication, RESOURCES_FINALIZER, RESOURCES_FINALIZER_BACKGROUND};
use crate::engine::effect::WriteApplication;
use crate::engine::event::RequestError;
use crate::engine::ids::Gvk;

/// Writes an Application and returns its new resource version. `Conflict` if it changed since `write.resource_version`.
///
/// Argo CD's definition has no status subresource, nor has ours, and everything is one patch. With one
/// (`has_status_subresource`) the status goes first: an operation is in the status before it leaves the spec. If the second patch fails, its error is
/// returned, and the watch shows what the first one wrote.
pub async fn write_application(
    client: &Client,
    context: &WriteContext,
    has_status_subresource: bool,
    write: &WriteApplication,
) -> Result<u64, RequestError> {
    let writer = Writer::new(client, context, write)?;
    let mut version = Version { uid: write.uid.as_str().into(), resource_version: write.resource_version };
    let mut status: Vec<Value> = writer.status()?.into_iter().collect();
    let rest = writer.rest(&version).await?;
    if has_status_subresource && !status.is_empty() {
        let answer = writer.patch(&format!("{}/status", writer.path), &version, std::mem::take(&mut status)).await?;
        version = answer.version()?;
    }
    status.extend(rest);
    if !status.is_empty() {
        let answer = writer.patch(&writer.path, &version, status).await?;
        version = answer.version()?;
    }
    Ok(version.resource_version)
}

/// Reads the Application that a write was meant for: after a conflict its watch may be late. `None` if it is gone, another
/// one, or can't be read.
pub async fn read_application(
    client: &Client,
    context: &WriteContext,
    write: &WriteApplication,
) -> Option<Box<ObservedApplication>> {
    let answer = Writer::new(client, context, write).ok()?.read().await.ok()?;
    let watched: Watched = serde_json::from_slice(&answer.body).ok()?;
    watched.observed.filter(|observed| observed.uid == write.uid && observed.key == write.app)
}

struct Writer<'a> {
    client: &'a Client,
    context: &'a WriteContext,
    write: &'a WriteApplication,
    path: String,
}

impl<'a> Writer<'a> {
    fn new(client: &'a Client, context: &'a WriteContext, write: &'a WriteApplication) -> Result<Self, RequestError> {
        let resource = ResourcePath {
            gvk: Gvk::new("argoproj.io", "v1alpha1", "Application"),
            plural: "applications".into(),
            namespaced: true,
        };
        let path = resource.object(&write.app.namespace, &write.app.name)?;
        Ok(Self { client, context, write, path })
    }

    /// `add` replaces what is there, and makes what is not.
    fn status(&self) -> Result<Option<Value>, RequestError> {
        let Some(status) = &self.write.status else { return Ok(None) };
        let value = serde_json::to_value(status)
            .map_err(|error| error::invalid(format!("the status can't be written as JSON: {error}")))?;
        Ok(Some(json!({"op": "add", "path": "/status", "value": value})))
    }

    /// All but the status.
    async fn rest(&self, version: &Version) -> Result<Vec<Value>, RequestError> {
        let mut operations = Vec::new();
        if self.write.clear_operation {
            operations.push(json!({"op": "remove", "path": "/operation"}));
        }
        if let Some(annotation) = self.write.remove_annotation {
            let path = format!("/metadata/annotations/{}", escape(annotation));
            operations.push(json!({"op": "remove", "path": path}));
        }
        if self.write.remove_finalizers {
            operations.extend(self.without_our_finalizers(version).await?);
        }
        Ok(operations)
    }

    /// Reads the finalizers and leaves those of others; nothing if none is ours.
    async fn without_our_finalizers(&self, version: &Version) -> Result<Option<Value>, RequestError> {
        let answer = self.read().await?;
        if answer.version()? != *version {
            return Err(error::moved());
        }
        let all = finalizers(&answer.body)?;
        let ours = |name: &String| name == RESOURCES_FINALIZER || name == RESOURCES_FINALIZER_BACKGROUND;
        if !all.iter().any(ours) {
            return Ok(None);
        }
        let others: Vec<String> = all.into_iter().filter(|name| !ours(name)).collect();
        Ok(Some(json!({"op": "replace", "path": "/metadata/finalizers", "value": others})))
    }

    async fn patch(&self, path: &str, version: &Version, operations: Vec<Value>) -> Result<Answer, RequestError> {
        if !self.context.may_start(Some(self.write.epoch)) {
            return Err(fenced());
        }
        let call = Call::json_patch(path.to_owned(), &version.guard(operations), self.context.timeout);
        send_patch(self.client, &call, &self.path, version).await
    }

    async fn read(&self) -> Result<Answer, RequestError> {
        send(self.client, &Call::get(self.path.clone(), self.context.timeout)).await
    }
}

fn finalizers(body: &[u8]) -> Result<Vec<String>, RequestError> {
    #[derive(Deserialize)]
    struct Object {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    struct Metadata {
        #[serde(default)]
        finalizers: Vec<String>,
    }
    let object: Object = serde_json::from_slice(body).map_err(|_| error::unreadable("it is no object"))?;
    Ok(object.metadata.finalizers)
}

/// One part of a JSON pointer (RFC 6901).
fn escape(part: &str) -> String {
    part.replace('~', "~0").replace('/', "~1")
}
