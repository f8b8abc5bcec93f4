//! Which entries of a folder a renderer asks for.
//!
//! A selection is recorded as one look-up whose result is a digest of what was selected. So an entry that the selection
//! passes over (a README, an excluded file, a folder below a source that does not recurse) can change without the
//! rendering counting as changed, while an entry that comes, goes, is renamed or edited can't.

use super::glob::Glob;
use super::{Entry, EntryKind, Tree, TreeError};
use crate::engine::hash::Hash;

/// What of a folder is selected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Files directly in the folder that change how a source is read: `.argocd-source.yaml` and
    /// `.argocd-source-<application>.yaml`, and, if `tools`, those by which Argo CD detects Helm and kustomize.
    Markers {
        /// Whether the tool is still to be detected.
        tools: bool,
        /// Name of the application.
        application: String,
    },
    /// Files that Argo CD reads as manifests. `exclude` wins over `include`.
    Manifests {
        /// Those of the folders below as well.
        recurse: bool,
        /// Only these paths, relative to the folder.
        include: Option<Glob>,
        /// Not these paths, relative to the folder.
        exclude: Option<Glob>,
    },
}

/// An entry that was selected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Path relative to the folder of the selection.
    pub relative: String,
    /// What is there. Never a folder.
    pub entry: Entry,
}

/// Why a selection failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WalkError {
    /// The tree can't be read.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A folder is too far below; the path is relative to the folder of the selection.
    #[error("`{0}` is too deep")]
    TooDeep(String),
    /// More entries were selected than may be.
    #[error("there are too many files")]
    TooMany,
}

/// Bounds of a walk.
#[derive(Clone, Copy, Debug)]
pub(super) struct WalkLimits {
    pub(super) folders: usize,
    pub(super) entries: usize,
}

/// Names by which Argo CD knows a folder of kustomize.
pub(super) const KUSTOMIZATIONS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
/// End of the names by which Argo CD knows a folder of Helm.
pub(super) const CHART: &str = "Chart.yaml";
/// Begin of the names of files that override parts of a source.
pub(super) const OVERRIDE: &str = ".argocd-source";

const MANIFEST_ENDINGS: [&str; 4] = [".yaml", ".yml", ".json", ".jsonnet"];

impl Filter {
    /// The filter as text, in the form in which selections are recorded: part of the stored memo. The parts are separated
    /// by NUL, which neither a path nor a [`Glob`] contains.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Markers { tools, application } => format!("markers\0{}\0{application}", u8::from(*tools)),
            Self::Manifests { recurse, include, exclude } => {
                let pattern =
                    |glob: &Option<Glob>| glob.as_ref().map_or_else(String::new, |glob| glob.as_str().to_owned());
                format!("manifests\0{}\0{}\0{}", u8::from(*recurse), pattern(include), pattern(exclude))
            }
        }
    }

    /// Reads what [`Self::text`] writes. `None` for anything else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let flag = |part: &str| match part {
            "0" => Some(false),
            "1" => Some(true),
            _ => None,
        };
        let pattern = |part: &str| if part.is_empty() { Some(None) } else { Glob::new(part).ok().map(Some) };
        match *text.split('\0').collect::<Vec<_>>().as_slice() {
            ["markers", tools, application] => {
                Some(Self::Markers { tools: flag(tools)?, application: application.to_owned() })
            }
            ["manifests", recurse, include, exclude] => Some(Self::Manifests {
                recurse: flag(recurse)?,
                include: pattern(include)?,
                exclude: pattern(exclude)?,
            }),
            _ => None,
        }
    }

    const fn recurses(&self) -> bool {
        matches!(self, Self::Manifests { recurse: true, .. })
    }

    fn selects(&self, relative: &str, kind: EntryKind) -> bool {
        match self {
            Self::Markers { tools, application } => {
                let named = is_override(relative, application) || *tools && tool(relative).is_some();
                named && matches!(kind, EntryKind::File | EntryKind::Link)
            }
            Self::Manifests { recurse, include, exclude } => match kind {
                EntryKind::File | EntryKind::Link => {
                    MANIFEST_ENDINGS.iter().any(|ending| relative.ends_with(ending))
                        && !exclude.as_ref().is_some_and(|glob| glob.matches(relative))
                        && include.as_ref().is_none_or(|glob| glob.matches(relative))
                }
                // Argo CD would read the files in it. Those can't be told here, only whether a pattern like `vendor/*`
                // leaves out whatever it may hold.
                EntryKind::Submodule => {
                    let inside = format!("{relative}/");
                    *recurse && !exclude.as_ref().is_some_and(|glob| glob.matches(relative) || glob.matches(&inside))
                }
                EntryKind::Folder => false,
            },
        }
    }
}

