//! What random objects of further kinds are made of.

use serde_json::{Value, json};

use super::kinds::{Kind, container, merge, some_of};
use super::rng::Rng;

/// All of an object but kind and metadata. One that is not `whole` may lack what the kind requires.
pub(super) fn content(kind: Kind, rng: &mut Rng, whole: bool) -> Value {
    match kind {
        Kind::StatefulSet => stateful_set(rng, whole),
        Kind::DaemonSet => daemon_set(rng, whole),
        Kind::Job => json!({"spec": job(rng, whole)}),
        Kind::CronJob => cron_job(rng, whole),
        Kind::Ingress => ingress(rng, whole),
        Kind::HorizontalPodAutoscaler => autoscaler(rng, whole),
        Kind::PodDisruptionBudget => budget(rng),
        Kind::NetworkPolicy => network_policy(rng),
        Kind::RoleBinding => binding(rng, whole),
        Kind::PersistentVolumeClaim => claim(rng, whole),
        _ => service_account(rng),
    }
}

/// A template of pods and the selector that it must fit.
fn template(rng: &mut Rng, whole: bool, restart: Option<&str>) -> Value {
    let mut containers: Vec<Value> = Vec::new();
    for name in rng.some(&["web", "side"]) {
        containers.push(container(rng, name, whole));
    }
    if whole && containers.is_empty() {
        containers.push(container(rng, "web", whole));
    }
    let mut pod = some_of(
        rng,
        &[
            ("nodeSelector", &[json!({"disk": "ssd"}), json!({})]),
            ("terminationGracePeriodSeconds", &[json!(30), json!(0), json!(5)]),
            ("serviceAccountName", &[json!("web"), json!("")]),
            ("imagePullSecrets", &[json!([{"name": "a"}]), json!([{"name": "a"}, {"name": "b"}])]),
            ("affinity", &[json!({}), json!({"nodeAffinity": {}})]),
        ],
    );
    if !containers.is_empty() {
        pod["containers"] = containers.into();
    }
    if let Some(restart) = restart.filter(|_| whole || rng.percent(50)) {
        pod["restartPolicy"] = restart.into();
    }
    json!({"spec": pod})
}

fn labelled(rng: &mut Rng, spec: &mut Value, whole: bool) {
    spec["template"] = template(rng, whole, None);
    if whole || rng.percent(40) {
        spec["selector"] = json!({"matchLabels": {"app": "web"}});
        spec["template"]["metadata"] = json!({"labels": {"app": "web"}});
    }
}

fn stateful_set(rng: &mut Rng, whole: bool) -> Value {
    let claim = |size: &str| {
        json!({"metadata": {"name": "data"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}})
    };
    let mut spec = some_of(
        rng,
        &[
            ("replicas", &[json!(1), json!(2), json!(0)]),
            ("podManagementPolicy", &[json!("OrderedReady"), json!("Parallel")]),
            (
                "updateStrategy",
                &[
                    json!({"type": "OnDelete"}),
                    json!({"rollingUpdate": {"partition": 1}}),
                    json!({"type": "RollingUpdate"}),
                ],
            ),
            ("revisionHistoryLimit", &[json!(3)]),
            ("volumeClaimTemplates", &[json!([claim("1Gi")]), json!([claim("1024Mi")])]),
            ("persistentVolumeClaimRetentionPolicy", &[json!({"whenDeleted": "Delete"})]),
        ],
    );
    if whole || rng.percent(30) {
        spec["serviceName"] = "web".into();
    }
    labelled(rng, &mut spec, whole);
    json!({"spec": spec})
}

fn daemon_set(rng: &mut Rng, whole: bool) -> Value {
    let mut spec = some_of(
        rng,
        &[
            ("minReadySeconds", &[json!(0), json!(5)]),
            (
                "updateStrategy",
                &[json!({"type": "OnDelete"}), json!({"rollingUpdate": {"maxUnavailable": "50%"}}), json!({})],
            ),
        ],
    );
    labelled(rng, &mut spec, whole);
    json!({"spec": spec})
}

