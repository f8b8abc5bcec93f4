//! A client of a running sandbox's API server, for commands that change something.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use reqwest::Method;
use reqwest::blocking::Client as Http;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde_json::Value;

use super::state::State;
use crate::cli::error::CommandError;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The form in which one answer tells all kinds.
const DISCOVERY: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// A client.
pub(super) struct Client {
    http: Http,
    server: String,
    token: String,
}

/// A kind, as the server tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    /// Path of its version: `/api/v1`, `/apis/apps/v1`.
    base: String,
    /// Plural name.
    plural: String,
    /// Whether its objects are in namespaces.
    namespaced: bool,
}

impl Kind {
    /// The path of one of its objects.
    pub(super) fn path(&self, namespace: &str, name: &str) -> String {
        let Self { base, plural, namespaced } = self;
        let name = crate::cli::http::segment(name);
        if *namespaced {
            format!("{base}/namespaces/{}/{plural}/{name}", crate::cli::http::segment(namespace))
        } else {
            format!("{base}/{plural}/{name}")
        }
    }
}

impl Client {
    /// Of the sandbox in a folder, as its kubeconfig says.
    pub(super) fn of(folder: &Path) -> Result<Self, CommandError> {
        let state = State::read(folder)?;
        let file = state.kubeconfig.display();
        let failure = |problem: &dyn std::fmt::Display| CommandError::failure(format_args!("{file}: {problem}"));
        let text = std::fs::read_to_string(&state.kubeconfig).map_err(|error| failure(&error))?;
        let config: Value = serde_saphyr::from_str(&text).map_err(|error| failure(&error))?;
        let text = |pointer| config.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let authority = text("/clusters/0/cluster/certificate-authority-data");
        let authority = base64::engine::general_purpose::STANDARD.decode(authority).map_err(|error| failure(&error))?;
        let authority = reqwest::Certificate::from_pem(&authority).map_err(|error| failure(&error))?;
        let http = Http::builder().tls_certs_only([authority]).no_proxy().timeout(TIMEOUT).build();
        let http = http.map_err(|error| failure(&error))?;
        Ok(Self {
            http,
            server: text("/clusters/0/cluster/server").to_owned(),
            token: text("/users/0/user/token").to_owned(),
        })
    }

    /// Sends a request with a body of this form, and gives the answer; one that is a refusal is an error.
    pub(super) fn call(&self, method: Method, path: &str, body: Option<(&str, &Value)>) -> Result<Value, CommandError> {
        let mut request = self.http.request(method, format!("{}{path}", self.server)).bearer_auth(&self.token);
        if let Some((form, body)) = body {
            request = request.header(CONTENT_TYPE, form).body(body.to_string());
        }
        self.answer(request)
    }

    /// The kind that somebody means by a word like `deployment`, `deploy` or `queues.messaging.example.com`.
    pub(super) fn kind(&self, word: &str) -> Result<Kind, CommandError> {
        let (name, group) = match word.split_once('.') {
            Some((name, group)) => (name, Some(group)),
            None => (word, None),
        };
        for path in ["/api", "/apis"] {
            let request = self.http.get(format!("{}{path}", self.server)).bearer_auth(&self.token);
            let document = self.answer(request.header(ACCEPT, DISCOVERY))?;
            if let Some(kind) = find(&document, name, group) {
                return Ok(kind);
            }
        }
        Err(CommandError::failure(format_args!("the sandbox knows no kind {word:?}"))
            .hint("a kind is written as kubectl takes it, like deployment, svc or queues.messaging.example.com"))
    }

    fn answer(&self, request: reqwest::blocking::RequestBuilder) -> Result<Value, CommandError> {
        let failure = |error: reqwest::Error| {
            CommandError::failure(format_args!("the sandbox at {} does not answer: {error}", self.server))
                .hint("is it still running?")
        };
        let answer = request.send().map_err(failure)?;
        let status = answer.status();
        let body = answer.bytes().map_err(failure)?;
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status.is_success() {
            return Ok(body);
        }
        let why = body.get("message").and_then(Value::as_str).map_or_else(|| status.to_string(), str::to_owned);
        Err(CommandError::failure(format_args!("the API server refused: {why}")))
    }
}

/// Looks a kind up in a document of aggregated discovery, in which the preferred version of a group comes first.
fn find(document: &Value, name: &str, wanted: Option<&str>) -> Option<Kind> {
    let list = |value: &Value, field: &str| value.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
    let name = name.to_lowercase();
    for item in list(document, "items") {
        let group = item.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        if wanted.is_some_and(|wanted| wanted != group) {
            continue;
        }
        for version in list(&item, "versions") {
            let number = version.get("version").and_then(Value::as_str).unwrap_or_default();
            for resource in list(&version, "resources") {
                let text = |pointer| resource.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
                let plural = text("/resource");
                let mut names =
                    vec![plural.clone(), text("/singularResource"), text("/responseKind/kind").to_lowercase()];
                names.extend(list(&resource, "shortNames").iter().filter_map(Value::as_str).map(str::to_owned));
                if names.contains(&name) {
                    let base =
                        if group.is_empty() { format!("/api/{number}") } else { format!("/apis/{group}/{number}") };
                    return Some(Kind { base, plural, namespaced: text("/scope") == "Namespaced" });
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn kinds_are_found_by_all_their_names() {
        let document = json!({"items": [{
            "metadata": {"name": "apps"},
            "versions": [{"version": "v1", "resources": [{
                "resource": "deployments", "singularResource": "deployment", "shortNames": ["deploy"],
                "scope": "Namespaced", "responseKind": {"kind": "Deployment"},
            }]}],
        }]});
        let expected = "/apis/apps/v1/namespaces/a%2Fb/deployments/web";
        for name in ["deployments", "deployment", "deploy", "Deployment"] {
            assert_eq!(find(&document, name, None).unwrap().path("a/b", "web"), expected);
        }
        assert!(find(&document, "deploy", Some("apps")).is_some());
        assert_eq!(find(&document, "deploy", Some("other")), None);
        assert_eq!(find(&document, "pod", None), None);
    }
}