/// A tool that renders a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tool {
    /// Helm.
    Helm,
    /// Kustomize.
    Kustomize,
}

/// The tool that a file of this name stands for.
pub(super) fn tool(name: &str) -> Option<Tool> {
    if name.ends_with(CHART) {
        Some(Tool::Helm)
    } else if KUSTOMIZATIONS.contains(&name) {
        Some(Tool::Kustomize)
    } else {
        None
    }
}

/// Whether a file of this name overrides parts of the source of an application (`.argocd-source.yaml`,
/// `.argocd-source-<application>.yaml`).
pub(super) fn is_override(name: &str, application: &str) -> bool {
    let middle = name.strip_prefix(OVERRIDE).and_then(|rest| rest.strip_suffix(".yaml"));
    let named = |middle: &str| middle.strip_prefix('-').is_some_and(|name| !name.is_empty() && name == application);
    middle.is_some_and(|middle| middle.is_empty() || named(middle))
}

/// What `filter` selects in the folder `folder`, which must exist: folder by folder, each by name, as Argo CD walks.
pub(super) fn walk(
    tree: &dyn Tree,
    folder: &str,
    filter: &Filter,
    limits: WalkLimits,
) -> Result<Vec<Found>, WalkError> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), sorted(tree, folder)?)];
    while let Some((prefix, entries)) = open.last_mut() {
        let Some((name, entry)) = entries.next() else {
            open.pop();
            continue;
        };
        let relative = join(prefix, &name);
        if filter.selects(&relative, entry.kind) {
            if found.len() >= limits.entries {
                return Err(WalkError::TooMany);
            }
            found.push(Found { relative, entry });
        } else if entry.kind == EntryKind::Folder && filter.recurses() {
            if open.len() > limits.folders {
                return Err(WalkError::TooDeep(relative));
            }
            let below = sorted(tree, &join(folder, &relative))?;
            open.push((relative, below));
        }
    }
    Ok(found)
}

type Entries = std::vec::IntoIter<(std::sync::Arc<str>, Entry)>;

fn sorted(tree: &dyn Tree, folder: &str) -> Result<Entries, TreeError> {
    let mut entries = tree.list(folder)?;
    // Git orders folders as if their names ended with a slash; manifests are ordered by plain name.
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(entries.into_iter())
}

/// Joins two relative paths, either of which may be empty.
pub(super) fn join(folder: &str, path: &str) -> String {
    match (folder, path) {
        ("", path) => path.to_owned(),
        (folder, "") => folder.to_owned(),
        (folder, path) => format!("{folder}/{path}"),
    }
}

/// Digest of a selection: of the paths, kinds and ids in their order.
pub(super) fn digest(found: &[Found]) -> Hash {
    let mut text = Vec::new();
    for Found { relative, entry } in found {
        text.extend_from_slice(relative.as_bytes());
        text.extend_from_slice(&[0, kind_letter(entry.kind)]);
        text.extend_from_slice(entry.id.as_bytes());
        text.push(b'\n');
    }
    Hash::of(&text)
}

