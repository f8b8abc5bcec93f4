//! Fields of a kustomization file, chosen so that most of them find what they are about.

use super::objects::{Made, NAMES, image};
use super::random::Random;

/// What a kustomization can see: the objects of its own and of its bases, with the names that they began with.
pub(super) struct Seen<'a> {
    pub(super) folder: &'a str,
    pub(super) objects: &'a [Made],
    /// Maps that a base generates.
    pub(super) generated: &'a [String],
}

/// Names, namespaces, labels, annotations, images and replicas.
pub(super) fn simple(random: &mut Random, seen: &Seen<'_>) -> String {
    let mut text = String::new();
    if random.chance(35) {
        text += &format!("namePrefix: {}\n", random.of(&["a-", "dev-", "x"]));
    }
    if random.chance(25) {
        text += &format!("nameSuffix: {}\n", random.of(&["-z", "-v2"]));
    }
    if random.chance(30) {
        text += &format!("namespace: {}\n", random.of(&["shop", "one", "default"]));
    }
    if random.chance(20) {
        text += &format!("commonLabels: {{team: {}}}\n", random.value());
    }
    if random.chance(30) {
        let flag = random.of(&[
            "",
            ", includeSelectors: true",
            ", includeTemplates: true",
            ", includeVolumeClaimTemplates: true",
        ]);
        text += &format!("labels: [{{pairs: {{part: {}, tier: {}}}{flag}}}]\n", random.value(), random.value());
    }
    if random.chance(25) {
        text += &format!("commonAnnotations: {{note: {}, other: {}}}\n", random.value(), random.value());
    }
    if random.chance(35) {
        text += &images(random);
    }
    let scalable = |made: &&Made| matches!(made.kind, "Deployment" | "StatefulSet");
    let scalable: Vec<_> = seen.objects.iter().filter(scalable).collect();
    if random.chance(25)
        && let Some(made) = random.element(&scalable)
    {
        text += &format!("replicas: [{{name: {}, count: {}}}]\n", made.name, random.below(9));
    }
    text
}

fn images(random: &mut Random) -> String {
    let mut text = String::from("images:\n");
    for _ in 0..=random.below(2) {
        let name = image(random).split(['@']).next().unwrap_or_default();
        let name = name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or(name, |(name, _)| name);
        let change = random.of(&[
            "newTag: v9",
            "newTag: '8'",
            "newName: mirror.example/app",
            "newName: app2, newTag: x",
            "digest: 'sha256:ff'",
            "newTag: '1.0', tagSuffix: -b",
            "tagSuffix: -c",
        ]);
        text += &format!("- {{name: {name}, {change}}}\n");
    }
    text
}

/// Patches of both kinds, with targets and by their own id.
pub(super) fn patches(random: &mut Random, seen: &Seen<'_>) -> String {
    let mut items = String::new();
    for _ in 0..random.below(3) {
        let Some(made) = random.element(seen.objects) else { break };
        items += &if random.chance(50) { strategic(random, made) } else { json(random, made) };
    }
    if items.is_empty() { items } else { format!("patches:\n{items}") }
}

fn strategic(random: &mut Random, made: &Made) -> String {
    let namespace = made.namespace.map_or(String::new(), |namespace| format!(", namespace: {namespace}"));
    let (target, name) = if random.chance(40) {
        (format!("- target: {{kind: {}}}\n  patch: |-\n", made.kind), "any".to_owned())
    } else {
        ("- patch: |-\n".to_owned(), made.name.clone())
    };
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
    let text = format!(
        "apiVersion: {}\nkind: {}\nmetadata: {{name: {name}{namespace}, annotations: {{patched: {annotation}}}}}\n{body}",
        made.api_version, made.kind
    );
    target + &indented(&text)
}

fn pod_patch(random: &mut Random) -> String {
    let container = random.of(&[
        "{name: main, env: [{name: B, $patch: delete}, {name: C, value: c}]}",
        "{name: side, $patch: delete}",
        "{name: new, image: app}",
        "{name: main, ports: [{containerPort: 53, protocol: TCP}, {containerPort: 8080, hostPort: 1}]}",
        "{name: main, args: [replaced], resources: {limits: {cpu: 1, memory: 1Gi}}}",
        "{name: main, env: null}",
    ]);
    let rest = random.of(&[
        "volumes: [{name: c, emptyDir: {}, configMap: null}, {name: new, emptyDir: {}}]",
        "volumes: [{name: s, $patch: delete}]",
        "nodeSelector: {disk: ssd}",
        "tolerations: [{key: a}]",
        "serviceAccountName: null",
        "imagePullSecrets: [{name: more}]",
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
    let operation = match made.kind {
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
            "{op: add, path: /extra, value: [1, a, null]}",
        ]),
    };
    let target = if target.starts_with("name") { format!("kind: {}, {target}", made.kind) } else { target };
    format!(
        "- target: {{{target}}}\n  patch: |-\n    - {operation}\n    - {{op: add, path: /metadata/annotations, value: {{by: {}}}}}\n",
        random.value()
    )
}

