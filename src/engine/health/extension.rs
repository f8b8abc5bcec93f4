//! What extends the API: APIService, CustomResourceDefinition.

use serde_json::Value;

use super::Health;
use super::conditions::{all, find, is_false, is_true};

/// `health_apiservice.go`.
pub(super) fn api_service(object: &Value) -> Health {
    let Some(available) = find(object, "Available") else {
        return Health::progressing("Waiting to be processed");
    };
    let message = format!("{}: {}", available.reason, available.message);
    if is_true(&available) { Health::healthy(message) } else { Health::progressing(message) }
}

/// Argo CD's script `apiextensions.k8s.io/CustomResourceDefinition/health.lua`.
pub(super) fn custom_resource_definition(object: &Value) -> Health {
    if all(object).next().is_none() {
        return Health::progressing("Status conditions not found");
    }
    if let Some(terminating) = find(object, "Terminating").filter(is_true) {
        return Health::progressing(format!("CRD is terminating: {}", terminating.message));
    }
    if let Some(names) = find(object, "NamesAccepted").filter(is_false) {
        return Health::degraded(format!("CRD names have not been accepted: {}", names.message));
    }
    if find(object, "Established").filter(is_true).is_none() {
        return Health::degraded("CRD is not established");
    }
    if let Some(violations) = find(object, "NonStructuralSchema").filter(is_true) {
        return Health::degraded(format!("Schema violations found: {}", violations.message));
    }
    Health::healthy("CRD is healthy")
}