fn job(rng: &mut Rng, whole: bool) -> Value {
    let mut spec = some_of(
        rng,
        &[
            ("parallelism", &[json!(1), json!(2), json!(0)]),
            ("completions", &[json!(1), json!(3)]),
            ("backoffLimit", &[json!(0), json!(6)]),
            ("suspend", &[json!(true), json!(false)]),
            ("ttlSecondsAfterFinished", &[json!(0), json!(100)]),
            ("activeDeadlineSeconds", &[json!(60)]),
            ("completionMode", &[json!("NonIndexed")]),
        ],
    );
    if whole || rng.percent(40) {
        spec["template"] = template(rng, whole, Some("Never"));
    }
    spec
}

fn cron_job(rng: &mut Rng, whole: bool) -> Value {
    let mut spec = some_of(
        rng,
        &[
            ("suspend", &[json!(true), json!(false)]),
            ("concurrencyPolicy", &[json!("Allow"), json!("Forbid"), json!("Replace")]),
            ("successfulJobsHistoryLimit", &[json!(1), json!(3)]),
            ("startingDeadlineSeconds", &[json!(10)]),
            ("timeZone", &[json!("Etc/UTC")]),
        ],
    );
    if whole || rng.percent(40) {
        spec["schedule"] = rng.pick(&[json!("* * * * *"), json!("0 3 * * 1"), json!("@daily")]).clone();
    }
    if whole || rng.percent(40) {
        spec["jobTemplate"] = json!({"spec": job(rng, whole)});
    }
    json!({"spec": spec})
}

fn ingress(rng: &mut Rng, whole: bool) -> Value {
    let backend = |name: &str, port: Value| json!({"service": {"name": name, "port": port}});
    let path = |path: &str, kind: &str| json!({"path": path, "pathType": kind, "backend": backend("web", json!({"number": 80}))});
    let mut spec = some_of(
        rng,
        &[
            ("ingressClassName", &[json!("nginx"), json!("other")]),
            ("tls", &[json!([{"hosts": ["a.example.com"], "secretName": "tls"}]), json!([{}]), json!([])]),
            (
                "rules",
                &[
                    json!([{"host": "a.example.com", "http": {"paths": [path("/", "Prefix")]}}]),
                    json!([{"http": {"paths": [path("/a", "Exact"), path("/b", "ImplementationSpecific")]}}]),
                    json!([{"host": "*.example.com"}]),
                ],
            ),
        ],
    );
    if whole || rng.percent(30) {
        spec["defaultBackend"] =
            rng.pick(&[backend("web", json!({"name": "http"})), backend("shop", json!({"number": 8080}))]).clone();
    }
    json!({"spec": spec})
}

fn autoscaler(rng: &mut Rng, whole: bool) -> Value {
    let usage = |name: &str, percent: i64| json!({"type": "Resource", "resource": {"name": name, "target": {"type": "Utilization", "averageUtilization": percent}}});
    let mut spec = some_of(
        rng,
        &[
            ("minReplicas", &[json!(1), json!(2)]),
            ("metrics", &[json!([usage("cpu", 50)]), json!([usage("cpu", 80), usage("memory", 70)]), json!([])]),
            (
                "behavior",
                &[
                    json!({"scaleDown": {"stabilizationWindowSeconds": 60}}),
                    json!({"scaleUp": {"policies": [{"type": "Pods", "value": 2, "periodSeconds": 30}]}}),
                ],
            ),
        ],
    );
    if whole || rng.percent(50) {
        spec["maxReplicas"] = rng.pick(&[json!(3), json!(5)]).clone();
    }
    if whole || rng.percent(50) {
        spec["scaleTargetRef"] = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"});
    }
    json!({"spec": spec})
}

fn budget(rng: &mut Rng) -> Value {
    let mut spec = some_of(
        rng,
        &[
            ("selector", &[json!({"matchLabels": {"app": "web"}}), json!({})]),
            ("unhealthyPodEvictionPolicy", &[json!("AlwaysAllow"), json!("IfHealthyBudget")]),
        ],
    );
    let bound = *rng.pick(&["minAvailable", "maxUnavailable"]);
    spec[bound] = rng.pick(&[json!(1), json!("50%"), json!(0)]).clone();
    json!({"spec": spec})
}

