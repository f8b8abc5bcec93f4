//! Patches of a kustomization, in all fields that take some.

use super::fields::Seen;
use super::objects::Made;
use super::random::Random;

/// Patches of both kinds, with targets and by their own id. Their files are added to `files`.
pub(super) fn patches(random: &mut Random, seen: &Seen<'_>, files: &mut Vec<(String, String)>) -> String {
    let mut items = String::new();
    for _ in 0..random.below(3) {
        let Some(made) = random.element(seen.objects) else { break };
        items += &match random.below(10) {
            0..=4 => strategic(random, made),
            5..=8 => json(random, made),
            _ => renaming(random, seen, made),
        };
    }
    let mut text = if items.is_empty() { items } else { format!("patches:\n{items}") };
    if random.chance(8)
        && let Some(made) = random.element(seen.objects)
    {
        let patch = strategic_text(random, made, &made.name);
        text += "patchesStrategicMerge:\n- merge.yaml\n";
        files.push((format!("{}/merge.yaml", seen.folder), patch));
    }
    if random.chance(8)
        && let Some(made) = random.element(seen.objects)
    {
        let (group, version) = made.api_version.split_once('/').unwrap_or(("", made.api_version));
        let operation = operation(random, made);
        files.push((format!("{}/json.yaml", seen.folder), format!("- {operation}\n")));
        text += &format!(
            "patchesJson6902:\n- target: {{group: '{group}', version: {version}, kind: {}, name: {}}}\n  path: json.yaml\n",
            made.kind, made.name
        );
    }
    text
}

/// A patch that gives an object another name or kind. Maps that are generated keep theirs: they need a hash, and of other
/// kinds kustomize hashes its parser's nodes, lines and columns included, which we refuse (`refusals.rs`). A target by
/// kind and name means them, too.
fn renaming(random: &mut Random, seen: &Seen<'_>, made: &Made) -> String {
    let target = format!("- target: {{kind: {}, name: {}}}\n", made.kind, made.name);
    let name = random.of(&["renamed", "renamed-2", "db-2"]);
    let drawn = random.of(&["Renamed", made.kind]);
    let generated = made.kind == "ConfigMap" && seen.generated.contains(&made.name);
    let kind = if generated { made.kind } else { drawn };
    match random.below(4) {
        0 => format!(
            "{target}  patch: |-\n    - {{op: replace, path: /metadata/name, value: {name}}}\n    - {{op: replace, path: /kind, value: {kind}}}\n"
        ),
        1 => format!("{target}  patch: '[{{\"op\": \"add\", \"path\": \"/metadata/name\", \"value\": \"{name}\"}}]'\n"),
        _ => {
            let options = random.of(&[
                "allowNameChange: true",
                "allowKindChange: true",
                "allowNameChange: true, allowKindChange: true",
                "",
            ]);
            format!(
                "{target}  options: {{{options}}}\n  patch: |-\n    apiVersion: {}\n    kind: {kind}\n    metadata: {{name: {name}}}\n",
                made.api_version
            )
        }
    }
}

fn strategic(random: &mut Random, made: &Made) -> String {
    let (target, name) = if random.chance(40) {
        (format!("- target: {{kind: {}}}\n  patch: |-\n", made.kind), "any".to_owned())
    } else {
        ("- patch: |-\n".to_owned(), made.name.clone())
    };
    target + &indented(&strategic_text(random, made, &name))
}

/// A strategic merge patch for an object of the kind of `made` that is called `name`.
fn strategic_text(random: &mut Random, made: &Made, name: &str) -> String {
    let namespace = made.namespace.map_or(String::new(), |namespace| format!(", namespace: {namespace}"));
    let body = match made.kind {
        "Deployment" | "StatefulSet" | "DaemonSet" => pod_patch(random),
        "Service" => "spec:\n  ports:\n  - {port: 80, name: http}\n  - {port: 443}\n".to_owned(),
        "ConfigMap" => format!("data: {{a: null, new: {}}}\n", random.value()),
        "Widget" => {
            format!("spec:\n  values: {{v0: null, new: {}}}\n  parts: [{{name: p1, weight: 9}}]\n", random.scalar())
        }
        "Role" => "rules: [{apiGroups: [apps], resources: [deployments], verbs: [list]}]\n".to_owned(),
        _ if random.chance(10) => "$patch: delete\n".to_owned(),
        _ => String::new(),
    };
    let annotation = random.value();
    format!(
        "apiVersion: {}\nkind: {}\nmetadata: {{name: {name}{namespace}, annotations: {{patched: {annotation}}}}}\n{body}",
        made.api_version, made.kind
    )
}

