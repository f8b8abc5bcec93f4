//! The rules of the source tree that no compiler checks: who may name what, how long things may be, what must not be left
//! lying around.

use std::fs;
use std::path::{Path, PathBuf};

/// Longest file of code, in lines. The aim is 400; a test module may be longer.
const MAX_FILE_LINES: usize = 450;
/// Longest function, in lines.
const MAX_FUNCTION_LINES: usize = 70;
/// The same for a test, which may hold a table.
const MAX_TEST_LINES: usize = 150;

/// Folders that are pure: time, randomness and everything else arrives as an argument.
const PURE: [&str; 2] = ["src/engine/", "src/render/"];
/// What pure code must not name.
const IMPURE: [&str; 21] = [
    "tokio",
    "tokio_util",
    "kube",
    "kube_runtime",
    "k8s_openapi",
    "redb",
    "gix",
    "axum",
    "reqwest",
    "hyper",
    "rand",
    "tracing",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "SystemTime",
    "jiff::Timestamp::now",
];
/// Libraries that one folder alone may name.
const OWNED: [(&str, &str); 7] = [
    ("gix", "src/git/"),
    ("kube", "src/cluster/"),
    ("kube_runtime", "src/cluster/"),
    ("k8s_openapi", "src/cluster/"),
    ("redb", "src/store/"),
    ("axum", "src/api/"),
    ("prometheus_client", "src/api/"),
];
/// Files outside of the owner's folder that may name a library as well.
const ALSO: [(&str, &str); 1] = [
    // The model keeps its state on disk, too, and imports nothing of the agent.
    ("redb", "src/sim/disk.rs"),
];
/// Layers, and the modules of this package that each may import.
const LAYERS: [(&str, &[&str]); 9] = [
    ("src/engine/", &["engine"]),
    ("src/render/", &["engine", "render"]),
    ("src/git/", &["engine", "render", "git"]),
    ("src/cluster/", &["engine", "render", "cluster"]),
    ("src/store/", &["engine", "render", "store"]),
    ("src/api/", &["engine", "render", "api"]),
    ("src/runtime/", &["engine", "render", "git", "cluster", "store", "api", "runtime"]),
    ("src/cli/", &["engine", "render", "git", "cluster", "store", "api", "runtime", "cli", "sim"]),
    // The model is a witness of its own: it takes nothing from the agent.
    ("src/sim/", &["sim"]),
];
/// All modules of the package.
const MODULES: [&str; 9] = ["engine", "render", "git", "cluster", "store", "api", "runtime", "cli", "sim"];
/// What must not stand in any file, in halves so that this file does not hold it.
const LEFTOVERS: [(&str, &str); 9] = [
    ("TO", "DO"),
    ("FIX", "ME"),
    ("XX", "X:"),
    ("#[ign", "ore"),
    ("allow(dead", "_code)"),
    ("todo", "!("),
    ("unimple", "mented!("),
    ("/work", "/"),
    ("/root", "/"),
];

/// One source file.
struct Source {
    /// Path from the root of the repository, with `/`.
    path: String,
    text: String,
}

impl Source {
    fn is_test(&self) -> bool {
        self.path.starts_with("tests/") || self.path.ends_with("tests.rs") || self.path.contains("/tests/")
    }