/// `text` as a block below a key of a list item.
fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

/// Generated maps and secrets: new ones, and changes to those of the bases. Their names are added to `made`.
pub(super) fn generators(random: &mut Random, seen: &Seen<'_>, made: &mut Vec<String>) -> String {
    let mut maps = String::new();
    for _ in 0..random.below(3) {
        let name = random.of(&NAMES);
        let taken = |kind: &str| seen.objects.iter().any(|object| object.kind == kind && object.name == name);
        if made.iter().chain(seen.generated).any(|other| other == name) || taken("ConfigMap") {
            continue;
        }
        made.push(name.to_owned());
        maps += &format!("- name: {name}\n{}", sources(random));
    }
    if let Some(name) = random.element(seen.generated).filter(|name| !made.contains(name)) {
        let behaviour = random.of(&["merge", "replace"]);
        maps += &format!("- name: {name}\n  behavior: {behaviour}\n{}", sources(random));
    }
    let mut text = if maps.is_empty() { maps } else { format!("configMapGenerator:\n{maps}") };
    if random.chance(25) {
        text += &format!(
            "secretGenerator:\n- name: secret-{}\n  type: {}\n{}",
            seen.folder,
            random.of(&["Opaque", "x/y"]),
            sources(random)
        );
    }
    if random.chance(20) {
        text += random.of(&[
            "generatorOptions: {disableNameSuffixHash: true}\n",
            "generatorOptions: {labels: {generated: 'true'}, immutable: true}\n",
            "generatorOptions: {annotations: {note: by kustomize}}\n",
        ]);
    }
    text
}

fn sources(random: &mut Random) -> String {
    let mut text = String::from("  literals:\n");
    for at in 0..=random.below(3) {
        let value: String = serde_json::from_str(&random.value()).unwrap();
        text += &format!("  - {}\n", serde_json::to_string(&format!("key{at}={value}")).unwrap());
    }
    if random.chance(30) {
        text += "  files: [file.txt, renamed=file.txt]\n";
    }
    if random.chance(20) {
        text += "  envs: [file.env]\n";
    }
    text
}

/// Replacements between objects that are there.
pub(super) fn replacements(random: &mut Random, seen: &Seen<'_>) -> String {
    let (Some(source), Some(target)) = (random.element(seen.objects), random.element(seen.objects)) else {
        return String::new();
    };
    let source = match random.below(3) {
        0 => format!("sourceValue: {}", random.value()),
        _ => format!(
            "source: {{kind: {}, name: {}, fieldPath: {}}}",
            source.kind,
            source.name,
            random.of(&["metadata.name", "kind"])
        ),
    };
    let (path, options) = match (target.kind, random.below(3)) {
        ("Deployment" | "StatefulSet", 0) => {
            ("'spec.template.spec.containers.[name=main].image'", "delimiter: ':', index: 0")
        }
        ("Deployment" | "StatefulSet", 1) => ("'spec.template.spec.containers.*.workingDir'", "create: true"),
        ("ConfigMap", 0) => ("metadata.name", "delimiter: '-', index: 1"),
        _ => ("metadata.annotations.replaced", "create: true"),
    };
    format!(
        "replacements:\n- {source}\n  targets: [{{select: {{kind: {}}}, fieldPaths: [{path}], options: {{{options}}}}}]\n",
        target.kind
    )
}

/// A variable, and what makes it reach custom resources.
pub(super) fn variables(random: &mut Random, seen: &Seen<'_>) -> String {
    let Some(object) = random.element(seen.objects) else { return String::new() };
    let namespace = object.namespace.map_or(String::new(), |namespace| format!(", namespace: {namespace}"));
    format!(
        "vars:\n- {{name: NAME, objref: {{apiVersion: {}, kind: {}, name: {}{namespace}}}}}\n",
        object.api_version, object.kind, object.name
    )
}

/// Fields that only count in the outermost kustomization.
pub(super) fn outermost(random: &mut Random) -> String {
    let mut text = String::new();
    if random.chance(30) {
        text += random.of(&[
            "sortOptions: {order: fifo}\n",
            "sortOptions: {order: legacy}\n",
            "sortOptions: {order: legacy, legacySortOptions: {orderFirst: [Widget, Service], orderLast: [ConfigMap]}}\n",
        ]);
    }
    if random.chance(25) {
        text += random.of(&[
            "buildMetadata: [originAnnotations]\n",
            "buildMetadata: [transformerAnnotations]\n",
            "buildMetadata: [managedByLabel, originAnnotations, transformerAnnotations]\n",
        ]);
    }
    text
}
