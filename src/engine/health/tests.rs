//! The cases are in `cases/*.txt`: under a heading with API version and kind, one paragraph each with the rule (and the
//! file of Argo CD, kstatus or this folder that it is from), the object as YAML, and the health that it must have.

use super::*;
use HealthCode::{Degraded, Healthy, Missing, Progressing, Suspended, Unknown};

const CASES: [(&str, &str); 7] = [
    ("apps", include_str!("cases/apps.txt")),
    ("core", include_str!("cases/core.txt")),
    ("batch", include_str!("cases/batch.txt")),
    ("scaling", include_str!("cases/scaling.txt")),
    ("extension", include_str!("cases/extension.txt")),
    ("general", include_str!("cases/general.txt")),
    ("custom", include_str!("cases/custom.txt")),
];

/// `Progressing Why`, or `none`.
fn describe(health: Option<&Health>) -> String {
    health.map_or_else(
        || "none".to_owned(),
        |health| {
            format!("{} {}", health.code.as_str(), health.message.as_deref().unwrap_or_default()).trim().to_owned()
        },
    )
}

#[test]
fn every_case_has_the_health_that_its_rule_says() {
    let (mut count, mut failures) = (0, Vec::new());
    for (file, text) in CASES {
        let mut gvk = None;
        for paragraph in text.split("\n\n").skip(1) {
            let paragraph = paragraph.trim();
            if let Some(heading) = paragraph.strip_prefix("# ") {
                let (api_version, kind) = heading.split_once(' ').unwrap();
                gvk = Some(Gvk::from_api_version(api_version, kind));
                continue;
            }
            let (rule, rest) = paragraph.split_once('\n').unwrap_or_else(|| panic!("{file}: {paragraph}"));
            let (yaml, expected) = rest.rsplit_once("\n= ").unwrap_or_else(|| panic!("{file}: {paragraph}"));
            let object: Value = serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{file}: {rule}: {error}"));
            let actual = describe(assess(gvk.as_ref().unwrap(), &object).as_ref());
            if actual != expected {
                failures.push(format!("{file}: {rule}\n  expected {expected}\n  got      {actual}"));
            }
            count += 1;
        }
    }
    assert!(failures.is_empty(), "{} of {count} cases:\n{}", failures.len(), failures.join("\n"));
    assert!(count >= 150, "only {count} cases were read");
}

#[test]
fn rules_never_panic_on_odd_objects() {
    let kinds = [
        ("apps/v1", "Deployment"),
        ("apps/v1", "StatefulSet"),
        ("apps/v1", "DaemonSet"),
        ("apps/v1", "ReplicaSet"),
        ("v1", "Pod"),
        ("v1", "PersistentVolumeClaim"),
        ("v1", "Service"),
        ("networking.k8s.io/v1", "Ingress"),
        ("batch/v1", "Job"),
        ("batch/v1", "CronJob"),
        ("argoproj.io/v1alpha1", "Workflow"),
        ("autoscaling/v1", "HorizontalPodAutoscaler"),
        ("autoscaling/v2", "HorizontalPodAutoscaler"),
        ("policy/v1", "PodDisruptionBudget"),
        ("apiregistration.k8s.io/v1", "APIService"),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        ("example.com/v1", "Widget"),
    ];
    let (least, most) = (i64::MIN, i64::MAX);
    let objects = [
        serde_json::json!(null),
        serde_json::json!([]),
        serde_json::json!("text"),
        serde_json::json!({}),
        serde_json::json!({"metadata": [], "spec": [], "status": []}),
        serde_json::json!({"metadata": 1, "spec": 2, "status": {"conditions": {}, "containerStatuses": 3}}),
        serde_json::json!({
            "metadata": {"generation": least, "finalizers": 7, "annotations": []},
            "spec": {"replicas": most, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": least}}},
            "status": {
                "observedGeneration": most, "readyReplicas": least, "replicas": most, "updatedReplicas": least,
                "conditions": null, "containerStatuses": {},
            },
        }),
    ];
    for (api_version, kind) in kinds {
        for object in &objects {
            let health = assess(&Gvk::from_api_version(api_version, kind), object);
            assert_eq!(health.is_some(), kind != "Widget", "{kind} of {object}: {health:?}");
        }
    }
}

#[test]
fn long_messages_are_cut() {
    let object = serde_json::json!({"status": {"phase": "Failed", "message": "x".repeat(5000)}});
    let health = assess(&Gvk::new("", "v1", "Pod"), &object).unwrap();
    assert!(health.message.unwrap().len() <= redact::MAX_MESSAGE);
}

#[test]
fn an_application_is_as_healthy_as_its_worst_live_object() {
    use ObjectHealth::{Absent, Live};
    let cases: &[(&[ObjectHealth], HealthCode)] = &[
        (&[], Healthy),
        (&[Live(None), Live(None)], Healthy),
        (&[Live(Some(Healthy)), Live(Some(Suspended))], Suspended),
        (&[Live(Some(Progressing)), Live(Some(Suspended))], Progressing),
        (&[Live(Some(Degraded)), Live(Some(Progressing)), Live(None)], Degraded),
        (&[Live(Some(Degraded)), Live(Some(Unknown))], Unknown),
        // Missing objects are ignored as long as one is live, even one without health.
        (&[Absent, Live(Some(Healthy))], Healthy),
        (&[Absent, Live(None)], Healthy),
        (&[Absent, Live(Some(Progressing)), Absent], Progressing),
        (&[Absent, Absent], Missing),
    ];
    for (objects, expected) in cases {
        assert_eq!(worst(objects.iter().copied()), *expected, "{objects:?}");
    }
}
