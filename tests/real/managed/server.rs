//! Requests to the real API server.

use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::content::DEFINITIONS;
use crate::support::control_plane::ControlPlane;

/// A control plane without controllers, that nothing but this test writes to.
pub(super) struct Server {
    _plane: ControlPlane,
    runtime: Runtime,
    client: Client,
    pub(super) namespace: String,
}

/// What was answered.
pub(super) struct Answer {
    pub(super) code: u16,
    pub(super) body: Value,
    /// When the request was sent, in seconds since 1970.
    pub(super) sent: i64,
}

impl Server {
    pub(super) fn start() -> Self {
        let plane = ControlPlane::start("");
        let runtime = Runtime::new().unwrap();
        let client = runtime.block_on(plane.client("admin"));
        let namespace = plane.namespace("managed");
        let server = Self { _plane: plane, runtime, client, namespace };
        for definition in DEFINITIONS.split("\n---\n") {
            let definition: Value = serde_saphyr::from_str(definition).unwrap();
            let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
            assert_eq!(server.create(path, &definition, "test").code, 201, "{definition}");
            let resource = &definition["spec"]["names"]["plural"];
            let path = format!("/apis/sim.driftless.dev/v1/{}", resource.as_str().unwrap());
            while server.call("GET", &path, "", &json!(null)).code != 200 {
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
        }
        // The type that it merges by follows the definition with a delay.
        std::thread::sleep(std::time::Duration::from_secs(1));
        server
    }

    fn call(&self, method: &str, path: &str, content_type: &str, body: &Value) -> Answer {
        let sent = jiff::Timestamp::now().as_second();
        let bytes = if body.is_null() { Vec::new() } else { serde_json::to_vec(body).unwrap() };
        let request = http::Request::builder().method(method).uri(path).header("Content-Type", content_type);
        let request = request.body(Body::from(bytes)).unwrap();
        let (code, bytes) = self.runtime.block_on(async {
            let answer = self.client.send(request).await.unwrap();
            let code = answer.status().as_u16();
            (code, answer.into_body().collect_bytes().await.unwrap())
        });
        let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
        Answer { code, body: serde_json::from_slice(&bytes).unwrap_or_else(|_| text()), sent }
    }

    pub(super) fn get(&self, path: &str) -> Answer {
        self.call("GET", path, "", &json!(null))
    }

    pub(super) fn create(&self, path: &str, body: &Value, manager: &str) -> Answer {
        self.call("POST", &format!("{path}?fieldManager={manager}"), "application/json", body)
    }

    pub(super) fn put(&self, path: &str, body: &Value, manager: &str) -> Answer {
        self.call("PUT", &format!("{path}?fieldManager={manager}"), "application/json", body)
    }

    pub(super) fn merge_patch(&self, path: &str, subresource: &str, body: &Value, manager: &str) -> Answer {
        let slash = if subresource.is_empty() { "" } else { "/" };
        let path = format!("{path}{slash}{subresource}?fieldManager={manager}");
        self.call("PATCH", &path, "application/merge-patch+json", body)
    }

    pub(super) fn json_patch(&self, path: &str, body: &Value, manager: &str) -> Answer {
        self.call("PATCH", &format!("{path}?fieldManager={manager}"), "application/json-patch+json", body)
    }

    pub(super) fn apply(&self, path: &str, subresource: &str, body: &Value, manager: &str, force: bool) -> Answer {
        let slash = if subresource.is_empty() { "" } else { "/" };
        let path = format!("{path}{slash}{subresource}?fieldManager={manager}&force={force}");
        self.call("PATCH", &path, "application/apply-patch+yaml", body)
    }
}
