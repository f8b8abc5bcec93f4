//! What `deploy/` promises: it parses, hangs together, fits the program, and asks for no right that is not needed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::commands::driftless;

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push(path);
        }
    }
}

fn documents(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every object in a folder of `deploy/`.
fn objects(folder: &str) -> Vec<Value> {
    let mut paths = Vec::new();
    files(&deploy().join(folder), &mut paths);
    paths.sort();
    let manifests = paths.iter().flat_map(|path| documents(path));
    manifests.filter(|object| object["kind"].is_string() && object["metadata"].is_object()).collect()
}

fn the(kind: &str) -> Value {
    let mut found = objects("base");
    found.retain(|object| object["kind"] == kind);
    assert_eq!(found.len(), 1, "{kind}");
    found.remove(0)
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().map(|values| values.iter().map(|value| value.as_str().unwrap()).collect()).unwrap_or_default()
}

#[test]
fn every_file_parses_and_belongs_to_a_kustomization() {
    let mut paths = Vec::new();
    files(&deploy(), &mut paths);
    let mut listed = BTreeSet::new();
    for path in paths.iter().filter(|path| path.ends_with("kustomization.yaml")) {
        let folder = path.parent().unwrap();
        let kustomization = &documents(path)[0];
        let generated = kustomization["configMapGenerator"].as_array().into_iter().flatten();
        let generated = generated.flat_map(|generator| strings(&generator["files"]));
        let named = strings(&kustomization["resources"]).into_iter().chain(generated);
        for name in named {
            let named = folder.join(name);
            let target = if named.is_dir() { named.join("kustomization.yaml") } else { named };
            let target = target.canonicalize().unwrap_or_else(|_| panic!("{} names {name}", path.display()));
            listed.insert(target);
        }
    }
    for path in &paths {
        assert!(!documents(path).is_empty(), "{} is empty", path.display());
        let used = listed.contains(&path.canonicalize().unwrap()) || path.ends_with("kustomization.yaml");
        assert!(used, "no kustomization names {}", path.display());
    }
}

#[test]
fn the_base_may_deploy_nothing() {
    let objects = objects("base").into_iter().chain(objects("components")).collect::<Vec<_>>();
    let mut rules = 0;
    for object in &objects {
        let kind = object["kind"].as_str().unwrap();
        assert!(!kind.starts_with("ClusterRole"), "{kind} is for overlays");
        if kind == "RoleBinding" {
            assert_eq!(object["roleRef"]["kind"], "Role");
        }
        for rule in object["rules"].as_array().into_iter().flatten() {
            rules += 1;
            let verbs = strings(&rule["verbs"]);
            let resources = strings(&rule["resources"]);
            assert!(!verbs.contains(&"*") && !resources.contains(&"*") && !strings(&rule["apiGroups"]).contains(&"*"));
            assert!(
                !verbs.contains(&"delete") && !verbs.contains(&"impersonate") && !verbs.contains(&"escalate"),
                "{rule}"
            );
            if resources.contains(&"leases") && verbs != ["create"] {
                assert_eq!(strings(&rule["resourceNames"]), ["driftless"]);
            }
        }
    }
    assert!(rules > 6, "the rules have moved");
}

#[test]
fn the_reader_reads_only() {
    let objects = objects("overlays/reader");
    let rules: Vec<&Value> = objects.iter().filter_map(|object| object["rules"].as_array()).flatten().collect();
    assert_eq!(rules.len(), 1);
    assert_eq!(strings(&rules[0]["verbs"]), ["get", "list", "watch"]);
}

#[test]
fn pods_are_confined() {
    let pod = &the("StatefulSet")["spec"]["template"]["spec"];
    let context = &pod["securityContext"];
    assert_eq!(
        (&context["runAsNonRoot"], &context["seccompProfile"]["type"]),
        (&true.into(), &"RuntimeDefault".into())
    );
    assert!(context["runAsUser"].as_u64().unwrap() > 0);
    for container in pod["containers"].as_array().unwrap() {
        let context = &container["securityContext"];
        assert_eq!(context["readOnlyRootFilesystem"], true);
        assert_eq!(context["allowPrivilegeEscalation"], false);
        assert_eq!(strings(&context["capabilities"]["drop"]), ["ALL"]);
        assert!(context["capabilities"]["add"].is_null() && context["privileged"].is_null());
    }
    assert!(pod["hostNetwork"].is_null() && pod["hostPID"].is_null());
}

#[test]
fn replicas_stand_in_for_each_other() {
    let set = the("StatefulSet");
    assert_eq!(set["spec"]["replicas"], 2);
    assert!(set["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"].is_object());
    assert_eq!(set["spec"]["volumeClaimTemplates"][0]["metadata"]["name"], "data");
    let labels = &set["spec"]["template"]["metadata"]["labels"];
    assert_eq!(&the("PodDisruptionBudget")["spec"]["selector"]["matchLabels"], labels);
    assert_eq!(&the("Service")["spec"]["selector"], labels);
    assert_eq!(the("PodDisruptionBudget")["spec"]["maxUnavailable"], 1);
}

#[test]
fn the_lease_has_a_priority_of_its_own() {
    let flow = &the("FlowSchema")["spec"];
    assert_eq!(flow["priorityLevelConfiguration"]["name"], "leader-election");
    let subject = &flow["rules"][0]["subjects"][0]["serviceAccount"];
    assert_eq!((&subject["name"], &subject["namespace"]), (&"driftless".into(), &"driftless".into()));
    assert_eq!(the("ServiceAccount")["metadata"]["name"], "driftless");
    assert_eq!(the("Namespace")["metadata"]["name"], "driftless");
}

/// What the manifests pass to the program is what it takes: a flag or key that was renamed fails here.
#[test]
fn arguments_and_settings_fit_the_program() {
    let set = the("StatefulSet");
    let container = &set["spec"]["template"]["spec"]["containers"][0];
    let mut args = strings(&container["args"]);
    let overlay = documents(&deploy().join("components/argocd/kustomization.yaml"));
    let patch: Vec<Value> = serde_saphyr::from_str(overlay[0]["patches"][0]["patch"].as_str().unwrap()).unwrap();
    args.extend(patch.iter().map(|operation| operation["value"].as_str().unwrap()));
    let command = driftless::cli::command();
    command.clone().try_get_matches_from(["driftless"].iter().chain(&args)).unwrap();
    for probe in ["livenessProbe", "readinessProbe"] {
        command.clone().try_get_matches_from(strings(&container[probe]["exec"]["command"])).unwrap();
    }

    let run = command.find_subcommand("run").unwrap().clone();
    let run = driftless::runtime::settings::with_defaults(run, &deploy().join("base/settings.yaml")).unwrap();
    let data_dir = run.try_get_matches_from(["run"]).unwrap().get_one::<PathBuf>("data_dir").cloned().unwrap();
    let mounts = container["volumeMounts"].as_array().unwrap();
    let mounted = |path: &str| mounts.iter().any(|mount| mount["mountPath"] == path);
    assert!(mounted(data_dir.to_str().unwrap()) && mounted("/etc/driftless") && mounted("/tmp"));
}

#[test]
fn the_image_has_the_version_of_the_program() {
    let kustomization = &documents(&deploy().join("base/kustomization.yaml"))[0];
    assert_eq!(kustomization["images"][0]["newTag"], env!("CARGO_PKG_VERSION"));
    let dockerfile = fs::read_to_string(deploy().join("Dockerfile")).unwrap();
    assert!(dockerfile.contains("openssh-client") && dockerfile.contains("USER 65532:65532"));
}

#[tokio::test]
async fn the_crd_is_the_one_that_the_program_prints() {
    let printed = driftless(&["crds"]).await.succeeded();
    let documents: Vec<Value> = serde_saphyr::from_multiple(&printed).unwrap();
    assert_eq!(documents, [driftless::cluster::crd::application_crd()], "the YAML must say what the definition says");
    let written = fs::read_to_string(deploy().join("crds/applications.yaml")).unwrap();
    assert!(written == printed, "write `driftless crds` to deploy/crds/applications.yaml");
}
