//! `/api/v1/applications`: what the agent sees, as JSON.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;

use super::{ApiState, ObjectsRequest};
use crate::engine::ids::AppKey;
use crate::engine::view::{ApplicationView, ObjectView};

/// Body of `GET /api/v1/applications`: all applications, ordered by namespace and name.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ApplicationList {
    /// Whether the replica that answers leads.
    leader: bool,
    /// Epoch of the Lease, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<i32>,
    items: Vec<std::sync::Arc<ApplicationView>>,
}

/// Body of `GET /api/v1/applications/{namespace}/{name}`.
#[derive(Debug, Serialize)]
struct ApplicationDetail<'a> {
    #[serde(flatten)]
    application: &'a ApplicationView,
    /// Its objects, ordered by group, kind, namespace and name.
    resources: Vec<ObjectView>,
}

/// Why there is no answer: status code, a word for machines, a sentence for people.
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    #[serde(skip)]
    status: StatusCode,
    code: u16,
    reason: &'static str,
    message: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, reason: &'static str, message: String) -> Self {
        Self { status, code: status.as_u16(), reason, message }
    }

    /// 503: try again.
    pub(super) fn unavailable(message: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message.to_owned())
    }

    fn not_found(message: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", message)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let retry = self.status == StatusCode::SERVICE_UNAVAILABLE;
        let mut response = (self.status, Json(self)).into_response();
        if retry {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// `GET /api/v1/applications`.
pub(super) async fn list(State(state): State<ApiState>) -> Response {
    let view = state.view.borrow().clone();
    let items = view.applications.values().cloned().collect();
    Json(ApplicationList { leader: view.leader, epoch: view.epoch, items }).into_response()
}

/// The path of one application.
#[derive(Debug, Deserialize)]
pub(super) struct Named {
    namespace: String,
    name: String,
}

/// `GET /api/v1/applications/{namespace}/{name}`.
pub(super) async fn get(State(state): State<ApiState>, Path(named): Path<Named>) -> Result<Response, Problem> {
    let app = AppKey::new(named.namespace, named.name);
    let missing = || Problem::not_found(format!("there is no Application {app} that this agent serves"));
    let application = state.view.borrow().applications.get(&app).cloned().ok_or_else(missing)?;
    let (reply, answer) = oneshot::channel();
    state.objects.try_send(ObjectsRequest { app: app.clone(), reply }).map_err(|error| match error {
        TrySendError::Full(_) => Problem::unavailable("the agent is busy; try again"),
        TrySendError::Closed(_) => Problem::unavailable("the agent is shutting down"),
    })?;
    let stopped = |_| Problem::unavailable("the agent is shutting down");
    let resources = answer.await.map_err(stopped)?.ok_or_else(missing)?;
    Ok(Json(ApplicationDetail { application: &application, resources }).into_response())
}

/// Any other path.
pub(super) async fn nothing_here() -> Problem {
    Problem::not_found("no such path; GET /api/v1/applications lists the applications".to_owned())
}
