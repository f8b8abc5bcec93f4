//! Deleting one object, exactly the one that the decision was made on.

use http::Method;
use kube::Client;
use serde_json::json;

use super::call::{Call, JSON, send};
use super::fence::WriteContext;
use super::path::ResourcePath;
use crate::engine::effect::Delete;
use crate::engine::event::{DeleteOutcome, RequestErrorReason};

/// Deletes an object with its uid and resource version as preconditions: what changed or was made anew since the
/// decision is not deleted. A kind that is not served any more is an error, not "not found": it may come back.
pub async fn delete(
    client: &Client,
    context: &WriteContext,
    resource: &ResourcePath,
    delete: &Delete,
) -> DeleteOutcome {
    let path = match resource.object(&delete.key.namespace, &delete.key.name) {
        Ok(path) => path,
        Err(error) => return DeleteOutcome::Failed(error),
    };
    let options = json!({
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": delete.propagation.as_str(),
        "preconditions": {"uid": delete.uid, "resourceVersion": delete.resource_version.to_string()},
    });
    let call = Call::new(Method::DELETE, path, context.timeout)
        .with_body(JSON, options.to_string().into_bytes())
        .secret(resource.is_secret());
    if !context.may_start(Some(delete.epoch)) {
        return DeleteOutcome::Fenced;
    }
    match send(client, &call).await {
        Ok(_) => DeleteOutcome::Accepted,
        Err(error) => match error.reason {
            RequestErrorReason::NotFound => DeleteOutcome::NotFound,
            RequestErrorReason::Conflict => DeleteOutcome::Conflict,
            _ => DeleteOutcome::Failed(error),
        },
    }
}
