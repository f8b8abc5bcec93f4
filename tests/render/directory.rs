//! Directory sources: which files are read, what is in them, and what is refused.

use driftless::engine::application::Source;
use driftless::engine::event::RenderFailureReason::{Content, InvalidSpec};
use driftless::render::memory::MemoryTree;
use driftless::render::{EntryKind, RenderLimits, Tree, TreeError};
use serde_json::{Value, json};

use super::{assert_failure, config_map, directory, failed, names, render, rendered, source};

fn tree(files: &[(&str, String)]) -> MemoryTree {
    MemoryTree::of(files.iter().map(|(path, content)| (*path, content.as_str())))
}

fn shop() -> MemoryTree {
    tree(&[
        ("apps/shop/b.yaml", format!("{}---\n{}", config_map("b1"), config_map("b2"))),
        ("apps/shop/a.yml", config_map("a")),
        ("apps/shop/c.json", json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}).to_string()),
        ("apps/shop/values.yaml", "image:\n  tag: 1\nkind: DaemonSet\n".to_owned()),
        ("apps/shop/README.md", "{{{".to_owned()),
        ("apps/shop/NOTES.YAML", "{{{".to_owned()),
        ("apps/shop/a/deep.yaml", config_map("deep")),
        ("apps/shop/env/prod/p.yaml", config_map("prod")),
        ("apps/shop/env/test/t.yaml", config_map("test")),
        ("top.yaml", config_map("top")),
    ])
}

#[test]
fn files_are_read_in_order_by_name() {
    let cases: &[(Source, &[&str])] = &[
        (source("apps/shop"), &["a", "b1", "b2", "c"]),
        (source("./apps//shop/"), &["a", "b1", "b2", "c"]),
        (source(""), &["top"]),
        (source("."), &["top"]),
        (directory("apps/shop", true, "", ""), &["deep", "a", "b1", "b2", "c", "prod", "test"]),
        (directory("apps/shop", true, "env/*", ""), &["prod", "test"]),
        (directory("apps/shop", true, "{env/*,a.yml}", "env/test/**"), &["a", "prod"]),
        (directory("apps/shop", true, "*.yaml", "*"), &[]),
        (directory("apps/shop", false, "*.json", ""), &["c"]),
    ];
    for (source, expected) in cases {
        assert_eq!(names(&rendered(&shop(), source)), *expected, "{source:?}");
    }
    assert_eq!(names(&rendered(&shop(), &Source::default())), ["top"]);
}

#[test]
fn origins_name_file_document_and_line() {
    let text =
        format!("# head\n---\n{}--- # second\n\n{}---\n---\n{}", config_map("a"), config_map("b"), config_map("c"));
    let rendering = rendered(&tree(&[("x/m.yaml", text)]), &source("x"));
    let origins: Vec<_> = rendering.manifests.iter().map(|manifest| manifest.origin.to_string()).collect();
    assert_eq!(origins, ["x/m.yaml:3 (document 1)", "x/m.yaml:9 (document 2)", "x/m.yaml:15 (document 4)"]);
}

#[test]
fn marked_files_are_left_out_as_in_argo_cd() {
    let skipped = "# +argocd:skip-file-rendering\n{{ not yaml\n".to_owned();
    let rendering = rendered(&tree(&[("x/a.yaml", config_map("a")), ("x/b.yaml", skipped)]), &source("x"));
    assert_eq!(names(&rendering), ["a"]);
}

#[test]
fn byte_order_marks_and_line_ends_make_no_difference() {
    let windows = format!("\u{feff}{}", config_map("a")).replace('\n', "\r\n");
    let json = format!("\u{feff}{}", json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}));
    let plain = rendered(&tree(&[("x/m.yaml", config_map("a"))]), &source("x")).manifests;
    assert_eq!(rendered(&tree(&[("x/m.yaml", windows)]), &source("x")).manifests, plain);
    assert_eq!(rendered(&tree(&[("x/m.json", json)]), &source("x")).manifests[0].value, plain[0].value);
}

