//! Plain manifests: the YAML and JSON files of a folder, as Argo CD's directory sources.

use super::documents::split;
use super::glob::Glob;
use super::limits::RenderLimits;
use super::manifest::Collector;
use super::parse::{self, ParseError};
use super::recorder::Recorder;
use super::walk::{Filter, Found, join};
use super::{
    EntryKind, RenderContext, RenderError, Renderer, content, invalid_spec, limit, missing_path, unreadable,
    walk_failure,
};
use crate::engine::application::{Directory as Options, Source};
use crate::engine::desired::{Manifest, Origin};
use crate::engine::event::RenderFailure;

/// Text anywhere in a file by which Argo CD leaves it out.
const SKIP_MARKER: &[u8] = b"+argocd:skip-file-rendering";

/// Renderer of plain directories.
#[derive(Clone, Copy, Debug, Default)]
pub struct Directory;

impl Renderer for Directory {
    fn name(&self) -> &'static str {
        "Directory"
    }

    fn version(&self) -> u32 {
        1
    }

    fn render(
        &self,
        tree: &mut Recorder<'_>,
        path: &str,
        source: &Source,
        context: &RenderContext<'_>,
    ) -> Result<Vec<Manifest>, RenderError> {
        let limits = &context.options.limits;
        let filter = filter(source.directory.as_ref())?;
        let found = tree.select(path, &filter, limits).map_err(|error| walk_failure(error, path, limits))?;
        let found = found.ok_or_else(|| missing_path(path))?;
        let mut collector = Collector::new(limits);
        let mut total = 0u64;
        for found in &found {
            let file = join(path, &found.relative);
            let bytes = read(tree, found, &file, limits, &mut total)?;
            if !contains(&bytes, SKIP_MARKER) {
                documents(&bytes, &file, &mut collector)?;
            }
        }
        Ok(collector.finish())
    }
}

fn filter(options: Option<&Options>) -> Result<Filter, RenderFailure> {
    let glob = |name: &str, pattern: Option<&String>| match pattern.map(String::as_str) {
        None | Some("") => Ok(None),
        Some(pattern) => Glob::new(pattern).map(Some).map_err(|error| {
            invalid_spec(format!("spec.source.directory.{name}: {pattern:?} is no valid glob: {error}"))
        }),
    };
    Ok(Filter::Manifests {
        recurse: options.is_some_and(|options| options.recurse),
        include: glob("include", options.and_then(|options| options.include.as_ref()))?,
        exclude: glob("exclude", options.and_then(|options| options.exclude.as_ref()))?,
    })
}

/// Reads a file, within the limits.
fn read(
    tree: &Recorder<'_>,
    found: &Found,
    file: &str,
    limits: &RenderLimits,
    total: &mut u64,
) -> Result<Vec<u8>, RenderFailure> {
    match found.entry.kind {
        EntryKind::File | EntryKind::Folder => {}
        // Following a link needs the rules of a file system, and links out of the repository have been Argo CD's worst
        // holes; leaving it out silently would prune what it points to.
        EntryKind::Link => {
            return Err(content(format!(
                "`{file}` is a symbolic link, which Driftless never follows; put a file in its place, or leave it out with spec.source.directory.exclude"
            )));
        }
        EntryKind::Submodule => {
            return Err(content(format!(
                "`{file}` is a Git submodule, which Driftless doesn't read; make an Application of its repository, and leave it out here with spec.source.directory.exclude"
            )));
        }
    }
    if file.ends_with(".jsonnet") {
        return Err(content(format!(
            "`{file}` needs the jsonnet renderer, which Driftless doesn't have; leave it out with spec.source.directory.exclude"
        )));
    }
    let size = tree.size(&found.entry.id).map_err(unreadable)?;
    if size > limits.max_file_size {
        return Err(limit(
            format!("`{file}` has {size} bytes, more than {}", limits.max_file_size),
            RenderLimits::MAX_FILE_SIZE,
        ));
    }
    *total = total.saturating_add(size);
    if *total > limits.max_total_size {
        return Err(limit(
            format!("the files of the source have more than {} bytes", limits.max_total_size),
            RenderLimits::MAX_TOTAL_SIZE,
        ));
    }
    tree.read(&found.entry.id).map_err(unreadable)
}

/// Takes all documents of a file.
fn documents(bytes: &[u8], file: &str, collector: &mut Collector<'_>) -> Result<(), RenderFailure> {
    let text = text(bytes, file)?;
    if file.ends_with(".json") {
        let origin = Origin { path: file.into(), document: 1, line: 1 };
        let value = parse::json(text).map_err(|error| unparsable(&error, &origin, 1))?;
        return collector.document(value, &origin);
    }
    for document in split(text) {
        let origin = Origin { path: file.into(), document: document.number, line: document.line };
        let value = parse::yaml(document.text).map_err(|error| unparsable(&error, &origin, document.text_line))?;
        if value.is_string() && looks_like_manifest(document.text) {
            return Err(content(format!(
                "{origin}: the whole document is one text, although it has `apiVersion`, `kind` and `metadata`; check its indentation and line breaks"
            )));
        }
        collector.document(value, &origin)?;
    }
    Ok(())
}

fn text<'b>(bytes: &'b [u8], file: &str) -> Result<&'b str, RenderFailure> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
            return content(format!("`{file}` is UTF-16; save it as UTF-8"));
        }
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        content(format!("{file}:{line}: the file is not UTF-8 text; save it as UTF-8"))
    })
}

fn unparsable(error: &ParseError, origin: &Origin, text_line: u32) -> RenderFailure {
    let ParseError { position, reason } = error;
    let Origin { path, document, line } = origin;
    content(match position {
        Some((line, column)) => {
            let line = line.saturating_add(text_line).saturating_sub(1);
            format!("{path}:{line}:{column} (document {document}): {reason}")
        }
        None => format!("{path}:{line} (document {document}): {reason}"),
    })
}

/// The words by which Argo CD tells a broken manifest from some other file.
fn looks_like_manifest(text: &str) -> bool {
    ["apiVersion:", "kind:", "metadata:"].iter().all(|word| text.contains(word))
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