    /// The code in front of the tests at the end of the file, without comments and the content of literals.
    fn code(&self) -> String {
        let text = strip(&self.text);
        match text.find("#[cfg(test)]\nmod tests {") {
            Some(tests) => text.get(..tests).unwrap_or_default().to_owned(),
            None => text,
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folders: &[&str], extension: &str) -> Vec<Source> {
    let mut found = Vec::new();
    for folder in folders {
        collect(&root().join(folder), extension, &mut found);
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn collect(folder: &Path, extension: &str, found: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path: PathBuf = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, extension, found);
        } else if path.extension().is_some_and(|found| found == extension) {
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
            found.push(Source { path: name, text: fs::read_to_string(&path).unwrap() });
        }
    }
}

/// `text` with comments and the content of string and character literals blanked out; line ends stay.
fn strip(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = literal(rest).unwrap_or(0);
        if length == 0 {
            out.push(c);
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        } else {
            let (blank, tail) = rest.split_at(length);
            out.extend(blank.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = tail;
        }
    }
    out
}

/// Length of the comment or literal that `text` begins with.
fn literal(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(text.find("*/").map_or(text.len(), |end| end + 2));
    }
    if let Some(raw) = text.strip_prefix('r') {
        let content = raw.trim_start_matches('#');
        let hashes = raw.len() - content.len();
        if let Some(content) = content.strip_prefix('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let start = text.len() - content.len();
            return Some(content.find(&end).map_or(text.len(), |at| start + at + end.len()));
        }
    }
    if let Some(string) = text.strip_prefix('"') {
        return Some(1 + escaped_end(string, '"'));
    }
    let quoted = text.strip_prefix('\'')?;
    // 'a' and '\n' are characters; 'a without a closing quote is a lifetime.
    let first = quoted.chars().next()?;
    let closed = quoted.get(first.len_utf8()..)?.starts_with('\'');
    (first == '\\' || closed).then(|| 1 + escaped_end(quoted, '\''))
}

/// Offset behind the quote that ends a literal, minding backslashes.
fn escaped_end(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if c == quote && !escaped {
            return at + c.len_utf8();
        }
        escaped = c == '\\' && !escaped;
    }
    text.len()
}

/// Lines (from 1) at which `path`, like `std::fs` or `kube`, is named as a path of its own. `std::time::Instant` is also found
/// in `use std::time::{Duration, Instant}`.
fn named(code: &str, path: &str) -> Vec<usize> {
    let flat = flatten_imports(code);
    let boundary = |c: Option<char>| !c.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':');
    let mut lines = Vec::new();
    for (at, _) in flat.match_indices(path) {
        let before = flat.get(..at).and_then(|text| text.chars().next_back());
        let after = flat.get(at + path.len()..).unwrap_or_default();
        let whole = !after.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        // A library is named by a path, an import or an attribute; a field or variable of the same name is something else.
        let used = path.contains("::")
            || path.starts_with(char::is_uppercase)
            || after.starts_with("::")
            || is_import(&flat, at);
        if boundary(before) && whole && used {
            lines.push(flat.get(..at).unwrap_or_default().matches('\n').count() + 1);
        }
    }
    lines
}

/// Whether the word at `at` follows `use` or `extern crate`.
fn is_import(code: &str, at: usize) -> bool {
    let before = code.get(..at).unwrap_or_default().trim_end();
    before.ends_with("use") || before.ends_with("extern crate")
}

/// `use a::{b, c::{d, e}};` as `use a::b, a::c::d, a::c::e;`, on as many lines.
fn flatten_imports(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find("use ") {
        let (before, import) = rest.split_at(at);
        out.push_str(before);
        let end = import.find(';').unwrap_or(import.len());
        let (import, tail) = import.split_at(end);
        out.push_str("use ");
        let tree = import.strip_prefix("use ").unwrap_or_default();
        let flat = if tree.contains(['(', '=']) { tree.to_owned() } else { flatten(tree) };
        out.push_str(&flat);
        rest = tail;
    }
    out.push_str(rest);
    out
}

fn flatten(tree: &str) -> String {
    let mut out = String::new();
    let mut prefixes: Vec<String> = vec![String::new()];
    let mut current = String::new();
    for c in tree.chars() {
        match c {
            '{' => {
                let prefix = prefixes.last().cloned().unwrap_or_default() + current.trim();
                prefixes.push(prefix);
                current.clear();
            }
            '}' | ',' => {
                if !current.trim().is_empty() {
                    out.push_str(prefixes.last().map(String::as_str).unwrap_or_default());
                    out.push_str(current.trim());
                    out.push(' ');
                }
                current.clear();
                if c == '}' {
                    prefixes.pop();
                }
            }
            '\n' => out.push('\n'),
            c => current.push(c),
        }
    }
    out.push_str(prefixes.last().map(String::as_str).unwrap_or_default());
    out.push_str(current.trim());
    out
}