#[test]
fn values_are_those_of_yaml_1_1() {
    let text = config_map("a")
        + "data: &d\n  on: yes\n  mode: 0755\n  quoted: 'yes'\n  ratio: 2.0\nmore:\n  <<: *d\n  mode: 1\n";
    let rendering = rendered(&tree(&[("x/m.yaml", text)]), &source("x"));
    let expected: Value = json!({"on": true, "mode": 493, "quoted": "yes", "ratio": 2});
    assert_eq!(rendering.manifests[0].value["data"], expected);
    assert_eq!(rendering.manifests[0].value["more"]["mode"], 1);
    assert_eq!(rendering.manifests[0].value["more"]["quoted"], "yes");
}

#[test]
fn broken_content_is_an_error_with_its_place() {
    let good = config_map("a");
    let cases: Vec<(&str, String, &[&str])> = vec![
        ("x/m.yaml", format!("{good}---\na: 1\na: 2\n"), &["x/m.yaml:7:1 (document 2)", "written twice"]),
        ("x/m.yaml", format!("{good}---\n\n\nb: [\n"), &["x/m.yaml:", "(document 2)"]),
        ("x/m.yaml", "{{ template }}\n".to_owned(), &["x/m.yaml:1", "(document 1)"]),
        ("x/m.json", "{\"a\": 1,}\n".to_owned(), &["x/m.json:1:9 (document 1)", "not valid JSON"]),
        ("x/m.json", "{}{}".to_owned(), &["x/m.json", "one"]),
        ("x/m.yaml", format!("{good}data:\n  a:\n"), &["x/m.yaml:1 (document 1)", "ConfigMap a", ".data.a is null"]),
        ("x/m.yaml", good.replace("name: a", "generateName: a-"), &["generateName"]),
        ("x/m.yaml", good.replace("  name: a", "  {}"), &["`metadata.name` is missing"]),
        ("x/m.yaml", good.replace("apiVersion: v1\n", ""), &["no `apiVersion`"]),
        ("x/m.yaml", format!("'{}'\n", good.replace('\n', " ")), &["one text"]),
        ("x/m.jsonnet", "{}".to_owned(), &["`x/m.jsonnet`", "jsonnet renderer", "directory.exclude"]),
    ];
    for (path, text, parts) in cases {
        assert_failure(&failed(&tree(&[(path, text)]), &source("x")), Content, parts);
    }
    let mut bytes = MemoryTree::default();
    bytes.put("x/m.yaml", EntryKind::File, b"a: 1\nb: \xff\n".to_vec());
    assert_failure(&failed(&bytes, &source("x")), Content, &["x/m.yaml:2", "not UTF-8"]);
    bytes.put("x/m.yaml", EntryKind::File, b"\xff\xfea\0".to_vec());
    assert_failure(&failed(&bytes, &source("x")), Content, &["UTF-16"]);
}

#[test]
fn no_value_of_a_secret_is_in_an_error() {
    let head = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n";
    for broken in [
        "  password: hunter2: x\n",
        "  password: *hunter2\n",
        "  password: @hunter2\n",
        "  password: \"hunter2\n",
        "  password: !!int hunter2\n",
        "  password: !!binary hunter2\n",
        "  password: [hunter2\n",
        "  password:\n\t hunter2\n",
        "  hunter2\n  user: x\n",
        "  password: hunter2\n  password: hunter2\n",
        "  password: \"\\q hunter2\"\n",
        "  a: null\n  password: hunter2\n",
        "  ? {hunter2: x}\n  : y\n",
    ] {
        let failure = failed(&tree(&[("x/s.yaml", format!("{head}{broken}"))]), &source("x"));
        assert_failure(&failure, Content, &["x/s.yaml:"]);
        assert!(!failure.message.contains("hunter2"), "{}", failure.message);
    }
    let text = r#"{"apiVersion": "v1", "kind": "Secret", "stringData": {"password": "hunter2}}"#;
    let failure = failed(&tree(&[("x/s.json", text.to_owned())]), &source("x"));
    assert!(!failure.message.contains("hunter2"), "{}", failure.message);
    let rendering = rendered(&tree(&[("x/s.yaml", format!("{head}  password: hunter2\n"))]), &source("x"));
    assert!(!format!("{rendering:?}").contains("hunter2"));
}

