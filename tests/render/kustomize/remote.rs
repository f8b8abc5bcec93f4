//! Folders of other repositories: over trees in memory, and against the real program over repositories on disk.

use std::process::Command;

use driftless::engine::application::Source;
use driftless::engine::event::{RenderFailure, RenderFailureReason};
use driftless::render::kustomize::LoadRestriction;
use driftless::render::memory::MemoryTree;
use driftless::render::remote::{MAX_REMOTES, Remotes};
use driftless::render::{
    EntryKind, Recorder, RenderContext, RenderError, RenderLimits, RenderOptions, Rendering, options, render, unchanged,
};

use super::program::{run, tool};
use crate::render::{assert_failure, config_map, names, source};
use crate::support::git::GitRepo;

/// A commit id that is made of one letter.
fn id(letter: char) -> String {
    letter.to_string().repeat(40)
}

fn settings(urls: &str) -> RenderOptions {
    RenderOptions { remote_bases: urls.parse().unwrap(), ..RenderOptions::default() }
}

/// Renders with what repositories it asks for: (part of the URL with the commit, tree).
fn with(
    main: &MemoryTree,
    others: &[(String, MemoryTree)],
    options: &RenderOptions,
) -> Result<(Rendering, Vec<String>), RenderFailure> {
    let (mut remotes, mut asked) = (Remotes::default(), Vec::new());
    loop {
        let context = RenderContext { options: options.clone(), remotes: remotes.clone(), ..RenderContext::default() };
        let need = match render(main, &app(), &context) {
            Ok(rendering) => return Ok((rendering, asked)),
            Err(RenderError::Failed(failure)) => return Err(failure),
            Err(RenderError::Needs(need)) => need,
        };
        let name = need.remote.to_string();
        let Some((_, tree)) = others.iter().find(|(url, _)| name.ends_with(url)) else {
            return Err(RenderError::Needs(need).into_failure());
        };
        asked.push(format!("{}{name}", need.place));
        remotes.insert(need.remote, tree);
    }
}

fn app() -> Source {
    source("app")
}

fn main(resources: &str) -> MemoryTree {
    MemoryTree::of([("app/kustomization.yaml", format!("namePrefix: x-\n{resources}\n").as_str())])
}

fn base(name: &str) -> MemoryTree {
    MemoryTree::of([("base/kustomization.yaml", "resources: [a.yaml]\n"), ("base/a.yaml", config_map(name).as_str())])
}

const URL: &str = "https://git.example/org";

#[test]
fn a_build_asks_for_one_commit_after_the_other() {
    let (one, two) = (id('1'), id('2'));
    let tree = main(&format!("resources: [{URL}/one//base?ref={one}]\ncomponents: [{URL}/one//part?ref={one}]"));
    let inner = format!(
        "resources: [../base, {URL}/two//base?ref={two}]\nkind: Component\napiVersion: kustomize.config.k8s.io/v1alpha1\n"
    );
    let mut first = base("a").with("part/kustomization.yaml", &inner.replace("../base, ", ""));
    let others = [(format!("one?ref={one}"), first.clone()), (format!("two?ref={two}"), base("b"))];
    let (rendering, asked) = with(&tree, &others, &settings(URL)).unwrap();
    assert_eq!(names(&rendering), ["x-a", "x-b"]);
    assert_eq!(
        asked,
        [
            format!("app/kustomization.yaml: resources[0]: {URL}/one?ref={one}"),
            format!("{URL}/one?ref={one}/part/kustomization.yaml: resources[0]: {URL}/two?ref={two}"),
        ]
    );

    // What the other repositories have is known by what was read of the own one, and by the settings.
    assert!(unchanged(&tree, &rendering.inputs).unwrap());
    let moved = main(&format!("resources: [{URL}/one//base?ref={two}]"));
    assert!(!unchanged(&moved, &rendering.inputs).unwrap());
    assert_eq!(rendering.inputs.options, Some(options(&app(), &settings(URL))));
    assert_ne!(rendering.inputs.options, Some(options(&app(), &RenderOptions::default())));

    // A repository that isn't there is a failure of the source, which is tried again.
    let failure = with(&tree, &others[..1], &settings(URL)).unwrap_err();
    assert_failure(&failure, RenderFailureReason::Source, &["part/kustomization.yaml: resources[0]", "two?ref=2222"]);
    first.remove("base/kustomization.yaml");
    let failure = with(&tree, &[(others[0].0.clone(), first)], &settings(URL)).unwrap_err();
    assert_failure(
        &failure,
        RenderFailureReason::Content,
        &["app/kustomization.yaml: resources[0]", "has no kustomization"],
    );
}

