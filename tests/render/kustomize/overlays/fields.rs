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
            ", fields: [{kind: Widget, path: spec/labels, create: true}]",
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
    let mut text = String::new();
    for _ in 0..=random.below(2) {
        text += &replacement(random, seen);
    }
    if text.is_empty() { text } else { format!("replacements:\n{text}") }
}

/// A field of an object to copy from, and options that take a part of it.
fn source_field(random: &mut Random, kind: &str) -> (&'static str, &'static str) {
    let path = match kind {
        "ConfigMap" => random.of(&["data", "data.a", "metadata.name"]),
        "Widget" => random.of(&["spec.values", "spec.image", "spec.parts.0", "spec.parts.[name=p0].weight"]),
        "Deployment" => random.of(&["spec.selector", "spec.template.spec.containers.0.image", "metadata.name"]),
        _ => random.of(&["metadata.name", "kind"]),
    };
    let options = match path {
        "data" | "spec.values" | "spec.parts.0" | "spec.selector" => "",
        _ => random.of(&["", "", ", options: {delimiter: ':'}", ", options: {delimiter: '-', index: 0}"]),
    };
    (path, options)
}

fn replacement(random: &mut Random, seen: &Seen<'_>) -> String {
    let (Some(source), Some(target)) = (random.element(seen.objects), random.element(seen.objects)) else {
        return String::new();
    };
    let (path, options) = source_field(random, source.kind);
    let source = match random.below(3) {
        0 => format!("sourceValue: {}", random.value()),
        _ => format!("source: {{kind: {}, name: {}, fieldPath: '{path}'{options}}}", source.kind, source.name),
    };
    let (path, options) = match (target.kind, random.below(5)) {
        ("Deployment" | "StatefulSet", 0) => {
            ("'spec.template.spec.containers.[name=main].image'", "delimiter: ':', index: 0")
        }
        ("Deployment" | "StatefulSet", 1) => ("'spec.template.spec.containers.*.workingDir'", "create: true"),
        ("Deployment" | "StatefulSet", 2) => ("'spec.template.spec.containers.[name=new].image'", "create: true"),
        ("ConfigMap", 0) => ("metadata.name", "delimiter: '-', index: 1"),
        ("ConfigMap", 1) => (r"'data.config\.json.deep.host', data.b", "create: true"),
        ("ConfigMap", 2) => (r"'data.config\.json.list.*'", "delimiter: '-', index: -1"),
        ("ConfigMap", 3) => {
            let path = random.of(&[
                r"'data.config\.yaml.server.host'",
                r"'data.config\.yaml.server.made.deep'",
                r"'data.config\.yaml.other', 'data.config\.yaml.flow.z'",
                r"'data.config\.yaml.server.names.1'",
                r"'data.config\.yaml.server.names.*'",
            ]);
            (path, random.of(&["create: true", "create: true", "delimiter: '-', index: 3"]))
        }
        ("Widget", 0) => ("spec.values.made, spec.text", "create: true"),
        ("Widget", 1) => ("'spec.parts.*.name'", "delimiter: 'p', index: 2"),
        _ => ("metadata.annotations.replaced", "create: true"),
    };
    let select = match random.below(4) {
        0 => format!("kind: {}, name: {}", target.kind, target.name),
        1 => format!("kind: {}, labelSelector: 'app in (web,db)'", target.kind),
        _ => format!("kind: {}", target.kind),
    };
    let reject = if random.chance(20) { format!(", reject: [{{name: {}}}]", random.of(&NAMES)) } else { String::new() };
    format!("- {source}\n  targets: [{{select: {{{select}}}{reject}, fieldPaths: [{path}], options: {{{options}}}}}]\n")
}

/// A variable, and what makes it reach custom resources.
pub(super) fn variables(random: &mut Random, seen: &Seen<'_>) -> String {
    let Some(object) = random.element(seen.objects) else { return String::new() };
    let namespace = object.namespace.map_or(String::new(), |namespace| format!(", namespace: {namespace}"));
    format!(
        "vars:\n- {{name: {}, objref: {{apiVersion: {}, kind: {}, name: {}{namespace}}}{}}}\n",
        if seen.folder == "layer0" { "NAME" } else { seen.folder },
        object.api_version,
        object.kind,
        object.name,
        random.of(&["", ", fieldref: {fieldpath: metadata.name}", ", fieldref: {fieldpath: kind}"]),
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