fn network_policy(rng: &mut Rng) -> Value {
    let peer = json!({"podSelector": {"matchLabels": {"app": "web"}}});
    let mut spec = some_of(
        rng,
        &[
            (
                "ingress",
                &[
                    json!([{}]),
                    json!([{"from": [peer], "ports": [{"port": 80}]}]),
                    json!([{"ports": [{"port": "http"}]}]),
                ],
            ),
            ("egress", &[json!([{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}]}]), json!([])]),
            ("policyTypes", &[json!(["Ingress"]), json!(["Ingress", "Egress"]), json!(["Egress"])]),
        ],
    );
    spec["podSelector"] = rng.pick(&[json!({}), json!({"matchLabels": {"app": "web"}})]).clone();
    json!({"spec": spec})
}

fn binding(rng: &mut Rng, whole: bool) -> Value {
    let mut out = json!({"subjects": rng.some(&[
        json!({"kind": "User", "name": "alice", "apiGroup": "rbac.authorization.k8s.io"}),
        json!({"kind": "Group", "name": "all"}),
        json!({"kind": "ServiceAccount", "name": "web", "namespace": "default"}),
    ])});
    if whole || rng.percent(40) {
        out["roleRef"] = rng
            .pick(&[
                json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "a"}),
                json!({"kind": "Role", "name": "a"}),
                json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "b"}),
            ])
            .clone();
    }
    out
}

fn claim(rng: &mut Rng, whole: bool) -> Value {
    let mut spec = some_of(
        rng,
        &[
            ("storageClassName", &[json!("fast"), json!("")]),
            ("volumeMode", &[json!("Filesystem"), json!("Block")]),
            ("volumeName", &[json!("v")]),
        ],
    );
    if whole || rng.percent(40) {
        spec["accessModes"] = rng.pick(&[json!(["ReadWriteOnce"]), json!(["ReadOnlyMany", "ReadWriteMany"])]).clone();
    }
    if whole || rng.percent(40) {
        spec["resources"] = rng
            .pick(&[
                json!({"requests": {"storage": "1Gi"}}),
                json!({"requests": {"storage": "1024Mi"}}),
                json!({"requests": {"storage": "2Gi"}}),
            ])
            .clone();
    }
    json!({"spec": spec})
}

fn service_account(rng: &mut Rng) -> Value {
    let mut out = json!({});
    merge(
        &mut out,
        some_of(
            rng,
            &[
                ("secrets", &[json!([{"name": "a"}]), json!([{"name": "b"}, {"name": "a"}]), json!([])]),
                ("imagePullSecrets", &[json!([{"name": "a"}]), json!([])]),
                ("automountServiceAccountToken", &[json!(true), json!(false)]),
            ],
        ),
    );
    out
}