#[test]
fn what_is_not_allowed_or_not_pinned_is_refused_by_file_and_field() {
    let one = id('1');
    let cases = [
        ("", format!("resources: ['{URL}/one//base?ref={one}']"), "resources[0]", "switched off"),
        (
            URL,
            format!("components: ['https://git.example/other/one//base?ref={one}']"),
            "components[0]",
            "kustomize-remote-bases",
        ),
        (URL, format!("bases: ['{URL}/one//base?ref=v1.0.0']"), "resources[0]", "`v1.0.0` can be moved"),
        (URL, format!("resources: ['{URL}/one//base']"), "resources[0]", "which commit"),
        (URL, format!("resources: ['{URL}/one/v1/base.yaml']"), "resources[0]", "names a file"),
        (URL, format!("resources: ['{URL}/one//../base?ref={one}']"), "resources[0]", "leaves the repository"),
        (URL, format!("transformers: ['{URL}/one//base?ref=main']"), "transformers[0]", "can be moved"),
        (
            URL,
            format!("patches: [path: '{URL}/one//base/a.yaml?ref={one}']"),
            "patches[0].path",
            "remote files are not read",
        ),
        (URL, format!("configMapGenerator: [{{name: a, files: ['{URL}/one//a']}}]"), "files[0]", "remote files"),
    ];
    for (allowed, resources, field, reason) in cases {
        let options = if allowed.is_empty() { RenderOptions::default() } else { settings(allowed) };
        let failure = with(&main(&resources), &[], &options).unwrap_err();
        assert_failure(&failure, RenderFailureReason::Content, &["app/kustomization.yaml: ", field, reason]);
    }
}

#[test]
fn nothing_leaves_the_other_repository() {
    let one = id('1');
    let tree = main(&format!("resources: [{URL}/one//base?ref={one}]")).with("secret.yaml", &config_map("mine"));
    let mut linked = base("a");
    linked.put("base/a.yaml", EntryKind::Link, "../../secret.yaml");
    let base = |text: &str| base("a").with("base/kustomization.yaml", text).with("above.yaml", &config_map("b"));
    let cases = [
        (base("resources: [../../secret.yaml]\n"), "leaves the repository"),
        (base("resources: [../../app]\n"), "leaves the repository"),
        (base("resources: [/app]\n"), "is absolute"),
        (base("resources: [../above.yaml]\n"), "is not in or below"),
        (base("resources: [a.yaml]\nconfigMapGenerator: [{name: x, files: [../above.yaml]}]\n"), "is not in or below"),
        (base("resources: [..]\n"), "a cycle"),
        (base("resources: [.]\n"), "a cycle"),
        (base("resources: [a.yaml]\nnamePrefix: {}\n"), "namePrefix"),
        (linked, "a symbolic link"),
    ];
    for (other, reason) in cases {
        for load_restriction in [LoadRestriction::RootOnly, LoadRestriction::None] {
            let options = RenderOptions { load_restriction, ..settings(URL) };
            let failure = with(&tree, &[(format!("one?ref={one}"), other.clone())], &options).unwrap_err();
            assert_failure(&failure, RenderFailureReason::Content, &[&format!("{URL}/one?ref={one}/base/"), reason]);
        }
    }
}

#[test]
fn links_are_followed_within_the_other_repository() {
    let one = id('1');
    let tree = main(&format!("resources: [{URL}/one//base?ref={one}]")).with("base/mine.yaml", &config_map("mine"));
    let linked = |links: &[(&str, &str)]| {
        let mut other = MemoryTree::of([
            ("base/kustomization.yaml", "resources: [a.yaml, folder]\n"),
            ("base/files/real.yaml", config_map("file").as_str()),
            ("above.yaml", config_map("above").as_str()),
            ("more/kustomization.yaml", "resources: [b.yaml]\n"),
            ("more/b.yaml", config_map("folder").as_str()),
        ]);
        for (path, target) in [&[("base/a.yaml", "link.yaml"), ("base/folder", "../more")], links].concat() {
            other.put(path, EntryKind::Link, target);
        }
        [(format!("one?ref={one}"), other)]
    };
    // Through a second link, and a folder that is one.
    let links = [("base/link.yaml", "here/real.yaml"), ("base/here", "./files")];
    let (rendering, _) = with(&tree, &linked(&links), &settings(URL)).unwrap();
    assert_eq!(names(&rendering), ["x-file", "x-folder"]);

    let refused = [
        ("../above.yaml", "is not in or below"),
        ("../../base/mine.yaml", "a symbolic link"),
        ("/above.yaml", "a symbolic link"),
        ("a.yaml", "go in a circle"),
        ("mine.yaml", "is neither a file nor"),
    ];
    for (target, reason) in refused {
        for load_restriction in [LoadRestriction::RootOnly, LoadRestriction::None] {
            let options = RenderOptions { load_restriction, ..settings(URL) };
            let failure = with(&tree, &linked(&[("base/link.yaml", target)]), &options).unwrap_err();
            assert_failure(&failure, RenderFailureReason::Content, &[&format!("{URL}/one?ref={one}/base/"), reason]);
        }
    }
}

