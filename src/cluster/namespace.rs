//! `CreateNamespace=true`: the namespace of an application's destination.

use http::Method;
use kube::Client;
use serde::Deserialize;
use serde_json::json;

use super::call::{Call, JSON, send};
use super::error;
use super::fence::{WriteContext, fenced};
use super::path::ResourcePath;
use crate::engine::event::{RequestError, RequestErrorReason};
use crate::engine::ids::Epoch;
use crate::engine::names::FIELD_MANAGER;

/// Creates the namespace `name` if there is none. `NamespaceUnavailable` while it is being deleted.
///
/// It is read first, so that an agent that may not create namespaces works in those that exist.
pub async fn ensure_namespace(
    client: &Client,
    context: &WriteContext,
    name: &str,
    epoch: Epoch,
) -> Result<(), RequestError> {
    let resource = ResourcePath::core("Namespace", "namespaces", false);
    let path = resource.object("", name)?;
    match send(client, &Call::get(path, context.timeout)).await {
        Ok(answer) => return usable(name, &answer.body),
        // To a GET of a namespace itself, "namespaces … not found" means just that.
        Err(error) if is_absent(&error) => {}
        Err(error) => return Err(error),
    }
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    let call = Call::new(Method::POST, resource.collection("")?, context.timeout)
        .with_query("fieldManager", FIELD_MANAGER)
        .with_body(JSON, namespace.to_string().into_bytes());
    if !context.may_start(Some(epoch)) {
        return Err(fenced());
    }
    match send(client, &call).await {
        Ok(_) => Ok(()),
        // Somebody else made it in between.
        Err(error) if error.reason == RequestErrorReason::Conflict => Ok(()),
        Err(error) => Err(error),
    }
}

fn is_absent(error: &RequestError) -> bool {
    matches!(error.reason, RequestErrorReason::NotFound | RequestErrorReason::NamespaceUnavailable)
}

fn usable(name: &str, body: &[u8]) -> Result<(), RequestError> {
    #[derive(Deserialize)]
    struct Namespace {
        #[serde(default)]
        status: Status,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Status {
        phase: String,
    }
    let namespace: Namespace = serde_json::from_slice(body).map_err(|_| error::unreadable("it is no namespace"))?;
    if namespace.status.phase == "Terminating" {
        return Err(RequestError {
            reason: RequestErrorReason::NamespaceUnavailable,
            message: format!("namespace {name} is being deleted: waiting until it is gone"),
        });
    }
    Ok(())
}
