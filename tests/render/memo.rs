//! The memo: exactly the changes that a rendering depends on count.

use driftless::engine::application::Source;
use driftless::render::memory::MemoryTree;
use driftless::render::{EntryKind, RenderLimits, unchanged};
use proptest::prelude::*;

use super::{config_map, directory, options, render, rendered, source};

fn tree() -> MemoryTree {
    let (a, b, c) = (config_map("a"), config_map("b"), config_map("c"));
    MemoryTree::of([
        ("app/a.yaml", &*a),
        ("app/b.json", "{}"),
        ("app/README.md", "x"),
        ("app/sub/c.yaml", &*c),
        ("app/sub/notes.txt", "x"),
        ("app/skip/d.yaml", &*b),
        ("other/x.yaml", &*b),
        ("top.yaml", &*b),
    ])
}

/// One edit of the tree, and whether it counts.
type Edit<'a> = (&'a str, MemoryTree, bool);

fn check(source: &Source, edits: &[Edit<'_>]) {
    let inputs = rendered(&tree(), source).inputs;
    assert!(unchanged(&tree(), &inputs).unwrap());
    for (name, edited, same) in edits {
        assert_eq!(unchanged(edited, &inputs).unwrap(), *same, "{name}");
    }
}

fn renamed(from: &str, to: &str) -> MemoryTree {
    tree().without(from).with(to, &config_map("a"))
}

fn linked(path: &str, target: &str) -> MemoryTree {
    let mut tree = tree();
    tree.put(path, EntryKind::Link, target);
    tree
}

#[test]
fn a_plain_folder_depends_on_its_own_manifests() {
    let new = config_map("new");
    check(
        &source("app"),
        &[
            ("edited manifest", tree().with("app/a.yaml", &new), false),
            ("new manifest", tree().with("app/z.yml", &new), false),
            ("new file that is no manifest by content", tree().with("app/values.yaml", "a: 1"), false),
            ("removed manifest", tree().without("app/b.json"), false),
            ("renamed manifest", renamed("app/a.yaml", "app/a2.yaml"), false),
            ("manifest turned into a link of the same content", linked("app/a.yaml", &config_map("a")), false),
            ("new kustomization", tree().with("app/kustomization.yaml", ""), false),
            ("new Kustomization", tree().with("app/Kustomization", ""), false),
            ("new chart", tree().with("app/Chart.yaml", ""), false),
            ("new override", tree().with("app/.argocd-source.yaml", ""), false),
            ("folder gone", MemoryTree::of([("top.yaml", "")]), false),
            ("folder turned into a file", MemoryTree::of([("app", "")]), false),
            ("README edited", tree().with("app/README.md", "y"), true),
            ("file that is no manifest by name", tree().with("app/script.sh", "x"), true),
            ("manifest below", tree().with("app/sub/c.yaml", &new), true),
            ("new folder below", tree().with("app/more/z.yaml", &new), true),
            ("another application", tree().with("other/x.yaml", &new), true),
            ("the root", tree().with("top.yaml", &new), true),
        ],
    );
}

#[test]
fn a_recursive_folder_depends_on_what_its_globs_select() {
    let new = config_map("new");
    check(
        &directory("app", true, "{*.yaml,*.json}", "skip/*"),
        &[
            ("edited manifest below", tree().with("app/sub/c.yaml", &new), false),
            ("new manifest below", tree().with("app/sub/deep/z.yaml", &new), false),
            ("moved below", renamed("app/a.yaml", "app/sub/a.yaml"), false),
            ("new override", tree().with("app/.argocd-source.yaml", ""), false),
            ("new override of another application", tree().with("skip/.argocd-source-web.yaml", ""), true),
            (
                "new submodule",
                {
                    let mut tree = tree();
                    tree.put("app/module", EntryKind::Submodule, "1");
                    tree
                },
                false,
            ),
            ("excluded manifest", tree().with("app/skip/d.yaml", &new), true),
            ("new excluded manifest", tree().with("app/skip/e.yaml", &new), true),
            ("not included", tree().with("app/z.yml", &new), true),
            ("notes below", tree().with("app/sub/notes.txt", "y"), true),
            ("link to a folder", linked("app/linked", "sub"), true),
            // The block is explicit: no tool is detected, and its files are not asked for.
            ("Kustomization", tree().with("app/Kustomization", ""), true),
            ("another application", tree().with("other/x.yaml", &new), true),
        ],
    );
}

#[test]
fn the_root_depends_on_its_own_files() {
    check(
        &source(""),
        &[
            ("edited", tree().with("top.yaml", &config_map("new")), false),
            ("new", tree().with("new.yaml", ""), false),
            ("below", tree().with("app/a.yaml", ""), true),
        ],
    );
}

#[test]
fn a_rendering_keeps_few_inputs_however_many_files_it_read() {
    let files: Vec<_> =
        (0..50).map(|number| (format!("app/{number}.yaml"), config_map(&format!("m{number}")))).collect();
    let tree = MemoryTree::of(files.iter().map(|(path, text)| (path.as_str(), text.as_str())));
    let rendering = rendered(&tree, &source("app"));
    assert_eq!(rendering.manifests.len(), 50);
    assert_eq!(rendering.inputs.reads.len(), 2);
}

#[test]
fn inputs_survive_the_store() {
    let inputs = rendered(&tree(), &directory("app", true, "*", "{a,b}*")).inputs;
    let mut bytes = Vec::new();
    ciborium::into_writer(&inputs, &mut bytes).unwrap();
    let read: driftless::engine::desired::RenderInputs = ciborium::from_reader(&bytes[..]).unwrap();
    assert_eq!(read, inputs);
    assert!(unchanged(&tree(), &read).unwrap());
    assert!(!unchanged(&tree().with("app/sub/new.yaml", ""), &read).unwrap());
}

#[test]
fn options_are_those_of_the_source_without_its_place() {
    let base = source("app");
    let hash = options(&base);
    assert_eq!(rendered(&tree(), &base).inputs.options, Some(hash));
    let elsewhere = Source { repo_url: "https://example.com/x".into(), target_revision: Some("v1".into()), ..base };
    assert_eq!(options(&elsewhere), hash);
    for other in [
        source("other"),
        directory("app", false, "", ""),
        directory("app", true, "", ""),
        directory("app", false, "a", ""),
    ] {
        assert_ne!(options(&other), hash, "{other:?}");
    }
}

/// A path out of few, so that edits meet.
fn some_path() -> impl Strategy<Value = String> {
    let folder = prop::sample::select(vec!["", "app/", "app/sub/", "app/skip/", "other/"]);
    let file = prop::sample::select(vec![
        "a.yaml",
        "b.yml",
        "c.json",
        "README.md",
        "kustomization.yaml",
        "Chart.yaml",
        ".argocd-source-x.yaml",
    ]);
    (folder, file).prop_map(|(folder, file)| format!("{folder}{file}"))
}

fn some_tree() -> impl Strategy<Value = MemoryTree> {
    let content = prop::sample::select(vec!["{}".to_owned(), config_map("a"), config_map("b"), "a: [".to_owned()]);
    let kind = prop::sample::select(vec![EntryKind::File, EntryKind::File, EntryKind::File, EntryKind::Link]);
    prop::collection::vec((some_path(), kind, content), 0..6).prop_map(|leaves| {
        let mut tree = MemoryTree::default();
        for (path, kind, content) in leaves {
            tree.put(&path, kind, content);
        }
        tree
    })
}

fn some_source() -> impl Strategy<Value = Source> {
    let path = prop::sample::select(vec!["", "app", "other"]);
    let glob = || prop::sample::select(vec!["", "*.yaml", "{*a.*,sub/*}", "skip/*", "*"]);
    (path, prop::option::of((any::<bool>(), glob(), glob()))).prop_map(|(path, options)| match options {
        None => source(path),
        Some((recurse, include, exclude)) => directory(path, recurse, include, exclude),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    /// The memo never hides a change: where the inputs are unchanged, rendering again gives the same.
    #[test]
    fn unchanged_inputs_render_alike(before in some_tree(), after in some_tree(), source in some_source()) {
        let limits = RenderLimits::default();
        if let Ok(then) = render(&before, &source, &limits) {
            prop_assert!(unchanged(&before, &then.inputs).unwrap());
            let now = render(&after, &source, &limits);
            if unchanged(&after, &then.inputs).unwrap() {
                prop_assert_eq!(now.map(|now| now.manifests), Ok(then.manifests));
            } else if let Ok(now) = now {
                prop_assert_ne!(now.inputs, then.inputs);
            }
        }
    }

    /// Whatever a file holds, rendering ends with manifests or an error that names the file.
    #[test]
    fn no_text_makes_rendering_panic(text in "([a-c]: |- |---\n|\n|  |[*&!|>%@{}\\[\\]\"'#,?~]|<<: |[0-9.e]|\\PC){0,40}") {
        let tree = MemoryTree::of([("m.yaml", text.as_str())]);
        if let Err(failure) = render(&tree, &source(""), &RenderLimits::default()) {
            prop_assert!(failure.message.contains("m.yaml:"), "{}", failure.message);
        }
    }
}
