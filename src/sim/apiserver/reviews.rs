//! Questions about access that are asked by creating an object: it is answered in its status and never kept.

use serde_json::{Value, json};

use super::access::{Action, User};
use super::options::Options;
use super::reply::Reply;
use super::resources::Resource;
use super::status::{FieldError, Status};
use super::write::now_text;
use super::{Answer, ApiServer, Call, Request};
use crate::sim::kinds::value::{at, items, text};
use crate::sim::managed;

/// Whom tokens of this server are for.
const AUDIENCE: &str = "https://kubernetes.default.svc";

impl ApiServer {
    /// Answers a review; `None`: the resource is none.
    pub(super) fn review(&self, call: &Call<'_>, request: &Request, user: &User) -> Option<Result<Answer, Status>> {
        let known = ["authentication.k8s.io", "authorization.k8s.io"].contains(&call.resource.group.as_str());
        known.then(|| self.reviewed(call, request, user))
    }

    fn reviewed(&self, call: &Call<'_>, request: &Request, user: &User) -> Result<Answer, Status> {
        let options = Options::of(call, request, "CreateOptions")?;
        let (mut object, warnings) = self.read(call, request, options.validation)?;
        self.place(call, &mut object)?;
        let now = now_text(call.now);
        let mut object = managed::update(&self.context(call, &options.manager, &now), None, object);
        let spec = object.get("spec").cloned().unwrap_or_default();
        let asked = [spec.get("resourceAttributes"), spec.get("nonResourceAttributes")];
        let about_access = call.resource.kind.ends_with("AccessReview");
        if about_access {
            check_asked(&call.resource, &spec, asked)?;
        }
        let status = match call.resource.kind.as_str() {
            "TokenReview" => self.token_review(&spec)?,
            "SelfSubjectReview" => json!({"userInfo": told(user)}),
            "SelfSubjectAccessReview" => self.access_review(user, &spec),
            "SelfSubjectRulesReview" => self.rules_review(user, &spec)?,
            _ => {
                let text = |name: &str| spec.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
                let groups = spec.get("groups").and_then(Value::as_array).into_iter().flatten();
                let groups = groups.filter_map(Value::as_str).map(str::to_owned).collect();
                self.access_review(&User { name: text("user"), uid: text("uid"), groups }, &spec)
            }
        };
        if let Some(members) = object.as_object_mut() {
            members.insert("status".to_owned(), status);
            // These are made anew.
            match call.resource.kind.as_str() {
                "SelfSubjectReview" => members.insert("metadata".to_owned(), json!({"creationTimestamp": now})),
                "SelfSubjectRulesReview" => {
                    members.insert("spec".to_owned(), json!({}));
                    members.insert("metadata".to_owned(), json!({}))
                }
                _ => None,
            };
        }
        Ok(Answer::Reply(Reply { warnings, ..Reply::json(201, &object) }))
    }

    fn token_review(&self, spec: &Value) -> Result<Value, Status> {
        let token = spec.get("token").and_then(Value::as_str).unwrap_or_default();
        if token.is_empty() {
            return Err(Status::bad_request("token is required for TokenReview in authentication"));
        }
        let audiences = spec.get("audiences").and_then(Value::as_array);
        let for_us = audiences.is_none_or(|list| list.iter().any(|audience| audience == AUDIENCE));
        Ok(match self.user(token).filter(|_| for_us) {
            Some(user) => json!({"authenticated": true, "audiences": [AUDIENCE], "user": told(user)}),
            None => json!({"error": "invalid bearer token", "user": {}}),
        })
    }

    fn rules_review(&self, user: &User, spec: &Value) -> Result<Value, Status> {
        let namespace = text(spec, "namespace");
        if namespace.is_empty() {
            return Err(Status::bad_request("no namespace on request"));
        }
        let rules = self.rules(user, namespace);
        let of = |list: &str, members: &[&str]| -> Value {
            let told = rules.iter().filter(|rule| !items(rule, list).is_empty()).map(|rule| {
                let kept = members.iter().filter(|name| !items(rule, name).is_empty());
                kept.map(|name| ((*name).to_owned(), at(rule, name).clone())).collect::<Value>()
            });
            told.collect()
        };
        Ok(json!({
            "resourceRules": of("resources", &["verbs", "apiGroups", "resources", "resourceNames"]),
            "nonResourceRules": of("nonResourceURLs", &["verbs", "nonResourceURLs"]),
            "incomplete": false,
        }))
    }

    fn access_review(&self, user: &User, spec: &Value) -> Value {
        let text = |pointer: &str| spec.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let action = if spec.get("nonResourceAttributes").is_some() {
            Action::Path { verb: text("/nonResourceAttributes/verb"), path: text("/nonResourceAttributes/path") }
        } else {
            Action::Resource {
                verb: text("/resourceAttributes/verb"),
                group: text("/resourceAttributes/group"),
                resource: text("/resourceAttributes/resource"),
                subresource: text("/resourceAttributes/subresource"),
                namespace: text("/resourceAttributes/namespace"),
                name: text("/resourceAttributes/name"),
            }
        };
        match self.allows(user, action) {
            None => json!({"allowed": false}),
            Some(reason) if reason.is_empty() => json!({"allowed": true}),
            Some(reason) => json!({"allowed": true, "reason": reason}),
        }
    }
}

/// An access review asks about somebody, and about a resource or a path.
fn check_asked(resource: &Resource, spec: &Value, asked: [Option<&Value>; 2]) -> Result<(), Status> {
    let mut errors = Vec::new();
    if asked.iter().flatten().count() != 1 {
        let value = match asked {
            [Some(_), Some(path)] => json!({"Path": path.get("path"), "Verb": path.get("verb")}),
            _ => Value::Null,
        };
        let detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
        errors.push(FieldError::invalid("spec", &value, detail));
    }
    let nobody = text(spec, "user").is_empty() && items(spec, "groups").is_empty();
    if nobody && resource.kind != "SelfSubjectAccessReview" {
        let detail = "at least one of user or group must be specified";
        errors.push(FieldError::invalid("spec.user", &"".into(), detail));
    }
    if errors.is_empty() { Ok(()) } else { Err(Status::invalid(&resource.group, "", "", &errors)) }
}

fn told(user: &User) -> Value {
    json!({"username": user.name, "uid": user.uid, "groups": user.groups})
}
