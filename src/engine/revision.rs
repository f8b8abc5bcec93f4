//! From `targetRevision` to a commit.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::ids::Revision;
use super::semver::{Range, parse_version};

/// The refs of a repository, as one listing showed them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refs {
    /// What `HEAD` points to.
    pub head: Option<Revision>,
    /// Full ref name (`refs/heads/main`, `refs/tags/v1.0.0`) to commit; annotated tags are peeled.
    pub refs: BTreeMap<Arc<str>, Revision>,
}

/// How a commit stands to one that a ref named before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ancestry {
    /// It is the same commit, or has it among its ancestors: history went on.
    Follows,
    /// It has not: the history was rewritten.
    Rewritten,
    /// As far as the history was followed, that can't be told.
    Unknown,
}

/// Prefix of branches' full names.
pub const BRANCHES: &str = "refs/heads/";
/// Prefix of tags' full names.
pub const TAGS: &str = "refs/tags/";

/// What a `targetRevision` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The commit.
    pub revision: Revision,
    /// Full name of the ref that names it (`HEAD` included); `None` for a commit id. A hint for fetching.
    pub reference: Option<Arc<str>>,
}

/// Why a `targetRevision` names no commit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// There is no such branch or tag.
    #[error(
        "targetRevision {0:?} is neither a branch nor a tag of the repository, nor a full commit id; check its spelling, and that \
         it was pushed"
    )]
    NotFound(String),
    /// The full name of a ref outside of branches and tags.
    #[error(
        "targetRevision {0:?} is a ref outside of refs/heads/ and refs/tags/; only branches and tags are looked at"
    )]
    ForeignRef(String),
    /// The repository has no `HEAD`: it is empty, or `HEAD` names a branch that does not exist.
    #[error(
        "HEAD of the repository names no commit: it is empty, or its default branch does not exist; set targetRevision to a branch"
    )]
    NoHead,
    /// A range that no tag is in.
    #[error(
        "no tag of the repository is in the version range {range:?} ({tags} of its tags are versions); pre-releases count only if \
         the range names one, as in \">=1.0.0-0\""
    )]
    NoVersion {
        /// The range.
        range: String,
        /// How many tags could be read as versions.
        tags: usize,
    },
    /// Looks like the beginning of a commit id.
    #[error(
        "targetRevision {0:?} looks like a shortened commit id, which a listing of refs can't resolve; write all 40 digits"
    )]
    Abbreviated(String),
}

/// Whether [`resolve`] needs a listing of refs for this `targetRevision`: not for a full commit id.
pub fn needs_listing(target: &str) -> bool {
    Revision::parse(target.trim()).is_none()
}

/// Resolves a `targetRevision` as Argo CD does: a full commit id stands for itself; a version range (that is not itself a
/// version) picks the highest tag in it; otherwise it is `HEAD` (or empty), a full ref name, a branch or a tag. A branch wins
/// over a tag of the same name. A range without a match falls back to a branch or tag of that very name (`1.x`).
pub fn resolve(refs: &Refs, target: &str) -> Result<Resolved, ResolveError> {
    let target = target.trim();
    if let Some(revision) = Revision::parse(target) {
        return Ok(Resolved { revision, reference: None });
    }
    if target.is_empty() || target == "HEAD" {
        let revision = refs.head.clone().ok_or(ResolveError::NoHead)?;
        return Ok(Resolved { revision, reference: Some("HEAD".into()) });
    }
    let range = if parse_version(target).is_none() { Range::parse(target) } else { None };
    if let Some(found) = range.as_ref().and_then(|range| highest_tag(refs, range)) {
        return Ok(found);
    }
    for name in [target.to_owned(), format!("{BRANCHES}{target}"), format!("{TAGS}{target}")] {
        if let Some((name, revision)) = refs.refs.get_key_value(name.as_str()) {
            return Ok(Resolved { revision: revision.clone(), reference: Some(name.clone()) });
        }
    }
    Err(why_not_found(refs, target, range.is_some()))
}

/// The highest version in the range; of equal ones (`v1.0.0` and `1.0.0`) the first by name.
fn highest_tag(refs: &Refs, range: &Range) -> Option<Resolved> {
    let mut best: Option<(semver::Version, Resolved)> = None;
    for (name, revision) in &refs.refs {
        let Some(version) = name.strip_prefix(TAGS).and_then(parse_version) else { continue };
        let higher = best.as_ref().is_none_or(|(best, _)| version.cmp_precedence(best) == Ordering::Greater);
        if higher && range.contains(&version) {
            best = Some((version, Resolved { revision: revision.clone(), reference: Some(name.clone()) }));
        }
    }
    best.map(|(_, resolved)| resolved)
}