/// Name, first line and number of lines of each function of code that is formatted by rustfmt.
fn functions(code: &str) -> Vec<(String, usize, usize)> {
    let lines: Vec<&str> = code.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let Some(name) = function_name(trimmed) else { continue };
        let indent = line.len() - trimmed.len();
        let end = lines.iter().enumerate().skip(at).find(|(_, line)| {
            let closing = line.len() - line.trim_start().len() == indent;
            closing && (line.trim_start().starts_with('}') || line.trim_end().ends_with([';', '}']))
        });
        found.push((name.to_owned(), at + 1, end.map_or(lines.len(), |(end, _)| end) - at + 1));
    }
    found
}

fn function_name(line: &str) -> Option<&str> {
    let mut words = line.split(' ');
    for word in words.by_ref() {
        match word {
            "pub" | "const" | "async" | "extern" | "unsafe" => {}
            "fn" => break,
            word if word.starts_with("pub(") || word.ends_with(')') && line.starts_with("pub(in") => {}
            _ => return None,
        }
    }
    words.next()?.split(['(', '<']).next()
}

#[track_caller]
fn assert_none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

#[test]
fn the_core_is_pure() {
    let mut found = Vec::new();
    for source in sources(&PURE, "rs").iter().filter(|source| !source.is_test()) {
        let code = source.code();
        for name in IMPURE {
            found.extend(named(&code, name).iter().map(|line| format!("{}:{line}: {name}", source.path)));
        }
    }
    assert_none("engine and render must not name what reaches outside", &found);
}

#[test]
fn each_library_has_one_owner() {
    let mut found = Vec::new();
    for source in sources(&["src"], "rs") {
        let code = strip(&source.text);
        for (library, owner) in OWNED {
            if !source.path.starts_with(owner) && !ALSO.contains(&(library, source.path.as_str())) {
                found.extend(
                    named(&code, library)
                        .iter()
                        .map(|line| format!("{}:{line}: {library} belongs to {owner}", source.path)),
                );
            }
        }
    }
    assert_none("libraries are named in one folder only", &found);
}

#[test]
fn imports_follow_the_layers() {
    let mut found = Vec::new();
    for source in sources(&["src"], "rs") {
        let Some((_, allowed)) = LAYERS.iter().find(|(folder, _)| source.path.starts_with(folder)) else { continue };
        let code = strip(&source.text);
        for module in MODULES.iter().filter(|module| !allowed.contains(module)) {
            let lines = named(&code, &format!("crate::{module}"));
            found.extend(lines.iter().map(|line| format!("{}:{line}: crate::{module}", source.path)));
        }
    }
    assert_none("main → cli → runtime → {git, cluster, store, api} → render, engine", &found);
}

#[test]
fn every_folder_has_its_place() {
    let mut folders: Vec<String> = Vec::new();
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            folders.push(format!("src/{}/", entry.file_name().to_str().unwrap()));
        }
    }
    folders.retain(|folder| !LAYERS.iter().any(|(known, _)| known == folder));
    assert_none("folders without a place in the layers", &folders);
}

#[test]
fn files_and_functions_are_short() {
    let mut found = Vec::new();
    for source in sources(&["src", "tests", "benches"], "rs") {
        let lines = source.text.lines().count();
        if lines > MAX_FILE_LINES && !source.is_test() {
            found.push(format!("{}: {lines} lines, {MAX_FILE_LINES} at most", source.path));
        }
        for (name, line, length) in functions(&strip(&source.text)) {
            let most = if source.is_test() { MAX_TEST_LINES } else { MAX_FUNCTION_LINES };
            if length > most {
                found.push(format!("{}:{line}: fn {name} has {length} lines, {most} at most", source.path));
            }
        }
    }
    assert_none("too long", &found);
}

