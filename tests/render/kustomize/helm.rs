//! Helm charts in kustomizations. The `helm` of these tests is a script that prints how it was called, so that the outputs
//! show whether we call it as the real kustomize does.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::program::{run, tool};

/// Prints its arguments, with the content of those that are files, as one object, and another one beside it.
const HELM: &str = r#"#!/bin/sh
PATH=/usr/bin:/bin
[ "$1" = version ] && { echo v3.14.0+gfake; exit 0; }
[ -f "$3/fail" ] && { echo "no such value" >&2; exit 1; }
[ -f "$3/notes" ] && printf 'a note\n---\n'
release=$2
[ "$release" = --generate-name ] && release=generated
printf 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: call-%s\n  namespace: chart\ndata:\n' "$release"
number=0
for argument; do
  number=$((number + 1))
  case $argument in
    /*) printf "  a$number: path %s\n" "$(basename "$argument")"
      if [ -f "$argument" ]; then
        printf "  c$number: |\n"
        sed 's/^/    /' "$argument"
      else
        printf "  c$number: '%s'\n" "$(cd "$argument" && find . -type f | LC_ALL=C sort | tr '\n' ' ')"
      fi ;;
    *) printf "  a$number: '%s'\n" "$argument" ;;
  esac
done
printf -- '---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web-%s, annotations: {a: b}}\n' "$release"
"#;

const VALUES: &str =
    "# about it\nreplicas: 1 # one\nimage: {name: web, tag: \"1.0\"}\nargs: [a, b]\nempty: {}\nnothing:\n";

struct Folder(tempfile::TempDir);

impl Folder {
    /// A repository with a chart in `app/charts`, and these files.
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("helm", HELM);
        fs::set_permissions(folder.path("helm"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(folder.path(".git")).unwrap();
        folder.write("app/charts/web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n");
        folder.write("app/charts/web/values.yaml", VALUES);
        folder.write("app/charts/web/templates/web.yaml", "kind: {{ .Values.kind }}\n");
        for (path, text) in files {
            folder.write(path, text);
        }
        folder
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn flags(&self) -> Vec<String> {
        let helm = self.path("helm").to_str().unwrap().to_owned();
        vec!["--enable-helm".to_owned(), "--helm-command".to_owned(), helm]
    }

    fn theirs(&self, build: &str) -> Result<String, String> {
        run(&tool("kustomize"), self.0.path(), build, &self.flags())
    }

    fn ours(&self, build: &str) -> Result<String, String> {
        self.driftless(build, &self.flags())
    }

    fn driftless(&self, build: &str, flags: &[String]) -> Result<String, String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_driftless"));
        command.args(["build", build]).args(flags).current_dir(self.0.path()).env("PASSWORD", "hunter2");
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }
}

const ALL: &str = "\
helmCharts:
- name: web
  releaseName: shop
  namespace: prod
  nameTemplate: x-y
  valuesFile: own.yaml
  additionalValuesFiles: [more.yaml, below/more.yaml]
  apiVersions: [v1, apps/v1]
  kubeVersion: '1.30'
  includeCRDs: true
  skipHooks: true
  skipTests: true
  debug: true
  devel: true
";
const INLINE: &str = "{replicas: 3, image: {tag: 2.0, pull: Always}, args: [c], empty: null, more: {deep: [{x: 'yes', y: 1e3}]}, off: 'off'}";

#[test]
fn charts_are_called_for_as_the_program_calls_for_them() {
    let overlay = "resources: [../app]\nnamespace: outer\nnamePrefix: x-\n";
    let generator = "apiVersion: builtin\nkind: HelmChartInflationGenerator\nmetadata: {name: any}\nname: web\nreleaseName: made\nvaluesInline: {a: b}\n";
    let cases: Vec<(&str, String)> = vec![
        ("app", "helmCharts: [{name: web}]\n".into()),
        ("app", ALL.into()),
        ("app", format!("helmCharts: [{{name: web, valuesInline: {INLINE}}}]\n")),
        ("app", format!("helmCharts: [{{name: web, valuesInline: {INLINE}, valuesMerge: override, valuesFile: own.yaml}}]\n")),
        ("app", format!("helmCharts: [{{name: web, valuesInline: {INLINE}, valuesMerge: merge}}]\n")),
        ("app", format!("helmCharts: [{{name: web, valuesInline: {INLINE}, valuesMerge: replace}}]\n")),
        ("app", "helmCharts: [{name: web, valuesInline: {}, valuesMerge: replace}]\n".into()),
        ("app", "helmGlobals: {chartHome: others}\nhelmCharts: [{name: web}]\n".into()),
        ("app", "helmCharts: [{name: web, version: 2.0.0, repo: 'https://charts.example'}]\n".into()),
        ("app", "namespace: own\nhelmCharts: [{name: web}, {name: web, releaseName: b, namespace: c}]\n".into()),
        ("overlay", "helmCharts: [{name: web}]\nresources: [plain.yaml]\n".into()),
        ("overlay", "namespace: own\nhelmCharts: [{name: web}]\n".into()),
        ("app", "helmChartInflationGenerator:\n- {chartName: web, releaseName: old, chartHome: others, values: own.yaml, extraArgs: [--x]}\n- {chartName: web, valuesLocal: {a: b}}\n".into()),
        ("app", "helmGlobals: {configHome: x}\nhelmChartInflationGenerator: [{chartName: web, chartHome: others, helmHome: z}]\n".into()),
        ("app", "generators: [generator.yaml]\nnamespace: own\n".into()),
        ("app", "buildMetadata: [originAnnotations, transformerAnnotations]\ngenerators: [generator.yaml]\nhelmCharts: [{name: web}]\ncommonLabels: {a: b}\n".into()),
        ("app", "helmCharts: [{name: web, releaseName: a}]\npatches: [{patch: '{apiVersion: apps/v1, kind: Deployment, metadata: {name: web-a}, spec: {replicas: 2}}'}]\n".into()),
    ];
    for (build, kustomization) in cases {
        let folder = Folder::new(&[
            ("app/kustomization.yaml", &kustomization),
            ("app/own.yaml", "own: values\nreplicas: 9\n"),
            ("app/more.yaml", "more: 1\n"),
            ("app/below/more.yaml", "more: 2\n"),
            ("app/generator.yaml", generator),
            ("app/plain.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: plain}\n"),
            ("app/others/web/values.yaml", "other: true\n"),
            ("app/charts/web-2.0.0/web/values.yaml", "version: two\n"),
            ("overlay/kustomization.yaml", overlay),
        ]);
        let theirs = folder.theirs(build).unwrap_or_else(|error| panic!("{kustomization}: {error}"));
        let ours = folder.ours(build).unwrap_or_else(|error| panic!("{kustomization}: {error}"));
        assert_eq!(ours, theirs, "{kustomization}");
        assert!(ours.contains("call-") && !ours.contains("helm-generated"), "{ours}");
    }
}

#[test]
fn charts_that_can_not_be_rendered_are_errors_that_name_file_and_field() {
    let cases = [
        ("helmCharts: [{name: none}]\n", "helmCharts[0].name: there is no chart in `app/charts/none`"),
        ("helmCharts: [{name: web}, {name: '-web'}]\n", "helmCharts[1].name: it must not begin with `-`"),
        ("helmCharts: [{name: web, releaseName: '--post-renderer=x'}]\n", "helmCharts[0].releaseName"),
        ("helmCharts: [{name: web, valuesMerge: both, valuesInline: {a: b}}]\n", "helmCharts[0].valuesMerge"),
        ("helmCharts: [{name: web, valuesFile: none.yaml}]\n", "helmCharts[0].valuesFile: there is no file"),
        (
            "helmCharts: [{name: web, valuesFile: ../above.yaml}]\n",
            "helmCharts[0].valuesFile: `above.yaml` is not in or below",
        ),
        (
            "helmCharts: [{name: web, additionalValuesFiles: [../above.yaml]}]\n",
            "helmCharts[0].additionalValuesFiles[0]",
        ),
        ("helmCharts: [{name: web, colour: blue}]\n", "colour"),
        ("helmGlobals: {chartHome: failing}\nhelmCharts: [{name: web}]\n", "helmCharts[0]: helm failed: no such value"),
        ("helmGlobals: {chartHome: noted}\nhelmCharts: [{name: web}]\n", "helmCharts[0]: what helm printed"),
        ("helmCharts: [{}]\n", "helmCharts[0].name"),
    ];
    for (kustomization, part) in cases {
        let folder = Folder::new(&[
            ("app/kustomization.yaml", kustomization),
            ("above.yaml", "a: b\n"),
            ("app/failing/web/values.yaml", "a: b\n"),
            ("app/failing/web/fail", ""),
            ("app/noted/web/values.yaml", "a: b\n"),
            ("app/noted/web/notes", ""),
        ]);
        folder.theirs("app").expect_err(kustomization);
        let error = folder.ours("app").expect_err(kustomization);
        assert!(error.contains("app/kustomization.yaml: ") && error.contains(part), "{kustomization}: {error}");
    }
}

/// Builds with a chart that needs what only we refuse.
#[track_caller]
fn refused(files: &[(&str, &str)], prepare: impl Fn(&Path), flags: Option<&[String]>, part: &str) {
    let folder = Folder::new(files);
    prepare(folder.0.path());
    let usual = folder.flags();
    let error = folder.driftless("app", flags.unwrap_or(&usual)).unwrap_err();
    assert!(error.contains("app/kustomization.yaml: ") && error.contains(part), "{error}");
}

#[test]
fn nothing_is_pulled_and_nothing_leaves_the_repository() {
    let remote = "helmCharts: [{name: none, version: 1.0.0, repo: 'https://charts.example'}]\n";
    refused(
        &[("app/kustomization.yaml", remote)],
        |_| {},
        None,
        "there is no chart in `app/charts/none-1.0.0/none`, and none is pulled",
    );
    let above = "helmGlobals: {chartHome: ../../../etc}\nhelmCharts: [{name: web}]\n";
    refused(&[("app/kustomization.yaml", above)], |_| {}, None, "leaves the repository");
    let plain = "helmCharts: [{name: web}]\n";
    let link =
        |root: &Path| std::os::unix::fs::symlink("/etc/passwd", root.join("app/charts/web/templates/x")).unwrap();
    refused(&[("app/kustomization.yaml", plain)], link, None, "a symbolic link");
    for (kustomization, field) in [
        (plain, "helmCharts[0]"),
        ("helmChartInflationGenerator: [{chartName: web}]\n", "helmChartInflationGenerator[0]"),
        ("generators: [g.yaml]\n", "generators.HelmChartInflationGenerator any"),
    ] {
        let generator = "apiVersion: builtin\nkind: HelmChartInflationGenerator\nmetadata: {name: any}\nname: web\n";
        let files = [("app/kustomization.yaml", kustomization), ("app/g.yaml", generator)];
        refused(&files, |_| {}, Some(&[]), &format!("{field}: Helm charts need the helm program"));
    }
}

#[test]
fn helm_sees_nothing_of_our_environment() {
    let folder = Folder::new(&[("app/kustomization.yaml", "helmCharts: [{name: web}]\n")]);
    let script = "#!/bin/sh\n[ \"$1\" = version ] && { echo v4.0.0; exit 0; }\nprintf 'apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: a}\\ndata:\\n  env: |\\n'\n/usr/bin/env | sed 's/^/    /'\nprintf '  home: \"%s\"\\n' \"$(ls -A \"$HOME\")\"\n";
    folder.write("helm", script);
    let output = folder.ours("app").unwrap();
    assert!(output.contains("KUBECONFIG=/dev/null") && output.contains("HELM_CONFIG_HOME="), "{output}");
    assert!(!output.contains("hunter2") && !output.contains("CARGO"), "{output}");
    assert!(output.contains("home: \"\"") || !output.contains("home: "), "an empty home: {output}");
    let left = fs::read_dir(std::env::temp_dir()).unwrap().flatten();
    let ours = output.lines().find_map(|line| line.trim().strip_prefix("HOME=")).unwrap();
    let folder = Path::new(ours).parent().unwrap();
    assert!(left.into_iter().all(|entry| entry.path() != folder), "{} is left", folder.display());
}