fn why_not_found(refs: &Refs, target: &str, is_range: bool) -> ResolveError {
    let owned = || target.chars().take(200).collect::<String>();
    if is_range {
        let tags = refs.refs.keys().filter(|name| name.strip_prefix(TAGS).and_then(parse_version).is_some()).count();
        return ResolveError::NoVersion { range: owned(), tags };
    }
    if target.starts_with("refs/") && !target.starts_with(BRANCHES) && !target.starts_with(TAGS) {
        return ResolveError::ForeignRef(owned());
    }
    let hexadecimal = target.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hexadecimal && (7..40).contains(&target.len()) {
        return ResolveError::Abbreviated(owned());
    }
    ResolveError::NotFound(owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The commit that consists of one digit.
    fn commit(digit: char) -> Revision {
        Revision::parse(&digit.to_string().repeat(40)).unwrap()
    }

    fn listing() -> Refs {
        let refs = [
            ("refs/heads/main", 'a'),
            ("refs/heads/release", 'b'),
            ("refs/heads/feature/x", 'c'),
            ("refs/heads/1.x", 'd'),
            ("refs/heads/7.x", 'e'),
            ("refs/heads/abcdef1", 'f'),
            ("refs/tags/release", '0'),
            ("refs/tags/v1.0.0", '1'),
            ("refs/tags/v1.2.0", '2'),
            ("refs/tags/1.10.0", '3'),
            ("refs/tags/v1.11.0-rc.1", '4'),
            ("refs/tags/v2.0.0", '5'),
            ("refs/tags/v2.0", '6'),
            ("refs/tags/nightly", '7'),
            ("refs/tags/v0.0.0", '8'),
            ("refs/tags/team/v9.0.0", '9'),
        ];
        Refs {
            head: Some(commit('a')),
            refs: refs.into_iter().map(|(name, digit)| (name.into(), commit(digit))).collect(),
        }
    }

    #[test]
    fn targets_resolve_as_argo_cd_resolves_them() {
        let cases = [
            ("", 'a', "HEAD"),
            ("HEAD", 'a', "HEAD"),
            (" main ", 'a', "refs/heads/main"),
            ("main", 'a', "refs/heads/main"),
            ("feature/x", 'c', "refs/heads/feature/x"),
            ("refs/heads/release", 'b', "refs/heads/release"),
            ("refs/tags/release", '0', "refs/tags/release"),
            // A branch wins over a tag.
            ("release", 'b', "refs/heads/release"),
            ("nightly", '7', "refs/tags/nightly"),
            // A branch whose name looks like a shortened commit id.
            ("abcdef1", 'f', "refs/heads/abcdef1"),
            // Versions are pins: the tag of exactly that name.
            ("v2.0", '6', "refs/tags/v2.0"),
            ("v1.2.0", '2', "refs/tags/v1.2.0"),
            // Ranges pick the highest tag, over a branch of the same name.
            ("1.x", '3', "refs/tags/1.10.0"),
            ("v1.*", '3', "refs/tags/1.10.0"),
            ("^1.0.0", '3', "refs/tags/1.10.0"),
            ("~1.2.0", '2', "refs/tags/v1.2.0"),
            (">=1.0.0 <1.5.0", '2', "refs/tags/v1.2.0"),
            (">=1.0.0-0 <2.0.0-0", '4', "refs/tags/v1.11.0-rc.1"),
            ("<1.0.0", '8', "refs/tags/v0.0.0"),
            // 2.0.0 twice: the first by name.
            ("*", '6', "refs/tags/v2.0"),
            // No tag in the range: the branch of that name.
            ("7.x", 'e', "refs/heads/7.x"),
        ];
        for (target, digit, reference) in cases {
            let resolved = resolve(&listing(), target);
            let expected = Resolved { revision: commit(digit), reference: Some(reference.into()) };
            assert_eq!(resolved, Ok(expected), "{target:?}");
        }
    }

    #[test]
    fn full_commit_ids_stand_for_themselves() {
        let id = "0123456789ABCDEF0123456789abcdef01234567";
        assert!(!needs_listing(id));
        let resolved = resolve(&Refs::default(), id).unwrap();
        assert_eq!(resolved.revision.as_str(), id.to_ascii_lowercase());
        assert_eq!(resolved.reference, None);
        for target in ["", "HEAD", "main", "0123456", "v1.0.0", "1.x"] {
            assert!(needs_listing(target), "{target:?}");
        }
    }

    #[test]
    fn what_names_nothing_says_why() {
        let cases = [
            ("gone", ResolveError::NotFound("gone".into())),
            ("v9", ResolveError::NotFound("v9".into())),
            ("refs/heads/gone", ResolveError::NotFound("refs/heads/gone".into())),
            ("team/v9", ResolveError::NotFound("team/v9".into())),
            ("refs/pull/1/head", ResolveError::ForeignRef("refs/pull/1/head".into())),
            ("0123456", ResolveError::Abbreviated("0123456".into())),
            ("deadbee", ResolveError::Abbreviated("deadbee".into())),
            ("DEADBEEF00", ResolveError::Abbreviated("DEADBEEF00".into())),
            ("deadbe", ResolveError::NotFound("deadbe".into())),
            (">=3.0.0", ResolveError::NoVersion { range: ">=3.0.0".into(), tags: 7 }),
        ];
        for (target, expected) in cases {
            assert_eq!(resolve(&listing(), target), Err(expected), "{target:?}");
        }
        assert_eq!(resolve(&Refs::default(), "HEAD"), Err(ResolveError::NoHead));
    }
}
