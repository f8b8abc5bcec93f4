//! Input that means harm, or that is only damaged: no panic, and bounded time and memory. What the program makes of it is
//! not the question here; some of it brings the program down.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use driftless::render::EntryKind;
use driftless::render::memory::MemoryTree;

use super::case::Case;
use super::ours::ours;
use super::program::in_parallel;

/// No hostile tree may take longer, in a build without optimization.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// Number of damaged trees, if it isn't the default.
const RUNS: &str = "DRIFTLESS_MUTATIONS";
const DEFAULT_RUNS: u64 = 3000;

/// Builds the root of a tree, which must fail with a message that has all of `parts`, in time.
#[track_caller]
fn assert_refused(tree: &MemoryTree, parts: &[&str]) {
    let begun = Instant::now();
    let error = ours(tree, ".", false).unwrap_err();
    assert!(begun.elapsed() < TIME_LIMIT, "{:?}: {error}", begun.elapsed());
    assert!(error.len() < 2000, "a message of {} bytes", error.len());
    assert!(!error.starts_with("panic"), "a panic");
    for part in parts {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
}

/// A tree with a kustomization and one resource.
fn resource(text: &str) -> MemoryTree {
    MemoryTree::of([("kustomization.yaml", "resources: [a.yaml]\n"), ("a.yaml", text)])
}

fn config_map(data: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata: {data}\n")
}

#[test]
fn aliases_that_multiply_are_refused() {
    let mut text =
        String::from("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for at in 1..12 {
        let aliases = vec![format!("*a{}", at - 1); 10].join(", ");
        writeln!(text, "a{at}: &a{at} [{aliases}]").unwrap();
    }
    assert_refused(&resource(&text), &["a.yaml"]);
    assert_refused(&MemoryTree::of([("kustomization.yaml", text.as_str())]), &["kustomization.yaml"]);
}

#[test]
fn merge_keys_that_multiply_are_refused() {
    let mut text = String::from("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\na0: &a0 {k: v}\n");
    for at in 1..30 {
        let previous = at - 1;
        writeln!(text, "a{at}: &a{at}\n  x: *a{previous}\n  y: *a{previous}\n  <<: [*a{previous}, *a{previous}]")
            .unwrap();
    }
    assert_refused(&resource(&text), &["a.yaml"]);
}

#[test]
fn an_anchor_within_itself_is_refused() {
    assert_refused(&resource(&config_map("&a {x: *a}")), &["a.yaml"]);
    assert_refused(&resource(&config_map("&a {<<: *a}")), &["a.yaml"]);
}

#[test]
fn deep_nesting_is_refused() {
    for (open, close) in [("[", "]"), ("{a: ", "}"), ("[{a: ", "}]")] {
        let text = config_map(&format!("{}1{}", open.repeat(50_000), close.repeat(50_000)));
        assert_refused(&resource(&text), &["a.yaml"]);
    }
    let mut text = config_map("");
    for depth in 0..20_000 {
        writeln!(text, "{}a:", " ".repeat(depth % 3000 + 1)).unwrap();
    }
    assert_refused(&resource(&text), &["a.yaml"]);
    let dashes = config_map(&format!("\n{}x", "- ".repeat(50_000)));
    assert_refused(&resource(&dashes), &["a.yaml"]);
}

#[test]
fn deep_patches_are_refused() {
    let mut tree = resource(&config_map("{}"));
    let patch = format!("{}1{}", "{a: ".repeat(30_000), "}".repeat(30_000));
    let text = format!(
        "resources: [a.yaml]\npatches:\n- patch: |-\n    {{apiVersion: v1, kind: ConfigMap, metadata: {{name: a}}, data: {patch}}}\n"
    );
    tree.put("kustomization.yaml", EntryKind::File, text);
    assert_refused(&tree, &["kustomization.yaml"]);
}

#[test]
fn long_chains_of_bases_are_refused() {
    let mut tree = MemoryTree::of([("kustomization.yaml", "resources: [b0]\n")]);
    let mut folder = String::from("b0");
    for at in 1..400 {
        tree.put(&format!("{folder}/kustomization.yaml"), EntryKind::File, format!("resources: [b{at}]\n"));
        write!(folder, "/b{at}").unwrap();
    }
    tree.put(&format!("{folder}/kustomization.yaml"), EntryKind::File, "namePrefix: p-\n");
    assert_refused(&tree, &[]);
}

#[test]
fn bases_that_multiply_are_refused() {
    // Each level takes the one below twice, told apart by prefixes: 2^40 objects.
    let mut tree = MemoryTree::of([("kustomization.yaml", "resources: [l40a, l40b]\n")]);
    for level in 1..=40 {
        for side in ["a", "b"] {
            let below = level - 1;
            let text = format!("namePrefix: {side}\nresources: [../l{below}a, ../l{below}b]\n");
            tree.put(&format!("l{level}{side}/kustomization.yaml"), EntryKind::File, text);
        }
    }
    for side in ["a", "b"] {
        tree.put(
            &format!("l0{side}/kustomization.yaml"),
            EntryKind::File,
            format!("namePrefix: {side}\nresources: [c.yaml]\n"),
        );
        tree.put(&format!("l0{side}/c.yaml"), EntryKind::File, config_map("{}"));
    }
    assert_refused(&tree, &[]);
}

#[test]
fn links_never_leave_the_repository() {
    let long = "x/".repeat(3000);
    let targets = ["/etc/passwd", "/a.yaml", "../outside.yaml", "base/../../outside.yaml", "", "a\0b", &long];
    let files = [
        ("kustomization.yaml", "resources: [a.yaml, base]\nconfigMapGenerator: [{name: a, files: [f]}]\n"),
        ("a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n"),
        ("base/kustomization.yaml", "namePrefix: p-\n"),
        ("f", "text"),
    ];
    assert!(ours(&MemoryTree::of(files), ".", true).is_ok());
    for (path, file) in [
        ("a.yaml", "a.yaml"),
        ("base", "base/kustomization.yaml"),
        ("kustomization.yaml", "kustomization.yaml"),
        ("f", "f"),
    ] {
        for target in targets {
            let mut tree = MemoryTree::of(files).without(file);
            tree.put(path, EntryKind::Link, target);
            assert_refused(&tree, &[path]);
        }
    }
}

#[test]
fn links_in_circles_end() {
    let mut tree = MemoryTree::of([("kustomization.yaml", "resources: [a/b/c.yaml]\n")]);
    tree.put("a", EntryKind::Link, "d");
    tree.put("d", EntryKind::Link, "a/b");
    assert_refused(&tree, &["a/b"]);
    tree.put("d", EntryKind::Link, "d/d/d");
    assert_refused(&tree, &["a/b"]);
}

#[test]
fn secrets_are_not_in_messages() {
    let tree = MemoryTree::of([
        (
            "kustomization.yaml",
            "resources: [s.yaml]\npatches:\n- target: {kind: Secret}\n  patch: |-\n    - {op: test, path: /data/key, value: other-secret}\n",
        ),
        ("s.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {key: hunter2secret}\n"),
    ]);
    let error = ours(&tree, ".", false).unwrap_err();
    assert!(!error.contains("hunter2secret") && !error.contains("other-secret"), "{error}");
}

/// A generator of pseudo-random numbers (SplitMix64), the same on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }
}

