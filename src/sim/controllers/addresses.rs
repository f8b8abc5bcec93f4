//! Addresses by which Services and Ingresses can be reached from outside, as a cloud would give them.

use serde_json::{Value, json};

use super::super::apiserver::acting::Acting;
use super::super::apiserver::meta;
use super::super::apiserver::store::Place;
use super::super::kinds::value::{items, set, text};

pub(super) const SERVICES: &str = "services";
pub(super) const INGRESSES: &str = "ingresses.networking.k8s.io";
/// Who writes the addresses of Services, and of Ingresses.
const CLOUD: &str = "cloud-controller-manager";
const PROXY: &str = "ingress-controller";

/// Gives an object an address, if it waits for one.
pub(super) fn look_at(acting: &mut Acting<'_>, place: &Place) {
    let Some(mut object) = acting.get(&place.0, &place.1) else { return };
    let ingress = place.0 == INGRESSES;
    let waits = ingress || text(&object, "spec.type") == "LoadBalancer";
    let gone = meta::get(&object, "deletionTimestamp").is_some();
    if !waits || gone || !items(&object, "status.loadBalancer.ingress").is_empty() {
        return;
    }
    let address = if ingress { json!({"ip": "198.18.0.1"}) } else { json!({"ip": outside(&object), "ipMode": "VIP"}) };
    set(&mut object, "status.loadBalancer", json!({"ingress": [address]}));
    acting.update(if ingress { PROXY } else { CLOUD }, &place.0, Some("status"), &object);
}

/// The address outside that belongs to the one inside: no two Services have the same.
fn outside(service: &Value) -> String {
    let inside: Vec<&str> = text(service, "spec.clusterIP").split('.').collect();
    match inside.as_slice() {
        [_, _, third, fourth] => format!("198.19.{third}.{fourth}"),
        _ => "198.19.255.254".to_owned(),
    }
}
