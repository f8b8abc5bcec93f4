//! One case a line: rule, kind, object, health. `Deployment:` and the like name the file of Argo CD's rules.

use super::*;
use HealthCode::{Degraded, Healthy, Progressing, Suspended, Unknown};

/// Rule, `apiVersion`, kind, object as YAML, expected health with its message.
type Case = (&'static str, &'static str, &'static str, &'static str, Option<(HealthCode, &'static str)>);

fn check(cases: &[Case]) {
    let mut failures = Vec::new();
    for (rule, api_version, kind, yaml, expected) in cases {
        let object: Value = serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{rule}: {error}"));
        let health = assess(&Gvk::from_api_version(api_version, kind), &object);
        let actual = health.as_ref().map(|health| (health.code, health.message.as_deref().unwrap_or_default()));
        if actual != *expected {
            failures.push(format!("{rule}\n  expected {expected:?}\n  got      {actual:?}"));
        }
    }
    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

#[test]
fn deployments() {
    const ROLLED: &str = "{metadata: {name: web, generation: 2}, spec: {replicas: 3}, status: \
        {observedGeneration: 2, replicas: 3, updatedReplicas: 3, readyReplicas: 3, availableReplicas: 3}}";
    check(&[
        ("Deployment: all updated and available", "apps/v1", "Deployment", ROLLED, Some((Healthy, ""))),
        (
            "Deployment: paused comes before everything else",
            "apps/v1",
            "Deployment",
            "{metadata: {generation: 9}, spec: {paused: true}, status: {}}",
            Some((Suspended, "Deployment is paused")),
        ),
        (
            "Deployment: spec not observed",
            "apps/v1",
            "Deployment",
            "{metadata: {generation: 3}, spec: {replicas: 1}, status: {observedGeneration: 2, updatedReplicas: 1, availableReplicas: 1}}",
            Some((
                Progressing,
                "Waiting for rollout to finish: observed deployment generation less than desired generation",
            )),
        ),
        (
            "Deployment: no status yet",
            "apps/v1",
            "Deployment",
            "{metadata: {generation: 1}, spec: {replicas: 1}}",
            Some((
                Progressing,
                "Waiting for rollout to finish: observed deployment generation less than desired generation",
            )),
        ),
        (
            "Deployment: progress deadline",
            "apps/v1",
            "Deployment",
            "{metadata: {name: web, generation: 1}, spec: {replicas: 1}, status: {observedGeneration: 1, conditions: [{type: Progressing, status: 'False', reason: ProgressDeadlineExceeded}]}}",
            Some((Degraded, "Deployment \"web\" exceeded its progress deadline")),
        ),
        (
            "Deployment: deadline of an older spec does not count",
            "apps/v1",
            "Deployment",
            "{metadata: {name: web, generation: 2}, status: {observedGeneration: 1, conditions: [{type: Progressing, status: 'False', reason: ProgressDeadlineExceeded}]}}",
            Some((
                Progressing,
                "Waiting for rollout to finish: observed deployment generation less than desired generation",
            )),
        ),
        (
            "Deployment: too few updated",
            "apps/v1",
            "Deployment",
            "{metadata: {generation: 1}, spec: {replicas: 3}, status: {observedGeneration: 1, replicas: 3, updatedReplicas: 1, availableReplicas: 3}}",
            Some((Progressing, "Waiting for rollout to finish: 1 out of 3 new replicas have been updated...")),
        ),
        (
            "Deployment: old ones left",
            "apps/v1",
            "Deployment",
            "{metadata: {generation: 1}, spec: {replicas: 3}, status: {observedGeneration: 1, replicas: 5, updatedReplicas: 3, availableReplicas: 5}}",
            Some((Progressing, "Waiting for rollout to finish: 2 old replicas are pending termination...")),
        ),
        (
            "Deployment: too few available",
            "apps/v1",
            "Deployment",
            "{metadata: {generation: 1}, spec: {replicas: 3}, status: {observedGeneration: 1, replicas: 3, updatedReplicas: 3, availableReplicas: 1}}",
            Some((Progressing, "Waiting for rollout to finish: 1 of 3 updated replicas are available...")),
        ),
        (
            "Deployment: scaled to zero",
            "apps/v1",
            "Deployment",
            "{metadata: {generation: 1}, spec: {replicas: 0}, status: {observedGeneration: 1}}",
            Some((Healthy, "")),
        ),
        (
            "Deployment: `Available` false alone is not Degraded",
            "apps/v1",
            "Deployment",
            "{metadata: {generation: 1}, spec: {replicas: 1}, status: {observedGeneration: 1, replicas: 1, updatedReplicas: 1, conditions: [{type: Available, status: 'False', reason: MinimumReplicasUnavailable}]}}",
            Some((Progressing, "Waiting for rollout to finish: 0 of 1 updated replicas are available...")),
        ),
        (
            "GetHealthCheckFunc: version without a rule",
            "apps/v1beta1",
            "Deployment",
            ROLLED,
            Some((Unknown, "unsupported Deployment GVK: apps/v1beta1, Kind=Deployment")),
        ),
        (
            "GetHealthCheckFunc: another group's kind of that name has no built-in rule",
            "example.com/v1",
            "Deployment",
            ROLLED,
            None,
        ),
    ]);
}

#[test]
fn stateful_sets() {
    check(&[
        (
            "StatefulSet: never observed",
            "apps/v1",
            "StatefulSet",
            "{metadata: {generation: 0}, spec: {}, status: {}}",
            Some((Progressing, "Waiting for statefulset spec update to be observed...")),
        ),
        (
            "StatefulSet: spec not observed",
            "apps/v1",
            "StatefulSet",
            "{metadata: {generation: 2}, status: {observedGeneration: 1}}",
            Some((Progressing, "Waiting for statefulset spec update to be observed...")),
        ),
        (
            "StatefulSet: too few ready",
            "apps/v1",
            "StatefulSet",
            "{metadata: {generation: 1}, spec: {replicas: 3}, status: {observedGeneration: 1, readyReplicas: 1}}",
            Some((Progressing, "Waiting for 2 pods to be ready...")),
        ),
        (
            "StatefulSet: partition not reached",
            "apps/v1",
            "StatefulSet",
            "{metadata: {generation: 1}, spec: {replicas: 5, updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 2}}}, status: {observedGeneration: 1, readyReplicas: 5, updatedReplicas: 1}}",
            Some((Progressing, "Waiting for partitioned roll out to finish: 1 out of 3 new pods have been updated...")),
        ),
        (
            "StatefulSet: partition reached",
            "apps/v1",
            "StatefulSet",
            "{metadata: {generation: 1}, spec: {replicas: 5, updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 2}}}, status: {observedGeneration: 1, readyReplicas: 5, updatedReplicas: 3, currentRevision: a, updateRevision: b}}",
            Some((Healthy, "partitioned roll out complete: 3 new pods have been updated...")),
        ),
        (
            "StatefulSet: rolling update without partition counts as partitioned",
            "apps/v1",
            "StatefulSet",
            "{metadata: {generation: 1}, spec: {replicas: 1, updateStrategy: {type: RollingUpdate, rollingUpdate: {}}}, status: {observedGeneration: 1, readyReplicas: 1}}",
            Some((Healthy, "partitioned roll out complete: 0 new pods have been updated...")),
        ),
        (
            "StatefulSet: OnDelete",
            "apps/v1",
            "StatefulSet",
            "{metadata: {generation: 1}, spec: {replicas: 1, updateStrategy: {type: OnDelete}}, status: {observedGeneration: 1, readyReplicas: 1, currentRevision: a, updateRevision: b}}",
            Some((Healthy, "statefulset has 1 ready pods")),
        ),
        (
            "StatefulSet: OnDelete still waits for readiness",
            "apps/v1",
            "StatefulSet",
            "{metadata: {generation: 1}, spec: {replicas: 1, updateStrategy: {type: OnDelete}}, status: {observedGeneration: 1}}",
            Some((Progressing, "Waiting for 1 pods to be ready...")),
        ),
        (
            "StatefulSet: revisions differ",
            "apps/v1",
            "StatefulSet",
            "{metadata: {generation: 1}, spec: {replicas: 2, updateStrategy: {type: RollingUpdate}}, status: {observedGeneration: 1, readyReplicas: 2, updatedReplicas: 1, currentRevision: a, updateRevision: b}}",
            Some((Progressing, "waiting for statefulset rolling update to complete 1 pods at revision b...")),
        ),
        (
            "StatefulSet: revisions equal",
            "apps/v1",
            "StatefulSet",
            "{metadata: {generation: 1}, spec: {replicas: 2}, status: {observedGeneration: 1, readyReplicas: 2, currentReplicas: 2, currentRevision: a, updateRevision: a}}",
            Some((Healthy, "statefulset rolling update complete 2 pods at revision a...")),
        ),
        (
            "GetHealthCheckFunc: version without a rule",
            "apps/v1beta2",
            "StatefulSet",
            "{}",
            Some((Unknown, "unsupported StatefulSet GVK: apps/v1beta2, Kind=StatefulSet")),
        ),
    ]);
}

#[test]
fn daemon_sets_and_replica_sets() {
    check(&[
        (
            "DaemonSet: spec not observed",
            "apps/v1",
            "DaemonSet",
            "{metadata: {generation: 2}, status: {observedGeneration: 1}}",
            Some((
                Progressing,
                "Waiting for rollout to finish: observed daemon set generation less than desired generation",
            )),
        ),
        (
            "DaemonSet: OnDelete",
            "apps/v1",
            "DaemonSet",
            "{metadata: {generation: 1}, spec: {updateStrategy: {type: OnDelete}}, status: {observedGeneration: 1, desiredNumberScheduled: 3, updatedNumberScheduled: 1}}",
            Some((Healthy, "daemon set 1 out of 3 new pods have been updated")),
        ),
        (
            "DaemonSet: too few updated",
            "apps/v1",
            "DaemonSet",
            "{metadata: {name: log, generation: 1}, status: {observedGeneration: 1, desiredNumberScheduled: 3, updatedNumberScheduled: 1, numberAvailable: 3}}",
            Some((
                Progressing,
                "Waiting for daemon set \"log\" rollout to finish: 1 out of 3 new pods have been updated...",
            )),
        ),
        (
            "DaemonSet: too few available",
            "apps/v1",
            "DaemonSet",
            "{metadata: {name: log, generation: 1}, status: {observedGeneration: 1, desiredNumberScheduled: 3, updatedNumberScheduled: 3, numberAvailable: 2}}",
            Some((
                Progressing,
                "Waiting for daemon set \"log\" rollout to finish: 2 of 3 updated pods are available...",
            )),
        ),
        (
            "DaemonSet: done",
            "apps/v1",
            "DaemonSet",
            "{metadata: {generation: 1}, status: {observedGeneration: 1, desiredNumberScheduled: 3, updatedNumberScheduled: 3, numberAvailable: 3}}",
            Some((Healthy, "")),
        ),
        (
            "DaemonSet: no node wants it",
            "apps/v1",
            "DaemonSet",
            "{metadata: {generation: 1}, status: {observedGeneration: 1}}",
            Some((Healthy, "")),
        ),
        (
            "ReplicaSet: spec not observed",
            "apps/v1",
            "ReplicaSet",
            "{metadata: {generation: 2}, status: {observedGeneration: 1}}",
            Some((
                Progressing,
                "Waiting for rollout to finish: observed replica set generation less than desired generation",
            )),
        ),
        (
            "ReplicaSet: ReplicaFailure",
            "apps/v1",
            "ReplicaSet",
            "{metadata: {generation: 1}, spec: {replicas: 1}, status: {observedGeneration: 1, conditions: [{type: ReplicaFailure, status: 'True', message: quota exceeded}]}}",
            Some((Degraded, "quota exceeded")),
        ),
        (
            "ReplicaSet: ReplicaFailure that is over",
            "apps/v1",
            "ReplicaSet",
            "{metadata: {generation: 1}, spec: {replicas: 1}, status: {observedGeneration: 1, availableReplicas: 1, conditions: [{type: ReplicaFailure, status: 'False', message: quota exceeded}]}}",
            Some((Healthy, "")),
        ),
        (
            "ReplicaSet: too few available",
            "apps/v1",
            "ReplicaSet",
            "{metadata: {generation: 1}, spec: {replicas: 2}, status: {observedGeneration: 1, availableReplicas: 1}}",
            Some((Progressing, "Waiting for rollout to finish: 1 out of 2 new replicas are available...")),
        ),
        (
            "ReplicaSet: done",
            "apps/v1",
            "ReplicaSet",
            "{metadata: {generation: 1}, spec: {replicas: 2}, status: {observedGeneration: 1, availableReplicas: 2}}",
            Some((Healthy, "")),
        ),
    ]);
}

#[test]
fn pods() {
    check(&[
        (
            "Pod: pending",
            "v1",
            "Pod",
            "{spec: {restartPolicy: Always}, status: {phase: Pending, message: no node}}",
            Some((Progressing, "no node")),
        ),
        (
            "Pod: succeeded",
            "v1",
            "Pod",
            "{spec: {restartPolicy: Never}, status: {phase: Succeeded}}",
            Some((Healthy, "")),
        ),
        (
            "Pod: failed with a message",
            "v1",
            "Pod",
            "{status: {phase: Failed, message: evicted}}",
            Some((Degraded, "evicted")),
        ),
        (
            "Pod: failed, init container's message first",
            "v1",
            "Pod",
            "{status: {phase: Failed, initContainerStatuses: [{name: i, state: {terminated: {exitCode: 1, message: no schema}}}], containerStatuses: [{name: c, state: {terminated: {exitCode: 2, message: later}}}]}}",
            Some((Degraded, "no schema")),
        ),
        (
            "Pod: failed, out of memory",
            "v1",
            "Pod",
            "{status: {phase: Failed, containerStatuses: [{name: c, state: {terminated: {exitCode: 137, reason: OOMKilled}}}]}}",
            Some((Degraded, "OOMKilled")),
        ),
        (
            "Pod: failed, exit code of the container that failed",
            "v1",
            "Pod",
            "{status: {phase: Failed, containerStatuses: [{name: a, state: {terminated: {exitCode: 0}}}, {name: b, state: {terminated: {exitCode: 3}}}]}}",
            Some((Degraded, "container \"b\" failed with exit code 3")),
        ),
        ("Pod: failed without any word", "v1", "Pod", "{status: {phase: Failed}}", Some((Degraded, ""))),
        (
            "Pod: crash loop",
            "v1",
            "Pod",
            "{spec: {restartPolicy: Always}, status: {phase: Running, containerStatuses: [{state: {waiting: {reason: CrashLoopBackOff, message: back-off 5m}}}]}}",
            Some((Degraded, "back-off 5m")),
        ),
        (
            "Pod: waiting reason that begins with Err, while pending",
            "v1",
            "Pod",
            "{spec: {restartPolicy: Always}, status: {phase: Pending, containerStatuses: [{state: {waiting: {reason: ErrImagePull, message: not found}}}]}}",
            Some((Degraded, "not found")),
        ),
        (
            "Pod: waiting reasons that end with Error are joined",
            "v1",
            "Pod",
            "{spec: {restartPolicy: Always}, status: {phase: Pending, containerStatuses: [{state: {waiting: {reason: CreateContainerConfigError, message: one}}}, {state: {waiting: {reason: RunContainerError, message: two}}}]}}",
            Some((Degraded, "one, two")),
        ),
        (
            "Pod: waiting for an ordinary reason",
            "v1",
            "Pod",
            "{spec: {restartPolicy: Always}, status: {phase: Pending, containerStatuses: [{state: {waiting: {reason: ContainerCreating}}}]}}",
            Some((Progressing, "")),
        ),
        (
            "Pod: image pull back-off of a finite Pod is not Degraded",
            "v1",
            "Pod",
            "{spec: {restartPolicy: Never}, status: {phase: Pending, containerStatuses: [{state: {waiting: {reason: ImagePullBackOff, message: x}}}]}}",
            Some((Progressing, "")),
        ),
        (
            "Pod: running and ready",
            "v1",
            "Pod",
            "{spec: {restartPolicy: Always}, status: {phase: Running, conditions: [{type: Ready, status: 'True'}]}}",
            Some((Healthy, "")),
        ),
        (
            "Pod: running, not ready, a container had ended",
            "v1",
            "Pod",
            "{spec: {restartPolicy: Always}, status: {phase: Running, conditions: [{type: Ready, status: 'False'}], containerStatuses: [{lastState: {terminated: {exitCode: 1}}}]}}",
            Some((Degraded, "")),
        ),
        (
            "Pod: running, not ready yet",
            "v1",
            "Pod",
            "{spec: {restartPolicy: Always}, status: {phase: Running, containerStatuses: [{lastState: {}}]}}",
            Some((Progressing, "")),
        ),
        (
            "Pod: running with restartPolicy Never",
            "v1",
            "Pod",
            "{spec: {restartPolicy: Never}, status: {phase: Running, conditions: [{type: Ready, status: 'True'}]}}",
            Some((Progressing, "")),
        ),
        (
            "Pod: running with restartPolicy OnFailure",
            "v1",
            "Pod",
            "{spec: {restartPolicy: OnFailure}, status: {phase: Running, conditions: [{type: Ready, status: 'True'}]}}",
            Some((Progressing, "")),
        ),
        (
            "Pod: annotation ignore-restart-policy",
            "v1",
            "Pod",
            "{metadata: {annotations: {argocd.argoproj.io/ignore-restart-policy: ''}}, spec: {restartPolicy: Never}, status: {phase: Running, conditions: [{type: Ready, status: 'True'}]}}",
            Some((Healthy, "")),
        ),
        (
            "Pod: phase Unknown",
            "v1",
            "Pod",
            "{spec: {restartPolicy: Always}, status: {phase: Unknown, message: node lost}}",
            Some((Unknown, "node lost")),
        ),
        ("Pod: no status", "v1", "Pod", "{spec: {restartPolicy: Always}}", Some((Unknown, ""))),
    ]);
}

#[test]
fn jobs_cron_jobs_and_workflows() {
    const NEVER: &str = "CronJob has not been scheduled yet";
    check(&[
        ("Job: no condition", "batch/v1", "Job", "{status: {active: 1}}", Some((Progressing, ""))),
        (
            "Job: complete",
            "batch/v1",
            "Job",
            "{status: {conditions: [{type: Complete, status: 'True', message: done}]}}",
            Some((Healthy, "done")),
        ),
        (
            "Job: failed",
            "batch/v1",
            "Job",
            "{status: {conditions: [{type: Failed, status: 'True', message: Job has reached the specified backoff limit}]}}",
            Some((Degraded, "Job has reached the specified backoff limit")),
        ),
        (
            "Job: failed wins over complete",
            "batch/v1",
            "Job",
            "{status: {conditions: [{type: Failed, status: 'True', message: refused}, {type: Complete, status: 'True', message: done}]}}",
            Some((Degraded, "refused")),
        ),
        (
            "Job: suspended",
            "batch/v1",
            "Job",
            "{status: {conditions: [{type: Suspended, status: 'True', message: Job suspended}]}}",
            Some((Suspended, "")),
        ),
        (
            "Job: resumed (a condition that stays) counts as complete",
            "batch/v1",
            "Job",
            "{status: {conditions: [{type: Suspended, status: 'False', message: Job resumed}]}}",
            Some((Healthy, "Job resumed")),
        ),
        (
            "GetHealthCheckFunc: version without a rule",
            "batch/v2",
            "Job",
            "{}",
            Some((Unknown, "unsupported Job GVK: batch/v2, Kind=Job")),
        ),
        (
            "CronJob/health.lua: suspended is Healthy (argo-cd#24428)",
            "batch/v1",
            "CronJob",
            "{spec: {suspend: true}, status: {}}",
            Some((Healthy, "CronJob is Suspended")),
        ),
        (
            "CronJob/health.lua: no status",
            "batch/v1",
            "CronJob",
            "{spec: {}}",
            Some((Progressing, "Waiting for CronJob")),
        ),
        (
            "CronJob/health.lua: never scheduled",
            "batch/v1",
            "CronJob",
            "{spec: {suspend: false}, status: {}}",
            Some((Healthy, NEVER)),
        ),
        (
            "CronJob/health.lua: never succeeded",
            "batch/v1",
            "CronJob",
            "{status: {lastScheduleTime: '2026-11-23T10:00:00Z'}}",
            Some((Healthy, "CronJob has never completed successfully; it may not be healthy")),
        ),
        (
            "CronJob/health.lua: running",
            "batch/v1",
            "CronJob",
            "{status: {lastScheduleTime: '2026-11-23T10:00:00Z', lastSuccessfulTime: '2026-11-23T09:00:00Z', active: [{name: x}]}}",
            Some((Healthy, "CronJob is running; its last execution may not have been successful")),
        ),
        (
            "CronJob/health.lua: last run failed",
            "batch/v1",
            "CronJob",
            "{status: {lastScheduleTime: '2026-11-23T10:00:00Z', lastSuccessfulTime: '2026-11-23T09:00:00Z'}}",
            Some((Degraded, "CronJob has not completed its last execution successfully")),
        ),
        (
            "CronJob/health.lua: last run succeeded",
            "batch/v1",
            "CronJob",
            "{status: {lastScheduleTime: '2026-11-23T10:00:00Z', lastSuccessfulTime: '2026-11-23T10:00:05Z', active: []}}",
            Some((Healthy, "CronJob has completed its last execution successfully")),
        ),
        ("Workflow: not begun", "argoproj.io/v1alpha1", "Workflow", "{}", Some((Progressing, ""))),
        (
            "Workflow: running",
            "argoproj.io/v1alpha1",
            "Workflow",
            "{status: {phase: Running, message: step 2}}",
            Some((Progressing, "step 2")),
        ),
        (
            "Workflow: succeeded, any version",
            "argoproj.io/v2",
            "Workflow",
            "{status: {phase: Succeeded}}",
            Some((Healthy, "")),
        ),
        (
            "Workflow: failed",
            "argoproj.io/v1alpha1",
            "Workflow",
            "{status: {phase: Failed, message: child}}",
            Some((Degraded, "child")),
        ),
        ("Workflow: error", "argoproj.io/v1alpha1", "Workflow", "{status: {phase: Error}}", Some((Degraded, ""))),
        ("Workflow: another phase", "argoproj.io/v1alpha1", "Workflow", "{status: {phase: Odd}}", Some((Unknown, ""))),
    ]);
}

#[test]
fn claims_services_and_ingresses() {
    check(&[
        ("PVC: bound", "v1", "PersistentVolumeClaim", "{status: {phase: Bound}}", Some((Healthy, ""))),
        ("PVC: pending", "v1", "PersistentVolumeClaim", "{status: {phase: Pending}}", Some((Progressing, ""))),
        ("PVC: lost", "v1", "PersistentVolumeClaim", "{status: {phase: Lost}}", Some((Degraded, ""))),
        ("PVC: no phase", "v1", "PersistentVolumeClaim", "{}", Some((Unknown, ""))),
        (
            "Service: ClusterIP",
            "v1",
            "Service",
            "{spec: {type: ClusterIP}, status: {loadBalancer: {}}}",
            Some((Healthy, "")),
        ),
        (
            "Service: load balancer without address",
            "v1",
            "Service",
            "{spec: {type: LoadBalancer}, status: {loadBalancer: {}}}",
            Some((Progressing, "")),
        ),
        (
            "Service: load balancer with address",
            "v1",
            "Service",
            "{spec: {type: LoadBalancer}, status: {loadBalancer: {ingress: [{ip: 192.0.2.1}]}}}",
            Some((Healthy, "")),
        ),
        (
            "Service: a Knative Service has other rules",
            "serving.knative.dev/v1",
            "Service",
            "{spec: {type: LoadBalancer}}",
            None,
        ),
        (
            "Ingress: without address",
            "networking.k8s.io/v1",
            "Ingress",
            "{status: {loadBalancer: {}}}",
            Some((Progressing, "")),
        ),
        (
            "Ingress: empty list",
            "networking.k8s.io/v1",
            "Ingress",
            "{status: {loadBalancer: {ingress: []}}}",
            Some((Progressing, "")),
        ),
        (
            "Ingress: with address",
            "networking.k8s.io/v1",
            "Ingress",
            "{status: {loadBalancer: {ingress: [{hostname: a.example}]}}}",
            Some((Healthy, "")),
        ),
        (
            "Ingress: an entry without content counts",
            "networking.k8s.io/v1",
            "Ingress",
            "{status: {loadBalancer: {ingress: [{}]}}}",
            Some((Healthy, "")),
        ),
        ("Ingress: old group", "extensions/v1beta1", "Ingress", "{status: {}}", Some((Progressing, ""))),
        ("GetHealthCheckFunc: NetworkPolicy has none", "networking.k8s.io/v1", "NetworkPolicy", "{}", None),
    ]);
}

#[test]
fn autoscalers_and_disruption_budgets() {
    check(&[
        (
            "HPA: no condition",
            "autoscaling/v2",
            "HorizontalPodAutoscaler",
            "{status: {}}",
            Some((Progressing, "Waiting to Autoscale")),
        ),
        (
            "HPA: able to scale",
            "autoscaling/v2",
            "HorizontalPodAutoscaler",
            "{status: {conditions: [{type: AbleToScale, status: 'True', reason: ReadyForNewScale, message: recommended size matches}]}}",
            Some((Healthy, "recommended size matches")),
        ),
        (
            "HPA: the first condition that says anything decides",
            "autoscaling/v2",
            "HorizontalPodAutoscaler",
            "{status: {conditions: [{type: AbleToScale, status: 'True', reason: SucceededGetScale, message: ok}, {type: ScalingActive, status: 'False', reason: FailedGetResourceMetric, message: no metrics}]}}",
            Some((Healthy, "ok")),
        ),
        (
            "HPA: no scale",
            "autoscaling/v2",
            "HorizontalPodAutoscaler",
            "{status: {conditions: [{type: AbleToScale, status: 'False', reason: FailedGetScale, message: no such Deployment}]}}",
            Some((Degraded, "no such Deployment")),
        ),
        (
            "HPA: update refused",
            "autoscaling/v2beta2",
            "HorizontalPodAutoscaler",
            "{status: {conditions: [{type: AbleToScale, status: 'False', reason: FailedUpdateScale, message: refused}]}}",
            Some((Degraded, "refused")),
        ),
        (
            "HPA: no metric",
            "autoscaling/v2beta1",
            "HorizontalPodAutoscaler",
            "{status: {conditions: [{type: ScalingActive, status: 'False', reason: FailedGetResourceMetric, message: refused}]}}",
            Some((Degraded, "refused")),
        ),
        (
            "HPA: ambiguous selector",
            "autoscaling/v2",
            "HorizontalPodAutoscaler",
            "{status: {conditions: [{type: ScalingActive, status: 'False', reason: InvalidSelector, message: refused}]}}",
            Some((Degraded, "refused")),
        ),
        (
            "HPA: disabled, yet limited",
            "autoscaling/v2",
            "HorizontalPodAutoscaler",
            "{status: {conditions: [{type: ScalingActive, status: 'False', reason: ScalingDisabled}, {type: ScalingLimited, status: 'True', message: at most 3}]}}",
            Some((Healthy, "at most 3")),
        ),
        (
            "HPA v1: no annotation",
            "autoscaling/v1",
            "HorizontalPodAutoscaler",
            "{status: {conditions: [{type: AbleToScale, status: 'True'}]}}",
            Some((Progressing, "Waiting to Autoscale")),
        ),
        (
            "HPA v1: conditions in the annotation",
            "autoscaling/v1",
            "HorizontalPodAutoscaler",
            r#"{metadata: {annotations: {autoscaling.alpha.kubernetes.io/conditions: '[{"type":"AbleToScale","status":"True","message":"ok"}]'}}}"#,
            Some((Healthy, "ok")),
        ),
        (
            "HPA v1: empty list",
            "autoscaling/v1",
            "HorizontalPodAutoscaler",
            "{metadata: {annotations: {autoscaling.alpha.kubernetes.io/conditions: '[]'}}}",
            Some((Progressing, "Waiting to Autoscale")),
        ),
        (
            "HPA v1: null",
            "autoscaling/v1",
            "HorizontalPodAutoscaler",
            "{metadata: {annotations: {autoscaling.alpha.kubernetes.io/conditions: 'null'}}}",
            Some((Progressing, "Waiting to Autoscale")),
        ),
        (
            "HPA v1: broken annotation",
            "autoscaling/v1",
            "HorizontalPodAutoscaler",
            "{metadata: {annotations: {autoscaling.alpha.kubernetes.io/conditions: '{'}}}",
            Some((
                Unknown,
                "failed to convert conditions annotation to typed: invalid type: map, expected a sequence at line 1 column 0",
            )),
        ),
        (
            "GetHealthCheckFunc: version without a rule",
            "autoscaling/v3",
            "HorizontalPodAutoscaler",
            "{}",
            Some((Unknown, "unsupported HorizontalPodAutoscaler GVK: autoscaling/v3, Kind=HorizontalPodAutoscaler")),
        ),
        (
            "PodDisruptionBudget/health.lua: no condition",
            "policy/v1",
            "PodDisruptionBudget",
            "{status: {}}",
            Some((Progressing, "Waiting for status")),
        ),
        (
            "PodDisruptionBudget/health.lua: sufficient",
            "policy/v1",
            "PodDisruptionBudget",
            "{status: {conditions: [{type: DisruptionAllowed, status: 'True', reason: SufficientPods}]}}",
            Some((Healthy, "PodDisruptionBudget has SufficientPods")),
        ),
        (
            "PodDisruptionBudget/health.lua: insufficient is normal (argo-cd#20171)",
            "policy/v1",
            "PodDisruptionBudget",
            "{status: {conditions: [{type: DisruptionAllowed, status: 'False', reason: InsufficientPods}]}}",
            Some((Healthy, "PodDisruptionBudget has InsufficientPods")),
        ),
        (
            "PodDisruptionBudget/health.lua: can't be computed",
            "policy/v1",
            "PodDisruptionBudget",
            "{status: {conditions: [{type: DisruptionAllowed, status: 'False', reason: SyncFailed}]}}",
            Some((Degraded, "PodDisruptionBudget has SyncFailed")),
        ),
    ]);
}

#[test]
fn api_extensions() {
    const CRD: &str = "CustomResourceDefinition";
    const API: &str = "apiextensions.k8s.io/v1";
    check(&[
        (
            "APIService: not processed",
            "apiregistration.k8s.io/v1",
            "APIService",
            "{status: {}}",
            Some((Progressing, "Waiting to be processed")),
        ),
        (
            "APIService: available",
            "apiregistration.k8s.io/v1",
            "APIService",
            "{status: {conditions: [{type: Available, status: 'True', reason: Passed, message: all checks passed}]}}",
            Some((Healthy, "Passed: all checks passed")),
        ),
        (
            "APIService: not available",
            "apiregistration.k8s.io/v1beta1",
            "APIService",
            "{status: {conditions: [{type: Available, status: 'False', reason: MissingEndpoints, message: none}]}}",
            Some((Progressing, "MissingEndpoints: none")),
        ),
        (
            "GetHealthCheckFunc: version without a rule",
            "apiregistration.k8s.io/v2",
            "APIService",
            "{}",
            Some((Unknown, "unsupported APIService GVK: apiregistration.k8s.io/v2, Kind=APIService")),
        ),
        ("CRD/health.lua: no status", API, CRD, "{}", Some((Progressing, "Status conditions not found"))),
        (
            "CRD/health.lua: no condition",
            API,
            CRD,
            "{status: {conditions: []}}",
            Some((Progressing, "Status conditions not found")),
        ),
        (
            "CRD/health.lua: established",
            API,
            CRD,
            "{status: {conditions: [{type: NamesAccepted, status: 'True'}, {type: Established, status: 'True'}]}}",
            Some((Healthy, "CRD is healthy")),
        ),
        (
            "CRD/health.lua: not established",
            API,
            CRD,
            "{status: {conditions: [{type: NamesAccepted, status: 'True'}]}}",
            Some((Degraded, "CRD is not established")),
        ),
        (
            "CRD/health.lua: names taken",
            API,
            CRD,
            "{status: {conditions: [{type: NamesAccepted, status: 'False', message: shortName taken}, {type: Established, status: 'True'}]}}",
            Some((Degraded, "CRD names have not been accepted: shortName taken")),
        ),
        (
            "CRD/health.lua: schema",
            API,
            CRD,
            "{status: {conditions: [{type: Established, status: 'True'}, {type: NonStructuralSchema, status: 'True', message: type missing}]}}",
            Some((Degraded, "Schema violations found: type missing")),
        ),
        (
            "CRD/health.lua: terminating comes first",
            API,
            CRD,
            "{status: {conditions: [{type: NamesAccepted, status: 'False'}, {type: Terminating, status: 'True', message: instances left}]}}",
            Some((Progressing, "CRD is terminating: instances left")),
        ),
    ]);
}

#[test]
fn kinds_without_health_and_deletion() {
    let mut cases: Vec<Case> = [
        ("v1", "ConfigMap"),
        ("v1", "Secret"),
        ("v1", "ServiceAccount"),
        ("v1", "Namespace"),
        ("v1", "Node"),
        ("v1", "PersistentVolume"),
        ("v1", "ReplicationController"),
        ("rbac.authorization.k8s.io/v1", "Role"),
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
        ("scheduling.k8s.io/v1", "PriorityClass"),
        ("storage.k8s.io/v1", "StorageClass"),
        ("flowcontrol.apiserver.k8s.io/v1", "FlowSchema"),
        ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
        ("coordination.k8s.io/v1", "Lease"),
        ("argoproj.io/v1alpha1", "Application"),
    ]
    .into_iter()
    .map(|(api, kind)| -> Case {
        (
            "GetHealthCheckFunc: no rule",
            api,
            kind,
            "{status: {health: {status: Degraded}, conditions: [{type: Ready, status: 'False', reason: Failed}]}}",
            None,
        )
    })
    .collect();
    cases.extend([
        ("GetResourceHealth: deletion comes before the rule", "v1", "Pod",
            "{metadata: {deletionTimestamp: '2026-11-23T10:00:00Z'}, status: {phase: Succeeded}}", Some((Progressing, "Pending deletion"))),
        ("GetResourceHealth: deletion of a kind without a rule", "v1", "Secret",
            "{metadata: {deletionTimestamp: '2026-11-23T10:00:00Z'}, data: {a: b}}", Some((Progressing, "Pending deletion"))),
        ("GetResourceHealth: deletion of a kind of unknown version", "apps/v1beta1", "Deployment",
            "{metadata: {deletionTimestamp: '2026-11-23T10:00:00Z'}}", Some((Progressing, "Pending deletion"))),
        ("GetResourceHealth: other finalizers change nothing", "v1", "ConfigMap",
            "{metadata: {deletionTimestamp: '2026-11-23T10:00:00Z', finalizers: [example.com/x]}}", Some((Progressing, "Pending deletion"))),
        ("GetResourceHealth: a hook that its finalizer keeps is judged by its rule", "batch/v1", "Job",
            "{metadata: {deletionTimestamp: '2026-11-23T10:00:00Z', finalizers: [argocd.argoproj.io/hook-finalizer]}, status: {conditions: [{type: Complete, status: 'True'}]}}",
            Some((Healthy, ""))),
        ("GetResourceHealth: null is not set", "v1", "ConfigMap", "{metadata: {deletionTimestamp: null}}", None),
    ] as [Case; 6]);
    check(&cases);
}

#[test]
fn custom_resources() {
    const API: &str = "example.com/v1";
    check(&[
        ("generic: no status", API, "Widget", "{metadata: {generation: 1}}", None),
        (
            "generic: no shared condition",
            API,
            "Widget",
            "{status: {conditions: [{type: Synced, status: 'False'}]}}",
            None,
        ),
        (
            "kstatus: generation not observed",
            API,
            "Widget",
            "{metadata: {generation: 3}, status: {observedGeneration: 2, conditions: [{type: Ready, status: 'True'}]}}",
            Some((Progressing, "Widget generation is 3, but latest observed generation is 2")),
        ),
        (
            "kstatus: generation observed",
            API,
            "Widget",
            "{metadata: {generation: 3}, status: {observedGeneration: 3}}",
            None,
        ),
        (
            "kstatus: Stalled",
            API,
            "Widget",
            "{status: {conditions: [{type: Reconciling, status: 'True'}, {type: Stalled, status: 'True', reason: NoAccess, message: denied}]}}",
            Some((Degraded, "denied")),
        ),
        (
            "generic: Failed",
            API,
            "Widget",
            "{status: {conditions: [{type: Failed, status: 'True', reason: Boom}]}}",
            Some((Degraded, "Boom")),
        ),
        (
            "kstatus: Stalled false says nothing",
            API,
            "Widget",
            "{status: {conditions: [{type: Stalled, status: 'False'}, {type: Ready, status: 'True', message: ok}]}}",
            Some((Healthy, "ok")),
        ),
        (
            "kstatus: Reconciling before Ready",
            API,
            "Widget",
            "{status: {conditions: [{type: Ready, status: 'True'}, {type: Reconciling, status: 'True', message: step 1}]}}",
            Some((Progressing, "step 1")),
        ),
        (
            "kstatus: Ready",
            API,
            "Widget",
            "{status: {conditions: [{type: Ready, status: 'True', message: up}]}}",
            Some((Healthy, "up")),
        ),
        (
            "generic: Ready false takes time",
            API,
            "Widget",
            "{status: {conditions: [{type: Ready, status: 'False', reason: Creating, message: wait}]}}",
            Some((Progressing, "wait")),
        ),
        (
            "generic: Ready false for a failure",
            API,
            "Widget",
            "{status: {conditions: [{type: Ready, status: 'False', reason: ReconcileError, message: bad spec}]}}",
            Some((Degraded, "bad spec")),
        ),
        (
            "generic: Ready false for a failure, without message",
            API,
            "Widget",
            "{status: {conditions: [{type: Ready, status: 'False', reason: InstallFailed}]}}",
            Some((Degraded, "InstallFailed")),
        ),
        (
            "generic: Ready unknown",
            API,
            "Widget",
            "{status: {conditions: [{type: Ready, status: Unknown}]}}",
            Some((Progressing, "")),
        ),
        (
            "API conventions: Ready of an older spec",
            API,
            "Widget",
            "{metadata: {generation: 2}, status: {conditions: [{type: Ready, status: 'True', observedGeneration: 1}]}}",
            Some((Progressing, "")),
        ),
        (
            "API conventions: Ready of this spec",
            API,
            "Widget",
            "{metadata: {generation: 2}, status: {conditions: [{type: Ready, status: 'True', observedGeneration: 2}]}}",
            Some((Healthy, "")),
        ),
        (
            "generic: Available without Ready",
            API,
            "Widget",
            "{status: {conditions: [{type: Available, status: 'False', reason: ScalingUp}]}}",
            Some((Progressing, "ScalingUp")),
        ),
        (
            "generic: Ready wins over Available",
            API,
            "Widget",
            "{status: {conditions: [{type: Available, status: 'True'}, {type: Ready, status: 'False', reason: Creating}]}}",
            Some((Progressing, "Creating")),
        ),
        (
            "generic: extension groups under k8s.io are custom, too",
            "gateway.networking.k8s.io/v1",
            "Gateway",
            "{status: {conditions: [{type: Ready, status: 'True'}]}}",
            Some((Healthy, "")),
        ),
        (
            "generic: fields of another shape count as not set",
            API,
            "Widget",
            "{metadata: {generation: x}, status: {observedGeneration: [], conditions: {type: Ready}}}",
            None,
        ),
        (
            "generic: entries of another shape count as empty",
            API,
            "Widget",
            "{status: {conditions: [1, null, {type: 5}, {type: Ready, status: 'True'}]}}",
            Some((Healthy, "")),
        ),
        ("generic: status that is no map", API, "Widget", "{status: ready}", None),
    ]);
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
        ("autoscaling/v1", "HorizontalPodAutoscaler"),
        ("autoscaling/v2", "HorizontalPodAutoscaler"),
        ("policy/v1", "PodDisruptionBudget"),
        ("apiregistration.k8s.io/v1", "APIService"),
        ("argoproj.io/v1alpha1", "Workflow"),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        ("example.com/v1", "Widget"),
    ];
    let objects = [
        "null",
        "[]",
        "text",
        "{}",
        "{metadata: [], spec: [], status: []}",
        "{metadata: 1, spec: 2, status: 3}",
        "{metadata: {generation: -9223372036854775808, finalizers: 7, annotations: []}, spec: {replicas: 9223372036854775807, updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: -9223372036854775808}}}, status: {observedGeneration: 9223372036854775807, readyReplicas: -9223372036854775808, replicas: 9223372036854775807, updatedReplicas: -9223372036854775808, conditions: null, containerStatuses: {}}}",
    ];
    for (api, kind) in kinds {
        for yaml in objects {
            let object: Value = serde_saphyr::from_str(yaml).unwrap();
            let health = assess(&Gvk::from_api_version(api, kind), &object);
            assert_eq!(health.is_some(), kind != "Widget", "{kind} of {yaml}: {health:?}");
        }
    }
}

#[test]
fn long_messages_are_cut() {
    let message = "x".repeat(5000);
    let object = serde_json::json!({"status": {"phase": "Failed", "message": message}});
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
        (&[Absent, Absent], HealthCode::Missing),
    ];
    for (objects, expected) in cases {
        assert_eq!(worst(objects.iter().copied()), *expected, "{objects:?}");
    }
}