/// What is put into texts.
const PIECES: [&str; 40] = [
    "&a ",
    "*a",
    "<<: *a",
    "<<: ",
    "{",
    "}",
    "[",
    "]",
    ": ",
    "- ",
    "? ",
    "|\n",
    ">-\n",
    "'",
    "\"",
    "\\",
    "#",
    "%",
    "!",
    "!!str ",
    "!!int ",
    "\t",
    "\r\n",
    "\n",
    "---\n",
    "...\n",
    "null",
    "~",
    "\u{feff}",
    "\u{85}",
    "$patch: delete\n",
    "$patch: replace\n",
    "metadata:\n",
    "name: x\n",
    "../",
    "/",
    "a.b",
    "1e999",
    "\u{0}",
    "\u{1F680}",
];

/// One of the cases' texts with a few places damaged.
fn damaged(text: &str, random: &mut Random) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        let end = (at + random.below(12)).min(bytes.len());
        match random.below(6) {
            0 => drop(bytes.drain(at..end)),
            1 => bytes.splice(at..at, PIECES[random.below(PIECES.len())].bytes()).for_each(drop),
            2 => bytes.splice(at..end, PIECES[random.below(PIECES.len())].bytes()).for_each(drop),
            3 if at < bytes.len() => bytes[at] = u8::try_from(random.below(256)).unwrap(),
            4 => {
                let piece = bytes[at..end].to_vec();
                let to = random.below(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
            _ => bytes.truncate(at.max(1)),
        }
    }
    bytes
}

/// Where something went wrong with a damaged tree.
fn damage(seed: u64) -> Option<String> {
    let mut random = Random(seed);
    let cases = Case::all();
    let case = &cases[random.below(cases.len())];
    let mut tree = MemoryTree::default();
    let chosen = random.below(case.files().len().max(1));
    for (at, (path, content)) in case.files().iter().enumerate() {
        let content = match std::str::from_utf8(content) {
            Ok(text) if at == chosen => damaged(text, &mut random),
            _ => content.clone(),
        };
        tree.put(path, EntryKind::File, content);
    }
    let begun = Instant::now();
    let answer = ours(&tree, &case.build, false);
    let problem = match answer {
        Err(error) if error.starts_with("panic") => Some("a panic".to_owned()),
        _ if begun.elapsed() > TIME_LIMIT => Some(format!("{:?}", begun.elapsed())),
        _ => None,
    };
    problem.map(|problem| format!("seed {seed} ({}): {problem}", case.name))
}

#[test]
fn damaged_trees_do_no_harm() {
    let runs = std::env::var(RUNS).map_or(DEFAULT_RUNS, |runs| runs.parse().unwrap());
    let seeds: Vec<u64> = (0..runs).collect();
    let problems: Vec<_> = in_parallel(&seeds, |seed| damage(*seed)).into_iter().flatten().collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