/// One letter for each kind, as it is recorded.
pub(super) const fn kind_letter(kind: EntryKind) -> u8 {
    match kind {
        EntryKind::File => b'f',
        EntryKind::Folder => b'd',
        EntryKind::Link => b'l',
        EntryKind::Submodule => b's',
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::memory::MemoryTree;

    fn manifests(recurse: bool, include: &str, exclude: &str) -> Filter {
        let glob = |text: &str| (!text.is_empty()).then(|| Glob::new(text).unwrap());
        Filter::Manifests { recurse, include: glob(include), exclude: glob(exclude) }
    }

    fn paths(tree: &MemoryTree, folder: &str, filter: &Filter) -> Vec<String> {
        let limits = WalkLimits { folders: 8, entries: 100 };
        walk(tree, folder, filter, limits).unwrap().into_iter().map(|found| found.relative).collect()
    }

    fn tree() -> MemoryTree {
        let mut tree = MemoryTree::of([
            ("app/b.yaml", ""),
            ("app/a.yml", ""),
            ("app/c.json", ""),
            ("app/d.jsonnet", ""),
            ("app/README.md", ""),
            ("app/UPPER.YAML", ""),
            ("app/a/z.yaml", ""),
            ("app/a/deep/y.yaml", ""),
            ("app/Chart.yaml", ""),
            ("app/.argocd-source-web.yaml", ""),
            ("app/.argocd-sources.yaml", ""),
            ("other/x.yaml", ""),
        ]);
        tree.put("app/link.yaml", EntryKind::Link, "b.yaml");
        tree.put("app/link", EntryKind::Link, "a");
        tree.put("app/vendor", EntryKind::Submodule, "1");
        tree
    }

    #[test]
    fn selections_follow_argo_cd() {
        let tree = tree();
        let markers = |tools, application: &str| Filter::Markers { tools, application: application.to_owned() };
        let plain: &[&str] = &[
            ".argocd-source-web.yaml",
            ".argocd-sources.yaml",
            "Chart.yaml",
            "a.yml",
            "b.yaml",
            "c.json",
            "d.jsonnet",
            "link.yaml",
        ];
        assert_eq!(paths(&tree, "app", &manifests(false, "", "")), plain);
        let cases: &[(Filter, &[&str])] = &[
            (manifests(true, "a*", ""), &["a/deep/y.yaml", "a/z.yaml", "a.yml", "vendor"]),
            (manifests(true, "*.yml", "vendor/*"), &["a.yml"]),
            (manifests(true, "{a.yml,b.yaml}", "{a*,vendor}"), &["b.yaml"]),
            (manifests(false, "*", "*.yaml"), &["a.yml", "c.json", "d.jsonnet"]),
            (markers(true, "web"), &[".argocd-source-web.yaml", "Chart.yaml"]),
            (markers(false, "web"), &[".argocd-source-web.yaml"]),
            (markers(false, "we"), &[]),
            (markers(true, ""), &["Chart.yaml"]),
        ];
        for (filter, expected) in cases {
            assert_eq!(paths(&tree, "app", filter), *expected, "{filter:?}");
        }
        assert_eq!(paths(&tree, "", &manifests(true, "*/x.yaml", "*vendor*")), ["other/x.yaml"]);
    }

    #[test]
    fn filters_survive_their_text_form() {
        for filter in [
            Filter::Markers { tools: true, application: "web".to_owned() },
            Filter::Markers { tools: false, application: String::new() },
            manifests(true, "{a,b}*", ""),
            manifests(false, "", "x"),
        ] {
            assert_eq!(Filter::parse(&filter.text()), Some(filter));
        }
        for bad in
            ["", "markers", "markers\x001", "markers\x002\0", "manifests\x001\0", "manifests\x001\0[\0", "tools\x001"]
        {
            assert_eq!(Filter::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn walks_are_bounded() {
        let tree = MemoryTree::of([("a/b/c/d.yaml", ""), ("a.yaml", "")]);
        let walk = |folders, entries| walk(&tree, "", &manifests(true, "", ""), WalkLimits { folders, entries });
        assert_eq!(walk(3, 2).unwrap().len(), 2);
        assert_eq!(walk(2, 2), Err(WalkError::TooDeep("a/b/c".into())));
        assert_eq!(walk(3, 1), Err(WalkError::TooMany));
    }
}