fn pod_patch(random: &mut Random) -> String {
    let container = random.of(&[
        "{name: main, env: [{name: B, $patch: delete}, {name: C, value: c}]}",
        "{name: side, $patch: delete}",
        "{name: new, image: app}",
        "{name: main, ports: [{containerPort: 53, protocol: TCP}, {containerPort: 8080, hostPort: 1}]}",
        "{name: main, args: [replaced], resources: {limits: {cpu: 1, memory: 1Gi}}}",
        "{name: main, env: null}",
        "{name: side, $patch: replace, image: 'replaced:1'}",
        "{name: main, $deleteFromPrimitiveList/args: [plain, '1']}",
        "{name: main, $setElementOrder/env: [{name: B}, {name: A}], env: [{name: A, value: z}]}",
        "{name: third, envFrom: [{configMapRef: {name: conf}}]}",
    ]);
    let rest = random.of(&[
        "volumes: [{name: c, emptyDir: {}, configMap: null}, {name: new, emptyDir: {}}]",
        "volumes: [{name: s, $patch: delete}]",
        "nodeSelector: {disk: ssd}",
        "tolerations: [{key: a}]",
        "serviceAccountName: null",
        "imagePullSecrets: [{name: more}]",
        "volumes: [{name: c, $retainKeys: [name, emptyDir], emptyDir: {}}]",
        "$setElementOrder/containers: [{name: side}, {name: main}]",
        "initContainers: [{name: init, $patch: delete}]",
    ]);
    format!("spec:\n  template:\n    spec:\n      containers:\n      - {container}\n      {rest}\n")
}

fn json(random: &mut Random, made: &Made) -> String {
    let target = random.of(&["kind", "name", "both"]);
    let target = match target {
        "kind" => format!("kind: {}", made.kind),
        "name" => format!("name: {}", made.name),
        _ => format!("kind: {}, name: {}", made.kind, made.name),
    };
    let operation = operation(random, made);
    let target = if target.starts_with("name") { format!("kind: {}, {target}", made.kind) } else { target };
    format!(
        "- target: {{{target}}}\n  patch: |-\n    - {operation}\n    - {{op: add, path: /metadata/annotations, value: {{by: {}}}}}\n",
        random.value()
    )
}

/// An operation of a JSON patch.
fn operation(random: &mut Random, made: &Made) -> &'static str {
    match made.kind {
        "Deployment" | "StatefulSet" | "DaemonSet" => random.of(&[
            "{op: replace, path: /spec/template/spec/containers/0/image, value: patched:1}",
            "{op: add, path: /spec/template/spec/containers/-, value: {name: last, image: app}}",
            "{op: add, path: /spec/template/spec/containers/0, value: {name: first, image: app}}",
            "{op: add, path: /spec/selector/matchLabels/json, value: '1'}",
            "{op: copy, from: /spec/selector, path: /spec/copied}",
            "{op: move, from: /spec/template/spec/containers/0/image, path: /spec/moved}",
        ]),
        "ConfigMap" => {
            random.of(&["{op: add, path: /data/c, value: '1'}", "{op: test, path: /kind, value: ConfigMap}"])
        }
        _ => random.of(&[
            "{op: add, path: /metadata/labels, value: {json: patched}}",
            "{op: add, path: /extra, value: [1, a, null, 1.50, 1e3, yes, 2001-01-01]}",
        ]),
    }
}

/// `text` as a block below a key of a list item.
fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}
