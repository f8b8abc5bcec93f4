//! The cases in `tests/render/cases`; its README says how one is written.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use driftless::render::EntryKind;
use driftless::render::memory::MemoryTree;

/// Separates a case from the program's answer.
const OUTPUT: &str = "== output ==\n";
/// The file that holds what several cases use.
const SHARED: &str = "shared.txt";

/// One tree, and what kustomize makes of it.
#[derive(Debug)]
pub(super) struct Case {
    /// Where it is written.
    pub(super) file: PathBuf,
    /// Folder and name of its file.
    pub(super) name: String,
    /// Everything in front of the output.
    pub(super) source: String,
    /// The folder to build.
    pub(super) build: String,
    /// Flags for the program.
    pub(super) flags: Vec<String>,
    /// Why the build must fail, if it must.
    pub(super) fails: Option<String>,
    /// The output that is written down.
    pub(super) output: Option<String>,
    files: BTreeMap<String, Vec<u8>>,
    /// Targets of symbolic links, by path.
    links: BTreeMap<String, String>,
}

impl Case {
    /// All cases, by name.
    pub(super) fn all() -> &'static [Self] {
        static ALL: OnceLock<Vec<Case>> = OnceLock::new();
        ALL.get_or_init(|| {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/render/cases");
            let shared = Self::read(root.join(SHARED), &root, &BTreeMap::new()).files;
            let mut found = Vec::new();
            for folder in entries(&root).into_iter().filter(|path| path.is_dir()) {
                found.extend(entries(&folder).into_iter().map(|file| Self::read(file, &root, &shared)));
            }
            found
        })
    }

    fn read(file: PathBuf, root: &Path, shared: &BTreeMap<String, Vec<u8>>) -> Self {
        let name = file.strip_prefix(root).unwrap().with_extension("").to_str().unwrap().to_owned();
        let text = fs::read_to_string(&file).unwrap();
        let (source, output) = match text.split_once(&format!("\n{OUTPUT}")) {
            Some((source, output)) => (format!("{source}\n"), Some(output.to_owned())),
            None => (text, None),
        };
        let (head, mut files, links) = sections(&source, &name);
        let value = |key: &str| head.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
        for path in value("use").unwrap_or_default().split_whitespace() {
            let last = path.rsplit('/').next().unwrap_or(path);
            let content = shared.get(last).unwrap_or_else(|| panic!("{name}: {last} is not shared"));
            files.insert(path.to_owned(), content.clone());
        }
        Self {
            build: value("build").unwrap_or(".").to_owned(),
            flags: value("flags").unwrap_or_default().split_whitespace().map(str::to_owned).collect(),
            fails: value("fails").map(str::to_owned),
            file,
            name,
            source,
            output,
            files,
            links,
        }
    }

    /// The folder of its file.
    pub(super) fn feature(&self) -> &str {
        self.name.split_once('/').map_or("", |(feature, _)| feature)
    }

    /// Path and content of its files.
    pub(super) fn files(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.files
    }

    /// The tree in memory.
    pub(super) fn tree(&self) -> MemoryTree {
        let mut tree = MemoryTree::default();
        for (path, content) in &self.files {
            tree.put(path, EntryKind::File, content.clone());
        }
        for (path, target) in &self.links {
            tree.put(path, EntryKind::Link, target.as_str());
        }
        tree
    }

    /// The tree on disk.
    pub(super) fn write_to(&self, folder: &Path) {
        for (path, content) in &self.files {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        for (path, target) in &self.links {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(target, path).unwrap();
        }
    }

    /// Everything that the program's answer depends on.
    pub(super) fn key(&self) -> Vec<u8> {
        let mut key = format!("{}\0{}\0", self.build, self.flags.join(" ")).into_bytes();
        for (path, content) in &self.files {
            key.extend(format!("{path}\0{}\0", content.len()).into_bytes());
            key.extend(content);
        }
        for (path, target) in &self.links {
            key.extend(format!("{path}\0->{target}\0").into_bytes());
        }
        key
    }

    /// Writes an output into the case's file.
    pub(super) fn write_output(&self, output: &str) {
        fs::write(&self.file, format!("{}{OUTPUT}{output}", self.source)).unwrap();
    }
}

/// The lines in front of the first file, the files and the links.
fn sections(source: &str, name: &str) -> (String, BTreeMap<String, Vec<u8>>, BTreeMap<String, String>) {
    let mut head = String::new();
    let mut parts: Vec<(&str, &str, String)> = Vec::new();
    for line in source.split_inclusive('\n') {
        let marker = line.strip_prefix("-- ").and_then(|line| line.trim_end_matches('\n').strip_suffix(" --"));
        match (marker, parts.last_mut()) {
            (Some(marker), _) => {
                let (path, form) = marker.split_once(" (").unwrap_or((marker, ""));
                parts.push((path, form.trim_end_matches(')'), String::new()));
            }
            (None, Some((_, _, content))) => content.push_str(line),
            (None, None) => head.push_str(line),
        }
    }
    let (mut files, mut links) = (BTreeMap::new(), BTreeMap::new());
    for (path, form, content) in parts {
        let content = match form.split_once(' ') {
            None if form.is_empty() => content.into_bytes(),
            None if form == "escaped" => unescape(&content),
            None if form == "link" => {
                links.insert(path.to_owned(), content.trim_end().to_owned());
                continue;
            }
            Some(("times", count)) => content.repeat(count.parse().unwrap()).into_bytes(),
            _ => panic!("{name}: {path}: unknown form {form:?}"),
        };
        assert!(files.insert(path.to_owned(), content).is_none(), "{name}: {path} is given twice");
    }
    (head, files, links)
}

fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.bytes().filter(|byte| *byte != b'\n');
    let mut next = || rest.next();
    while let Some(byte) = next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        out.push(match next() {
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'\\') => b'\\',
            Some(b'x') => {
                let digits = [next().unwrap(), next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            other => panic!("unknown escape {other:?}"),
        });
    }
    out
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}