#[test]
fn links_and_submodules_are_never_followed() {
    let mut tree = shop();
    tree.put("apps/shop/link.yaml", EntryKind::Link, "a.yml");
    tree.put("apps/shop/folder", EntryKind::Link, "env");
    tree.put("apps/shop/vendor", EntryKind::Submodule, "0123");
    assert_failure(&failed(&tree, &source("apps/shop")), Content, &["`apps/shop/link.yaml`", "symbolic link"]);
    assert_eq!(names(&rendered(&tree, &directory("apps/shop", false, "", "link*"))), ["a", "b1", "b2", "c"]);
    let recursive = directory("apps/shop", true, "", "link*");
    assert_failure(&failed(&tree, &recursive), Content, &["`apps/shop/vendor`", "submodule"]);
    let without = directory("apps/shop", true, "env/*", "{link*,vendor/*}");
    assert_eq!(names(&rendered(&tree, &without)), ["prod", "test"]);
}

#[test]
fn paths_must_be_folders_of_the_repository() {
    let mut tree = shop();
    tree.put("linked", EntryKind::Link, "apps");
    tree.put("module", EntryKind::Submodule, "0123");
    for (path, parts) in [
        ("none", ["no folder `none`", "spec.source.path"]),
        ("apps/none/deeper", ["no folder `apps/none/deeper`", "Nothing is deleted"]),
        ("top.yaml", ["`top.yaml` is a file", "point it at a folder"]),
        ("top.yaml/x", ["`top.yaml` is a file", "point it at a folder"]),
        ("linked/shop", ["`linked` is a symbolic link", "not followed"]),
        ("module/x", ["`module` is a Git submodule", "point it at a folder"]),
    ] {
        assert_failure(&failed(&tree, &source(path)), Content, &parts);
    }
    for (path, part) in
        [("/apps", "absolute"), ("../x", "`..`"), ("apps/../../x", "`..`"), ("apps/..", "`..`"), ("a\0b", "")]
    {
        assert_failure(&failed(&tree, &source(path)), InvalidSpec, &["spec.source.path", part]);
    }
}

#[test]
fn what_needs_another_renderer_is_refused_by_name() {
    let some = || Some(json!({}));
    let text = || Some("x".to_owned());
    let base = || source("apps/shop");
    let mut jsonnet = directory("apps/shop", false, "", "");
    jsonnet.directory.as_mut().unwrap().jsonnet = some();
    for (source, parts) in [
        (Source { chart: text(), ..base() }, ["spec.source.chart", "Helm"]),
        (Source { helm: some(), ..base() }, ["spec.source.helm", "Helm"]),
        (
            Source { kustomize: some(), ..directory("apps/shop", false, "", "") },
            ["spec.source.kustomize", "spec.source.directory"],
        ),
        (Source { plugin: some(), ..base() }, ["spec.source.plugin", "plugin"]),
        (Source { reference: text(), ..base() }, ["spec.source.ref", "remove it"]),
        (jsonnet, ["spec.source.directory.jsonnet", "jsonnet"]),
        (directory("apps/shop", false, "[", ""), ["spec.source.directory.include", "no valid glob"]),
        (directory("apps/shop", false, "", "{a"), ["spec.source.directory.exclude", "no valid glob"]),
    ] {
        assert_failure(&failed(&shop(), &source), InvalidSpec, &parts);
    }
    let tree = shop().with("apps/shop/Chart.yaml", "resources: []\n");
    assert_failure(&failed(&tree, &source("apps/shop")), InvalidSpec, &["apps/shop/Chart.yaml", "Helm"]);
    // A file of that name elsewhere says nothing about this folder.
    assert_eq!(names(&rendered(&tree, &source(""))), ["top"]);
    // A kustomization that is a link to nothing is none, and the folder is not read as a plain one instead.
    let mut linked = shop();
    linked.put("apps/shop/kustomization.yaml", EntryKind::Link, "x");
    assert_failure(&failed(&linked, &source("apps/shop")), Content, &["apps/shop", "no kustomization"]);
}

