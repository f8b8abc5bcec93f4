//! The controllers of the model: what they make of workloads, in which steps, and that it depends on time alone.

use bytes::Bytes;
use driftless::engine::health::assess;
use driftless::engine::ids::Gvk;
use driftless::sim::apiserver::{Answer, ApiServer};
use driftless::sim::controllers::Controllers;
use http::{Method, Request};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const APPS: &str = "/apis/apps/v1/namespaces/default";
const CORE: &str = "/api/v1/namespaces/default";
const BATCH: &str = "/apis/batch/v1/namespaces/default";
const FAIL: &str = "sandbox.driftless.dev/fail";

/// A server and its time.
struct Cluster {
    server: ApiServer,
    now: Timestamp,
}

impl Cluster {
    fn new(controllers: Controllers) -> Self {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        Self { server: ApiServer::new(7, controllers, Vec::new(), now), now }
    }

    fn all() -> Self {
        Self::new(Controllers::all())
    }

    fn ask(&mut self, method: Method, path: &str, content_type: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = Request::builder().method(method).uri(path).header("content-type", content_type);
        let Answer::Reply(reply) = self.server.handle(&request.body(Bytes::from(body)).unwrap(), self.now) else {
            panic!("a watch")
        };
        let answer: Value = serde_json::from_slice(&reply.bytes()).unwrap();
        assert!(reply.code < 300 || reply.code == 404, "{path}: {answer}");
        answer
    }

    fn get(&mut self, path: &str) -> Value {
        self.ask(Method::GET, path, "", &Value::Null)
    }

    fn list(&mut self, path: &str) -> Vec<Value> {
        self.get(path)["items"].as_array().unwrap().clone()
    }

    fn create(&mut self, path: &str, object: &Value) {
        self.ask(Method::POST, path, "application/json", object);
    }

    fn patch(&mut self, path: &str, patch: &Value) {
        self.ask(Method::PATCH, path, "application/merge-patch+json", patch);
    }

    fn pass(&mut self, time: SignedDuration) {
        self.now = self.now.checked_add(time).unwrap();
        self.server.wake(self.now);
    }

    /// Goes on step by step for some time, and looks at each.
    fn watch(&mut self, time: SignedDuration, mut look: impl FnMut(&mut Self)) {
        let end = self.now.checked_add(time).unwrap();
        while let Some(next) = self.server.next_wake().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.server.wake(self.now);
            look(self);
        }
        self.now = end;
    }

    fn health(&mut self, path: &str, group: &str, kind: &str) -> String {
        let object = self.get(path);
        let health = assess(&Gvk::new(group, "v1", kind), &object).unwrap();
        format!("{:?}", health.code)
    }
}

fn seconds(count: i64) -> SignedDuration {
    SignedDuration::from_secs(count)
}

fn template(image: &str) -> Value {
    json!({
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": image}]},
    })
}

fn workload(kind: &str, replicas: i64) -> Value {
    let mut object = json!({
        "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "web"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template("web:1")},
    });
    if kind != "DaemonSet" {
        object["spec"]["replicas"] = replicas.into();
    }
    object
}

fn number(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

#[test]
fn a_deployment_gets_its_pods_and_says_so_as_the_real_controllers_do() {
    let mut cluster = Cluster::all();
    cluster.create(&format!("{APPS}/deployments"), &workload("Deployment", 3));
    let path = &format!("{APPS}/deployments/web");
    assert_eq!(cluster.health(path, "apps", "Deployment"), "Progressing");
    cluster.pass(seconds(3));
    assert_eq!(cluster.health(path, "apps", "Deployment"), "Healthy");
    let deployment = cluster.get(path);
    assert_eq!(deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "1");
    let status = &deployment["status"];
    for field in ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"] {
        assert_eq!(status[field], 3, "{field}");
    }
    assert_eq!(status["observedGeneration"], deployment["metadata"]["generation"]);
    let told: Vec<_> = status["conditions"].as_array().unwrap().iter().map(|it| (&it["type"], &it["reason"])).collect();
    assert_eq!(
        told,
        [
            (&json!("Available"), &json!("MinimumReplicasAvailable")),
            (&json!("Progressing"), &json!("NewReplicaSetAvailable"))
        ]
    );
    let managers: Vec<_> = deployment["metadata"]["managedFields"].as_array().unwrap().iter().collect();
    let own = managers.iter().find(|entry| entry["manager"] == "kube-controller-manager").unwrap();
    assert_eq!((own["operation"].as_str(), own["subresource"].as_str()), (Some("Update"), Some("status")));

    let sets = cluster.list(&format!("{APPS}/replicasets"));
    let hash = sets[0]["metadata"]["labels"]["pod-template-hash"].as_str().unwrap().to_owned();
    assert_eq!(sets[0]["metadata"]["name"], format!("web-{hash}"));
    let pods = cluster.list(&format!("{CORE}/pods"));
    assert_eq!(pods.len(), 3);
    for pod in &pods {
        assert_eq!(pod["status"]["phase"], "Running");
        assert_eq!(pod["metadata"]["labels"]["pod-template-hash"], hash);
        assert!(pod["metadata"]["name"].as_str().unwrap().starts_with(&format!("web-{hash}-")));
        assert_eq!(pod["spec"]["nodeName"], "node-1");
        assert_eq!(format!("{:?}", assess(&Gvk::new("", "v1", "Pod"), pod).unwrap().code), "Healthy");
    }
    assert_eq!(cluster.list("/api/v1/nodes").len(), 1);
}

