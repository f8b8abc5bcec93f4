//! Built-in transformers and generators given as such, inline or by file.

use super::fields::Seen;
use super::random::Random;

/// Fields `transformers` and `generators`. The files that they name are added to `files`.
pub(super) fn transformers(random: &mut Random, seen: &Seen<'_>, files: &mut Vec<(String, String)>) -> String {
    let mut text = String::new();
    for at in 0..=random.below(2) {
        let transformer = transformer(random, seen, at);
        if random.chance(30) {
            let name = format!("transformer{}.yaml", files.len());
            text += &format!("- {name}\n");
            files.push((format!("{}/{name}", seen.folder), transformer));
        } else {
            text += &format!("- |-\n{}", indented(&transformer));
        }
    }
    let mut text = format!("transformers:\n{text}");
    if random.chance(25) {
        let generator = format!(
            "apiVersion: builtin\nkind: {}\nmetadata: {{name: made-{}}}\nliterals: [a=b, {}]\n",
            random.of(&["ConfigMapGenerator", "SecretGenerator"]),
            seen.folder,
            random.of(&["c=d", "'c=1'", "c="]),
        );
        text += &format!("generators:\n- |-\n{}", indented(&generator));
    }
    text
}

fn transformer(random: &mut Random, seen: &Seen<'_>, at: usize) -> String {
    let (kind, name) = random.element(seen.objects).map_or(("Pod", "web"), |made| (made.kind, made.name.as_str()));
    let (kind, body) = match random.below(9) {
        0 => ("PrefixTransformer", "prefix: t-\nfieldSpecs: [{path: metadata/name}]\n".to_owned()),
        1 => ("SuffixTransformer", format!("suffix: -t\nfieldSpecs: [{{kind: {kind}, path: metadata/name}}]\n")),
        2 => (
            "LabelTransformer",
            format!(
                "labels: {{by: {}}}\nfieldSpecs: [{{path: metadata/labels, create: true}}, {{kind: Deployment, path: spec/selector/matchLabels}}]\n",
                random.value()
            ),
        ),
        3 => (
            "AnnotationsTransformer",
            format!("annotations: {{by: {}}}\nfieldSpecs: [{{path: metadata/annotations, create: true}}]\n", random.value()),
        ),
        4 => {
            let options = random.of(&["", "unsetOnly: true\n", "setRoleBindingSubjects: allServiceAccounts\n", "setRoleBindingSubjects: none\n"]);
            let specs = random.of(&["", "fieldSpecs: [{path: metadata/namespace, create: true}]\n"]);
            return format!("apiVersion: builtin\nkind: NamespaceTransformer\nmetadata: {{name: t{at}, namespace: moved}}\n{options}{specs}");
        }
        5 => (
            "ImageTagTransformer",
            "imageTag: {name: app, newTag: t}\nfieldSpecs: [{path: spec/template/spec/containers/image}, {path: 'spec/containers[]/image'}]\n".to_owned(),
        ),
        6 => (
            "ReplicaCountTransformer",
            format!("replica: {{name: {name}, count: 7}}\nfieldSpecs: [{{path: spec/replicas, create: true, kind: {kind}}}]\n"),
        ),
        7 => (
            "PatchTransformer",
            format!("target: {{kind: {kind}}}\npatch: '[{{\"op\": \"add\", \"path\": \"/metadata/labels\", \"value\": {{\"p\": \"t\"}}}}]'\n"),
        ),
        _ => (
            "ReplacementTransformer",
            format!(
                "replacements:\n- source: {{kind: {kind}, name: {name}}}\n  targets: [{{select: {{kind: {kind}}}, fieldPaths: [metadata.labels.replaced], options: {{create: true}}}}]\n"
            ),
        ),
    };
    format!("apiVersion: builtin\nkind: {kind}\nmetadata: {{name: t{at}}}\n{body}")
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}