#[test]
fn an_explicit_directory_block_is_read_as_plain_manifests() {
    let tree = shop().with("apps/shop/kustomization.yaml", "resources: []\n");
    assert_eq!(names(&rendered(&tree, &directory("apps/shop", false, "", ""))), ["a", "b1", "b2", "c"]);
}

#[test]
fn limits_are_errors_that_name_their_setting() {
    let tree = shop();
    let all = directory("apps/shop", true, "", "");
    let ok = RenderLimits::default();
    for (limits, setting) in [
        (RenderLimits { max_file_size: 20, ..ok }, RenderLimits::MAX_FILE_SIZE),
        (RenderLimits { max_files: 6, ..ok }, RenderLimits::MAX_FILES),
        (RenderLimits { max_total_size: 200, ..ok }, RenderLimits::MAX_TOTAL_SIZE),
        (RenderLimits { max_folder_depth: 1, ..ok }, RenderLimits::MAX_FOLDER_DEPTH),
        (RenderLimits { max_objects: 6, ..ok }, RenderLimits::MAX_OBJECTS),
        (RenderLimits { max_object_size: 20, ..ok }, RenderLimits::MAX_OBJECT_SIZE),
    ] {
        assert_failure(&render(&tree, &all, &limits).unwrap_err(), Content, &[setting]);
    }
    let exact = RenderLimits { max_files: 7, max_folder_depth: 2, max_objects: 7, ..ok };
    assert_eq!(render(&tree, &all, &exact).unwrap().manifests.len(), 7);
}

#[test]
fn aliases_can_not_make_more_than_the_total_size() {
    let files: Vec<_> = (0..4)
        .map(|number| {
            let aliases = vec!["*text"; 100].join(", ");
            let text =
                format!("{}data: &text {}\nlist: [{aliases}]\n", config_map(&format!("m{number}")), "x".repeat(100));
            (format!("x/{number}.yaml"), text)
        })
        .collect();
    let tree = MemoryTree::of(files.iter().map(|(path, text)| (path.as_str(), text.as_str())));
    let limits = RenderLimits { max_total_size: 30_000, ..RenderLimits::default() };
    let failure = render(&tree, &source("x"), &limits).unwrap_err();
    assert_failure(&failure, Content, &["objects of the source", RenderLimits::MAX_TOTAL_SIZE]);
}

/// A tree whose blobs are damaged.
struct Damaged(MemoryTree);

impl Tree for Damaged {
    fn lookup(&self, path: &str) -> Result<Option<driftless::render::Entry>, TreeError> {
        self.0.lookup(path)
    }
    fn list(&self, path: &str) -> Result<Vec<(std::sync::Arc<str>, driftless::render::Entry)>, TreeError> {
        self.0.list(path)
    }
    fn read(&self, _: &str) -> Result<Vec<u8>, TreeError> {
        Err(TreeError { message: "the object database is damaged; remove it".to_owned() })
    }
}

#[test]
fn an_unreadable_tree_is_no_fault_of_the_content() {
    let failure = render(&Damaged(shop()), &source("apps/shop"), &RenderLimits::default()).unwrap_err();
    assert_failure(&failure, driftless::engine::event::RenderFailureReason::Source, &["damaged"]);
}

#[test]
fn an_empty_folder_renders_nothing_and_is_no_error() {
    let tree = tree(&[("x/.gitkeep", String::new())]);
    assert_eq!(rendered(&tree, &source("x")).manifests.len(), 0);
}