/// Places that JSON patches go to.
pub(super) fn places(kind: Kind) -> Vec<(&'static str, Vec<Value>)> {
    let template = |list: &mut Vec<(&'static str, Vec<Value>)>| {
        list.extend([
            ("/spec/template/spec/containers/0/image", vec![json!("nginx:1"), json!("nginx:3")]),
            ("/spec/template/spec/containers/0/env/-", vec![json!({"name": "B", "value": "9"})]),
            ("/spec/template/metadata/labels/more", vec![json!("x")]),
        ]);
    };
    let mut list = Vec::new();
    match kind {
        Kind::StatefulSet => {
            template(&mut list);
            list.extend([
                ("/spec/replicas", vec![json!(3), json!(0)]),
                ("/spec/serviceName", vec![json!("other"), json!("web")]),
                ("/spec/updateStrategy/type", vec![json!("OnDelete"), json!("RollingUpdate")]),
            ]);
        }
        Kind::DaemonSet => {
            template(&mut list);
            list.push(("/spec/updateStrategy", vec![json!({"type": "OnDelete"}), json!({})]));
        }
        Kind::Job => list.extend([
            ("/spec/parallelism", vec![json!(2), json!(0)]),
            ("/spec/suspend", vec![json!(true), json!(false)]),
            ("/spec/completions", vec![json!(5)]),
            ("/spec/template/spec/containers/0/image", vec![json!("nginx:3")]),
        ]),
        Kind::CronJob => list.extend([
            ("/spec/schedule", vec![json!("@hourly"), json!("never")]),
            ("/spec/jobTemplate/spec/backoffLimit", vec![json!(2)]),
            ("/spec/jobTemplate/metadata", vec![json!({"labels": {"a": "b"}})]),
        ]),
        Kind::Ingress => list.extend([
            ("/spec/rules/0/host", vec![json!("b.example.com")]),
            ("/spec/rules/0/http/paths/0/path", vec![json!("/x"), json!("x")]),
            ("/spec/tls", vec![json!([]), json!([{"secretName": "s"}])]),
        ]),
        Kind::HorizontalPodAutoscaler => list.extend([
            ("/spec/maxReplicas", vec![json!(4), json!(0)]),
            ("/spec/metrics/0/resource/target/averageUtilization", vec![json!(60)]),
            ("/spec/behavior", vec![json!({}), json!({"scaleUp": {}})]),
        ]),
        Kind::PodDisruptionBudget => list.extend([
            ("/spec/minAvailable", vec![json!(2), json!("10%")]),
            ("/spec/selector/matchLabels/app", vec![json!("shop")]),
        ]),
        Kind::NetworkPolicy => list.extend([
            ("/spec/ingress", vec![json!([{"ports": [{"port": 81}]}]), json!([{}])]),
            ("/spec/podSelector/matchLabels", vec![json!({"app": "shop"})]),
        ]),
        Kind::RoleBinding => list.extend([
            ("/subjects/0/name", vec![json!("bob")]),
            ("/subjects", vec![json!([])]),
            ("/roleRef/name", vec![json!("b"), json!("a")]),
        ]),
        Kind::PersistentVolumeClaim => list.extend([
            ("/spec/resources/requests/storage", vec![json!("2Gi"), json!("1Gi")]),
            ("/spec/volumeName", vec![json!("v"), json!("w")]),
        ]),
        _ => list.extend([
            ("/secrets/-", vec![json!({"name": "c"})]),
            ("/automountServiceAccountToken", vec![json!(true), json!(false)]),
        ]),
    }
    list
}

/// What somebody says of the state of an object, if the kind has one.
pub(super) fn status(kind: Kind, rng: &mut Rng) -> Option<Value> {
    let replicas = 1 + rng.below(3);
    let condition = |kind: &str, status: &str| json!({"type": kind, "status": status, "lastTransitionTime": "2026-01-01T00:00:00Z", "reason": "R", "message": "m"});
    Some(match kind {
        Kind::Deployment | Kind::StatefulSet => rng
            .pick(&[
                json!({"replicas": replicas, "observedGeneration": 1}),
                json!({"replicas": replicas, "readyReplicas": 1, "availableReplicas": 1}),
                json!({"replicas": 1, "conditions": [condition("Available", "True")]}),
            ])
            .clone(),
        Kind::DaemonSet => {
            json!({"currentNumberScheduled": replicas, "desiredNumberScheduled": 3, "numberMisscheduled": 0, "numberReady": 1})
        }
        Kind::Job => json!({"active": replicas}),
        Kind::CronJob => json!({"lastScheduleTime": "2026-01-01T00:00:00Z"}),
        Kind::Ingress | Kind::Service => json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}),
        Kind::HorizontalPodAutoscaler => json!({"currentReplicas": replicas, "desiredReplicas": 2}),
        Kind::PodDisruptionBudget => json!({"currentHealthy": replicas, "observedGeneration": 1}),
        Kind::PersistentVolumeClaim => json!({"phase": rng.pick(&["Bound", "Pending"])}),
        Kind::Widget | Kind::Loose | Kind::Gizmo | Kind::NewGizmo => rng
            .pick(&[json!({"ready": true}), json!({"ready": false, "more": {"a": 1}}), json!({"replicas": replicas})])
            .clone(),
        _ => return None,
    })
}