#[test]
fn a_rollout_never_leaves_the_bounds_of_its_strategy() {
    let mut cluster = Cluster::all();
    let mut object = workload("Deployment", 8);
    object["spec"]["strategy"] = json!({"rollingUpdate": {"maxSurge": 2, "maxUnavailable": 1}});
    cluster.create(&format!("{APPS}/deployments"), &object);
    cluster.pass(seconds(5));
    let path = &format!("{APPS}/deployments/web");
    cluster.patch(path, &json!({"spec": {"template": template("web:2")}}));
    let mut steps = 0;
    cluster.watch(seconds(60), |cluster| {
        let sets = cluster.list(&format!("{APPS}/replicasets"));
        let wanted: i64 = sets.iter().map(|set| number(set, "/spec/replicas")).sum();
        let pods = cluster.list(&format!("{CORE}/pods"));
        let ready = pods.iter().filter(|pod| {
            let conditions = pod["status"]["conditions"].as_array();
            pod["metadata"]["deletionTimestamp"].is_null()
                && conditions.is_some_and(|all| all.iter().any(|it| it["type"] == "Ready" && it["status"] == "True"))
        });
        assert!(wanted <= 10, "{wanted} pods are wanted");
        assert!(ready.count() >= 7);
        steps += 1;
    });
    assert!(steps > 20);
    assert_eq!(cluster.health(path, "apps", "Deployment"), "Healthy");
    let revisions = |cluster: &mut Cluster| {
        let sets = cluster.list(&format!("{APPS}/replicasets"));
        let mut told: Vec<_> = sets
            .iter()
            .map(|set| {
                (
                    set["metadata"]["annotations"]["deployment.kubernetes.io/revision"].clone(),
                    number(set, "/spec/replicas"),
                )
            })
            .collect();
        told.sort_by_key(|(revision, _)| revision.to_string());
        told
    };
    assert_eq!(revisions(&mut cluster), [(json!("1"), 0), (json!("2"), 8)]);
    // A template that was there before is taken up again under a new number.
    cluster.patch(path, &json!({"spec": {"template": template("web:1")}}));
    cluster.pass(seconds(60));
    assert_eq!(revisions(&mut cluster), [(json!("2"), 0), (json!("3"), 8)]);
    assert_eq!(cluster.get(path)["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "3");
}

#[test]
fn a_workload_can_be_made_to_fail_and_to_heal() {
    for (failure, reason, phase) in
        [("CrashLoopBackOff", "CrashLoopBackOff", "Running"), ("ImagePullBackOff", "ImagePullBackOff", "Pending")]
    {
        let mut cluster = Cluster::all();
        let mut object = workload("Deployment", 2);
        object["metadata"]["annotations"] = json!({FAIL: failure});
        cluster.create(&format!("{APPS}/deployments"), &object);
        let path = &format!("{APPS}/deployments/web");
        cluster.pass(seconds(5));
        assert_eq!(cluster.health(path, "apps", "Deployment"), "Progressing");
        let pods = cluster.list(&format!("{CORE}/pods"));
        assert_eq!(pods[0]["status"]["phase"], phase);
        assert_eq!(pods[0]["status"]["containerStatuses"][0]["state"]["waiting"]["reason"], reason);
        assert_eq!(format!("{:?}", assess(&Gvk::new("", "v1", "Pod"), &pods[0]).unwrap().code), "Degraded");
        cluster.pass(seconds(620));
        assert_eq!(cluster.health(path, "apps", "Deployment"), "Degraded");
        cluster.patch(path, &json!({"metadata": {"annotations": {FAIL: null}}}));
        cluster.pass(seconds(5));
        assert_eq!(cluster.health(path, "apps", "Deployment"), "Healthy");
        cluster.patch(path, &json!({"metadata": {"annotations": {FAIL: failure}}}));
        cluster.pass(seconds(5));
        assert_ne!(cluster.health(path, "apps", "Deployment"), "Healthy");
    }
    let mut cluster = Cluster::all();
    let mut object = workload("Deployment", 2);
    object["spec"]["template"]["metadata"]["annotations"] = json!({FAIL: "ProgressDeadlineExceeded"});
    cluster.create(&format!("{APPS}/deployments"), &object);
    cluster.pass(seconds(5));
    assert_eq!(cluster.health(&format!("{APPS}/deployments/web"), "apps", "Deployment"), "Degraded");
}

#[test]
fn a_workload_can_be_made_slow() {
    let mut cluster = Cluster::all();
    let mut object = workload("Deployment", 1);
    object["metadata"]["annotations"] = json!({"sandbox.driftless.dev/delay": "30s"});
    cluster.create(&format!("{APPS}/deployments"), &object);
    cluster.pass(seconds(29));
    assert_eq!(cluster.health(&format!("{APPS}/deployments/web"), "apps", "Deployment"), "Progressing");
    cluster.pass(seconds(3));
    assert_eq!(cluster.health(&format!("{APPS}/deployments/web"), "apps", "Deployment"), "Healthy");
}

#[test]
fn of_many_pods_some_are_objects() {
    let mut cluster = Cluster::all();
    let path = &format!("{APPS}/deployments/web");
    cluster.create(&format!("{APPS}/deployments"), &workload("Deployment", 500));
    cluster.pass(seconds(10));
    assert_eq!(cluster.get(path)["status"]["availableReplicas"], 500);
    assert_eq!(cluster.list(&format!("{CORE}/pods")).len(), 10);
    cluster.patch(path, &json!({"spec": {"template": template("web:2")}}));
    cluster.pass(seconds(30));
    assert_eq!(
        (cluster.health(path, "apps", "Deployment").as_str(), cluster.get(path)["status"]["updatedReplicas"].clone()),
        ("Healthy", json!(500))
    );
    // Without objects at all, time alone decides.
    let mut cluster = Cluster::new(Controllers { shown: 0, ..Controllers::all() });
    cluster.create(&format!("{APPS}/deployments"), &workload("Deployment", 5));
    assert_eq!(cluster.health(path, "apps", "Deployment"), "Progressing");
    cluster.pass(seconds(10));
    assert_eq!(cluster.health(path, "apps", "Deployment"), "Healthy");
    assert!(cluster.list(&format!("{CORE}/pods")).is_empty());
}

#[test]
fn a_paused_deployment_waits() {
    let mut cluster = Cluster::all();
    let path = &format!("{APPS}/deployments/web");
    cluster.create(&format!("{APPS}/deployments"), &workload("Deployment", 2));
    cluster.pass(seconds(5));
    cluster.patch(path, &json!({"spec": {"paused": true, "template": template("web:2")}}));
    cluster.pass(seconds(5));
    assert_eq!(cluster.list(&format!("{APPS}/replicasets")).len(), 1);
    cluster.patch(path, &json!({"spec": {"replicas": 4}}));
    cluster.pass(seconds(5));
    assert_eq!(cluster.get(path)["status"]["replicas"], 4);
    let conditions = cluster.get(path)["status"]["conditions"].clone();
    assert!(conditions.as_array().unwrap().iter().any(|it| it["reason"] == "DeploymentPaused"));
    cluster.patch(path, &json!({"spec": {"paused": false}}));
    cluster.pass(seconds(20));
    assert_eq!(cluster.get(path)["status"]["updatedReplicas"], 4);
    assert_eq!(cluster.health(path, "apps", "Deployment"), "Healthy");
}

#[test]
fn what_is_deleted_goes_with_all_that_belongs_to_it() {
    for policy in ["Background", "Foreground"] {
        let mut cluster = Cluster::all();
        cluster.create(&format!("{APPS}/deployments"), &workload("Deployment", 3));
        cluster.pass(seconds(5));
        let path = format!("{APPS}/deployments/web?propagationPolicy={policy}");
        cluster.ask(Method::DELETE, &path, "", &Value::Null);
        cluster.pass(seconds(5));
        for path in [format!("{APPS}/deployments"), format!("{APPS}/replicasets"), format!("{CORE}/pods")] {
            assert!(cluster.list(&path).is_empty(), "{policy}: {path}");
        }
    }
}

#[test]
fn stateful_sets_go_one_pod_at_a_time() {
    let mut cluster = Cluster::all();
    let mut object = workload("StatefulSet", 3);
    object["spec"]["serviceName"] = "web".into();
    object["spec"]["volumeClaimTemplates"] = json!([{
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }]);
    let path = &format!("{APPS}/statefulsets/web");
    cluster.create(&format!("{APPS}/statefulsets"), &object);
    let mut most_waiting = 0;
    let waiting = |cluster: &mut Cluster| {
        let pods = cluster.list(&format!("{CORE}/pods"));
        pods.iter().filter(|pod| pod["status"]["phase"] == "Pending").count()
    };
    cluster.watch(seconds(20), |cluster| most_waiting = most_waiting.max(waiting(cluster)));
    assert_eq!(most_waiting, 1);
    assert_eq!(cluster.health(path, "apps", "StatefulSet"), "Healthy");
    let names = |cluster: &mut Cluster, path: &str| -> Vec<String> {
        cluster.list(path).iter().map(|it| it["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&mut cluster, &format!("{CORE}/pods")), ["web-0", "web-1", "web-2"]);
    let claims = cluster.list(&format!("{CORE}/persistentvolumeclaims"));
    assert_eq!(claims.len(), 3);
    assert!(
        claims
            .iter()
            .all(|claim| claim["status"]["phase"] == "Bound" && claim["status"]["capacity"]["storage"] == "1Gi")
    );
    let before = cluster.get(path)["status"].clone();
    assert_eq!(before["currentRevision"], before["updateRevision"]);

    cluster.patch(path, &json!({"spec": {"template": template("web:2")}}));
    cluster.watch(seconds(30), |cluster| {
        let pods = cluster.list(&format!("{CORE}/pods"));
        assert!(pods.len() >= 2, "more than one pod is missing");
    });
    let after = cluster.get(path)["status"].clone();
    assert_eq!(after["currentRevision"], after["updateRevision"]);
    assert_ne!(after["currentRevision"], before["currentRevision"]);
    assert_eq!(after["currentReplicas"], 3);
    assert!(cluster.list(&format!("{CORE}/pods")).iter().all(|pod| pod["spec"]["containers"][0]["image"] == "web:2"));
    assert_eq!(cluster.list(&format!("{APPS}/controllerrevisions")).len(), 2);

    cluster.patch(path, &json!({"spec": {"replicas": 1}}));
    cluster.pass(seconds(20));
    assert_eq!(names(&mut cluster, &format!("{CORE}/pods")), ["web-0"]);
    // Claims stay; one that is deleted goes when no pod uses it.
    cluster.ask(Method::DELETE, &format!("{CORE}/persistentvolumeclaims/data-web-2"), "", &Value::Null);
    cluster.ask(Method::DELETE, &format!("{CORE}/persistentvolumeclaims/data-web-0"), "", &Value::Null);
    cluster.pass(seconds(5));
    assert_eq!(names(&mut cluster, &format!("{CORE}/persistentvolumeclaims")), ["data-web-0", "data-web-1"]);
    assert_eq!(cluster.list("/api/v1/persistentvolumes").len(), 2);
}

#[test]
fn daemon_sets_are_on_every_node() {
    let mut cluster = Cluster::new(Controllers { nodes: 3, ..Controllers::all() });
    let path = &format!("{APPS}/daemonsets/web");
    cluster.create(&format!("{APPS}/daemonsets"), &workload("DaemonSet", 0));
    cluster.pass(seconds(5));
    assert_eq!(cluster.health(path, "apps", "DaemonSet"), "Healthy");
    assert_eq!(cluster.get(path)["status"]["desiredNumberScheduled"], 3);
    let mut nodes: Vec<_> = cluster
        .list(&format!("{CORE}/pods"))
        .iter()
        .map(|pod| pod["spec"]["nodeName"].as_str().unwrap().to_owned())
        .collect();
    nodes.sort();
    assert_eq!(nodes, ["node-1", "node-2", "node-3"]);
    cluster.patch(path, &json!({"spec": {"template": template("web:2")}}));
    cluster.pass(seconds(1));
    assert_eq!(cluster.health(path, "apps", "DaemonSet"), "Progressing");
    cluster.pass(seconds(20));
    assert_eq!(cluster.health(path, "apps", "DaemonSet"), "Healthy");
    assert!(cluster.list(&format!("{CORE}/pods")).iter().all(|pod| pod["spec"]["containers"][0]["image"] == "web:2"));
}

#[test]
fn jobs_come_to_an_end() {
    let job = |annotations: Value| {
        let mut template = template("task:1");
        template["spec"]["restartPolicy"] = "Never".into();
        json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "task", "annotations": annotations},
            "spec": {"completions": 4, "parallelism": 2, "backoffLimit": 1, "template": template},
        })
    };
    let path = &format!("{BATCH}/jobs/task");
    let mut cluster = Cluster::all();
    cluster.create(&format!("{BATCH}/jobs"), &job(json!({})));
    cluster.pass(SignedDuration::from_millis(800));
    assert_eq!(cluster.get(path)["status"]["active"], 2);
    cluster.pass(seconds(20));
    let status = cluster.get(path)["status"].clone();
    assert_eq!((status["succeeded"].clone(), status["completionTime"].is_string()), (json!(4), true));
    assert_eq!(cluster.health(path, "batch", "Job"), "Healthy");
    assert!(cluster.list(&format!("{CORE}/pods")).iter().all(|pod| pod["status"]["phase"] == "Succeeded"));

    let mut cluster = Cluster::all();
    cluster.create(&format!("{BATCH}/jobs"), &job(json!({FAIL: "CrashLoopBackOff"})));
    cluster.pass(seconds(20));
    assert_eq!(cluster.health(path, "batch", "Job"), "Degraded");
    let reasons = cluster.get(path)["status"]["conditions"].clone();
    assert!(reasons.as_array().unwrap().iter().all(|it| it["reason"] == "BackoffLimitExceeded"));
}

#[test]
fn load_balancers_and_ingresses_get_an_address() {
    let mut cluster = Cluster::all();
    let service = |name: &str, kind: &str| json!({"metadata": {"name": name}, "spec": {"type": kind, "ports": [{"port": 80}], "selector": {"app": "web"}}});
    cluster.create(&format!("{CORE}/services"), &service("a", "LoadBalancer"));
    cluster.create(&format!("{CORE}/services"), &service("b", "LoadBalancer"));
    cluster.create(&format!("{CORE}/services"), &service("c", "ClusterIP"));
    cluster.pass(seconds(1));
    let address = |cluster: &mut Cluster, name: &str| {
        cluster.get(&format!("{CORE}/services/{name}")).pointer("/status/loadBalancer/ingress/0/ip").cloned()
    };
    let (a, b) = (address(&mut cluster, "a").unwrap(), address(&mut cluster, "b").unwrap());
    assert_ne!(a, b);
    assert_eq!(address(&mut cluster, "c"), None);
}

/// All that there is of some resources.
fn state(cluster: &mut Cluster) -> String {
    let paths =
        ["deployments", "replicasets", "statefulsets", "controllerrevisions"].map(|name| format!("{APPS}/{name}"));
    let more = ["pods", "persistentvolumeclaims"].map(|name| format!("{CORE}/{name}"));
    paths.iter().chain(&more).map(|path| cluster.get(path).to_string()).collect()
}

#[test]
fn it_does_not_matter_how_often_the_server_is_woken() {
    let run = |step: SignedDuration| {
        let mut cluster = Cluster::all();
        cluster.create(&format!("{APPS}/deployments"), &workload("Deployment", 4));
        cluster.create(&format!("{APPS}/statefulsets"), &workload("StatefulSet", 2));
        for _ in 0..(10_000 / step.as_millis()) {
            cluster.pass(step);
        }
        cluster.patch(&format!("{APPS}/deployments/web"), &json!({"spec": {"template": template("web:2")}}));
        for _ in 0..(30_000 / step.as_millis()) {
            cluster.pass(step);
        }
        state(&mut cluster)
    };
    let fine = run(SignedDuration::from_millis(5));
    assert!(fine == run(SignedDuration::from_millis(1000)) && fine == run(SignedDuration::from_millis(10_000)));
}

#[test]
fn controllers_that_are_off_do_nothing() {
    let mut cluster = Cluster::new(Controllers { deployments: true, ..Controllers::default() });
    cluster.create(&format!("{APPS}/deployments"), &workload("Deployment", 2));
    cluster.pass(seconds(5));
    assert_eq!(cluster.list(&format!("{APPS}/replicasets")).len(), 1);
    assert!(cluster.list(&format!("{CORE}/pods")).is_empty());
    let mut cluster = Cluster::new(Controllers::default());
    cluster.create(&format!("{APPS}/deployments"), &workload("Deployment", 2));
    assert_eq!(cluster.server.next_wake(), None);
}