#[test]
fn cycles_and_long_chains_end() {
    // No real commit can name itself; a tree in memory can.
    let (one, two) = (id('1'), id('2'));
    let naming = |name: &str, id: &str| {
        base("a").with("base/kustomization.yaml", &format!("resources: [{URL}/{name}//base?ref={id}]\n"))
    };
    let others = [(format!("one?ref={one}"), naming("two", &two)), (format!("two?ref={two}"), naming("one", &one))];
    let tree = main(&format!("resources: [{URL}/one//base?ref={one}]"));
    let failure = with(&tree, &others, &settings(URL)).unwrap_err();
    assert_failure(
        &failure,
        RenderFailureReason::Content,
        &[&format!("{URL}/two?ref={two}/base/kustomization.yaml: resources[0]"), "a cycle"],
    );

    let entries: Vec<_> = (0..=MAX_REMOTES).map(|number| format!("{URL}/r{number:02}//base?ref={one}")).collect();
    let others: Vec<_> =
        (0..=MAX_REMOTES).map(|number| (format!("r{number:02}?ref={one}"), base(&format!("m{number}")))).collect();
    let most = main(&format!("resources: [{}]", entries[..MAX_REMOTES].join(", ")));
    assert_eq!(with(&most, &others, &settings(URL)).unwrap().1.len(), MAX_REMOTES);
    let failure = with(&main(&format!("resources: [{}]", entries.join(", "))), &others, &settings(URL)).unwrap_err();
    assert_failure(&failure, RenderFailureReason::Content, &["app/kustomization.yaml: resources[32]", "more than 32"]);
}

#[test]
fn the_files_of_all_repositories_count() {
    let one = id('1');
    let tree = main(&format!("resources: [{URL}/one//base?ref={one}]"));
    let others = [(format!("one?ref={one}"), base("a"))];
    let limits = RenderLimits { max_files: 2, ..RenderLimits::default() };
    let failure = with(&tree, &others, &RenderOptions { limits, ..settings(URL) }).unwrap_err();
    assert_failure(&failure, RenderFailureReason::Content, &["one?ref=1111", "more than 2 files"]);
    let mut recorder = Recorder::new(&tree);
    assert!(recorder.lookup("base/a.yaml").unwrap().is_none(), "the trees are not one");
}

/// Builds a folder on disk with the program, and with our own.
fn both(folder: &std::path::Path) -> (String, String) {
    let theirs = run(&tool("kustomize"), folder, "app", &[]).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_driftless"))
        .args(["build", "app", "--kustomize-remote-bases", "file:///"])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (theirs, String::from_utf8(output.stdout).unwrap())
}

#[test]
fn the_output_is_what_the_program_prints() {
    let inner = GitRepo::new();
    let config = config_map("inner");
    let commit = inner.commit(&[("kustomization.yaml", "resources: [a.yaml]\n"), ("a.yaml", &config)], "a base");
    let inner_url = format!("file://{}?ref={commit}", inner.path().display());
    let outer = GitRepo::new();
    let base = format!(
        "resources: [../more, '{inner_url}']\nnameSuffix: -base\nconfigMapGenerator: [{{name: made, files: [f]}}]\n"
    );
    let more = "resources: [a.yaml]\ntransformers:\n- |-\n  apiVersion: builtin\n  kind: PrefixTransformer\n  metadata: {name: p}\n  \
                prefix: t-\n  fieldSpecs: [{path: metadata/name}]\n";
    let part = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [a.yaml]\ncommonAnnotations: {by: part}\n";
    let outer_commit = outer.commit(
        &[
            ("deploy/base/kustomization.yaml", &base),
            ("deploy/base/f", "text\n"),
            ("deploy/more/kustomization.yaml", more),
            ("deploy/more/a.yaml", &config_map("more")),
            ("deploy/part/kustomization.yaml", part),
            ("deploy/part/a.yaml", &config_map("part")),
        ],
        "a base on another",
    );
    let outer_url = |folder: &str| format!("file://{}//deploy/{folder}?ref={outer_commit}", outer.path().display());
    for metadata in ["[]", "[originAnnotations]", "[originAnnotations, transformerAnnotations, managedByLabel]"] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join(".git")).unwrap();
        std::fs::create_dir_all(folder.path().join("app")).unwrap();
        let kustomization = format!(
            "resources: ['{}']\ncomponents: ['{}&timeout=20s']\nnamespace: shop\nnamePrefix: x-\nbuildMetadata: {metadata}\n",
            outer_url("base"),
            outer_url("part")
        );
        std::fs::write(folder.path().join("app/kustomization.yaml"), kustomization).unwrap();
        let (theirs, ours) = both(folder.path());
        assert_eq!(theirs, ours, "buildMetadata: {metadata}");
        assert!(ours.contains("x-t-more-base") && ours.contains("by: part"), "{ours}");
    }
}