#[test]
fn nothing_is_left_lying_around() {
    let mut files = sources(&["src", "tests", "benches", "deploy", "hack"], "rs");
    for (folders, extension) in [(&["deploy", "hack"][..], "yaml"), (&["hack"][..], "sh")] {
        files.extend(sources(folders, extension));
    }
    let mut found = Vec::new();
    for source in files {
        for (number, line) in source.text.lines().enumerate() {
            for (a, b) in LEFTOVERS {
                if line.contains(&format!("{a}{b}")) {
                    found.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
                }
            }
        }
    }
    assert_none("unfinished work, skipped tests or paths of one machine", &found);
}

#[test]
fn every_test_file_is_registered() {
    let files = sources(&["src", "tests"], "rs");
    let mut found = Vec::new();
    for source in files.iter().filter(|source| source.path.starts_with("tests/") || source.is_test()) {
        if source.path == "tests/main.rs" {
            continue;
        }
        let path = Path::new(&source.path);
        let folder = path.parent().unwrap();
        let (owner, module) = if path.file_stem().unwrap() == "mod" {
            (folder.parent().unwrap(), folder.file_name().unwrap())
        } else {
            (folder, path.file_stem().unwrap())
        };
        let declaration = format!("mod {};", module.to_str().unwrap());
        let by_path = format!("#[path = \"{}\"]", path.file_name().unwrap().to_str().unwrap());
        let registered = files.iter().any(|file| {
            let inside = Path::new(&file.path).starts_with(owner) || Path::new(&file.path).with_extension("") == owner;
            inside
                && (file.text.lines().any(|line| line.trim_start().ends_with(&declaration))
                    || file.text.contains(&by_path))
        });
        if !registered {
            found.push(source.path.clone());
        }
    }
    assert_none("test files that no module declares: their tests never run", &found);
}

mod checks {
    //! The checks above, checked.

    use super::*;

    #[test]
    fn names_are_found_where_they_are_code() {
        let code = strip(
            "use std::{fs, time::{Duration, Instant}};\nuse kube::Api;\n// tokio::spawn\nlet s = \"redb::x\"; let axum = 1;\n\
             use super::time::Instant;\ncrate::store::open();\nlet c = '\"'; gix::open();\nuse rand;\nself.kube.x();\n",
        );
        let cases: [(&str, &[usize]); 11] = [
            ("std::fs", &[1]),
            ("std::time::Instant", &[1]),
            ("std::time::SystemTime", &[]),
            ("kube", &[2]),
            ("tokio", &[]),
            ("redb", &[]),
            ("axum", &[]),
            ("gix", &[7]),
            ("rand", &[8]),
            ("crate::store", &[6]),
            ("crate::api", &[]),
        ];
        for (name, lines) in cases {
            assert_eq!(named(&code, name), lines, "{name} in\n{}", flatten_imports(&code));
        }
        assert_eq!(named("use crate::{\n    engine::x,\n    api::y,\n};\n", "crate::api").len(), 1);
    }

    #[test]
    fn functions_are_measured() {
        let code = "pub(super) async fn a() {\n    x();\n}\n\nimpl T {\n    fn b(\n        c: u8,\n    ) -> u8 {\n        c\n    }\n    fn d(&self);\n}\n";
        let found = functions(code);
        let expected = [("a", 1, 3), ("b", 6, 5), ("d", 11, 1)];
        let found: Vec<_> = found.iter().map(|(name, line, length)| (name.as_str(), *line, *length)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn literals_are_blanked() {
        let cases = [
            ("a \"b\\\"c\" d // e\nf", "a        d     \nf"),
            ("'a' 'b: /* i\n */ j", "    'b:     \n    j"),
            ("r\"a\\\" b", "      b"),
            ("r#\"a\"b\"# c", "         c"),
            ("for r in x", "for r in x"),
        ];
        for (text, expected) in cases {
            assert_eq!(strip(text), expected, "{text}");
        }
    }
}
