//! Version ranges over tags, with the grammar and meaning of the Go library `Masterminds/semver` v3 that Argo CD uses for
//! `targetRevision` (3.4: a pre-release matches only where a comparator of the same group has one).
//!
//! ```text
//! range      = group *( "||" group )
//! group      = comparator *( ( "," / 1*SP ) comparator )   ; all of them must hold
//! comparator = [ "=" / "!=" / ">" / "<" / ">=" / "=>" / "<=" / "=<" / "~" / "~>" / "^" ] partial
//!            / partial " - " partial                        ; both ends included
//! partial    = [ "v" ] part [ "." part [ "." part ] ] [ "-" pre-release ] [ "+" build ]
//! part       = number / "x" / "X" / "*"
//! ```

use std::cmp::Ordering;

use semver::{BuildMetadata, Prerelease, Version};

/// Longest text that is looked at as a version or a range, in bytes.
const MAX_LENGTH: usize = 256;

/// Reads a version as people write tags: an optional `v`, one to three numbers (leading zeros allowed), an optional
/// pre-release and build metadata. `None` if `text` is not a version.
pub fn parse_version(text: &str) -> Option<Version> {
    if text.len() > MAX_LENGTH {
        return None;
    }
    let partial = Partial::parse(text)?;
    let [major, minor, patch] = partial.parts;
    let number = |part: Part| match part {
        Part::Number(number) => Some(number),
        Part::Absent => Some(0),
        Part::Wildcard => None,
    };
    Some(Version {
        major: number(major)?,
        minor: number(minor)?,
        patch: number(patch)?,
        pre: partial.pre,
        build: BuildMetadata::EMPTY,
    })
}

/// A range of versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// At least one group must hold.
    groups: Vec<Group>,
}

/// Comparators that must all hold.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    comparators: Vec<Comparator>,
    /// A comparator names a pre-release: pre-releases take part.
    pre_releases: bool,
}

impl Range {
    /// Reads a range. `None` if `text` is not one. A plain version (`1.2.3`, `v2`) is a range, too: callers that mean a tag
    /// of that name ask [`parse_version`] first, as Argo CD does.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_LENGTH {
            return None;
        }
        let groups = text.split("||").map(Group::parse).collect::<Option<Vec<_>>>()?;
        Some(Self { groups })
    }

    /// Whether `version` is in the range.
    pub fn contains(&self, version: &Version) -> bool {
        self.groups.iter().any(|group| {
            (version.pre.is_empty() || group.pre_releases) && group.comparators.iter().all(|c| c.holds(version))
        })
    }
}

impl Group {
    fn parse(text: &str) -> Option<Self> {
        let mut comparators = Vec::new();
        let mut rest = text.trim_start();
        loop {
            let (operator, after) = Operator::strip(rest);
            let (first, after) = take_partial(after.trim_start())?;
            if let Some((second, after)) = strip_hyphen(after).map(take_partial).unwrap_or_default() {
                if operator != Operator::Equal || rest.starts_with('=') {
                    return None;
                }
                comparators.push(Comparator { operator: Operator::GreaterEqual, partial: first });
                comparators.push(Comparator { operator: Operator::LessEqual, partial: second });
                rest = after;
            } else {
                comparators.push(Comparator { operator, partial: first });
                rest = after;
            }
            let separated = rest.trim_start();
            if separated.is_empty() {
                break;
            }
            if let Some(after_comma) = separated.strip_prefix(',') {
                rest = after_comma.trim_start();
            } else if separated.len() < rest.len() {
                rest = separated;
            } else {
                return None;
            }
        }
        let pre_releases = comparators.iter().any(|comparator| !comparator.partial.pre.is_empty());
        Some(Self { comparators, pre_releases })
    }
}

/// Splits off the leading partial version, which ends at white space, a comma or the end.
fn take_partial(text: &str) -> Option<(Partial, &str)> {
    let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
    let (partial, rest) = text.split_at_checked(end)?;
    Some((Partial::parse(partial)?, rest))
}

/// What follows ` - ` (with white space on both sides).
fn strip_hyphen(text: &str) -> Option<&str> {
    let after = text.trim_start();
    if after.len() == text.len() {
        return None;
    }
    let after = after.strip_prefix('-')?;
    let trimmed = after.trim_start();
    (trimmed.len() < after.len()).then_some(trimmed)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
    Tilde,
    Caret,
}

impl Operator {
    /// The operator at the start of `text`, and what follows. No operator means `=`.
    fn strip(text: &str) -> (Self, &str) {
        const OPERATORS: [(&str, Operator); 11] = [
            (">=", Operator::GreaterEqual),
            ("=>", Operator::GreaterEqual),
            ("<=", Operator::LessEqual),
            ("=<", Operator::LessEqual),
            ("!=", Operator::NotEqual),
            ("~>", Operator::Tilde),
            ("~", Operator::Tilde),
            ("^", Operator::Caret),
            (">", Operator::Greater),
            ("<", Operator::Less),
            ("=", Operator::Equal),
        ];
        for (sign, operator) in OPERATORS {
            if let Some(rest) = text.strip_prefix(sign) {
                return (operator, rest);
            }
        }
        (Self::Equal, text)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Number(u64),
    Wildcard,
    Absent,
}

impl Part {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "x" | "X" | "*" => Some(Self::Wildcard),
            _ if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok().map(Self::Number),
            _ => None,
        }
    }
}

/// A version of which parts may be missing.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Partial {
    parts: [Part; 3],
    pre: Prerelease,
}

impl Partial {
    fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let (text, build) = text.split_once('+').map_or((text, None), |(text, build)| (text, Some(build)));
        if build.is_some_and(|build| BuildMetadata::new(build).is_err() || build.is_empty()) {
            return None;
        }
        let (numbers, pre) = text.split_once('-').map_or((text, None), |(numbers, pre)| (numbers, Some(pre)));
        let pre = match pre {
            Some("") => return None,
            Some(pre) => Prerelease::new(pre).ok()?,
            None => Prerelease::EMPTY,
        };
        let mut parts = [Part::Absent; 3];
        let mut given = numbers.split('.');
        for (index, part) in parts.iter_mut().enumerate() {
            match given.next() {
                Some(text) => *part = Part::parse(text)?,
                None if index == 0 => return None,
                None => break,
            }
        }
        given.next().is_none().then_some(Self { parts, pre })
    }

    /// How many leading parts are numbers: what stands behind the first wildcard does not count.
    fn precision(&self) -> usize {
        self.parts.iter().take_while(|part| matches!(part, Part::Number(_))).count()
    }

    /// The lowest version that the partial one stands for.
    fn floor(&self) -> Version {
        let precision = self.precision();
        let number = |index: usize| match self.parts.get(index) {
            Some(Part::Number(number)) if index < precision => *number,
            _ => 0,
        };
        Version {
            major: number(0),
            minor: number(1),
            patch: number(2),
            pre: self.pre.clone(),
            build: BuildMetadata::EMPTY,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Comparator {
    operator: Operator,
    partial: Partial,
}

impl Comparator {
    fn holds(&self, version: &Version) -> bool {
        let floor = self.partial.floor();
        let precision = self.partial.precision();
        let order = version.cmp_precedence(&floor);
        match self.operator {
            Operator::Equal if precision == 3 => order == Ordering::Equal,
            Operator::Equal => in_series(version, &floor, precision),
            Operator::NotEqual if precision == 3 => order != Ordering::Equal,
            Operator::NotEqual => {
                let differs = precision == 2 && version.pre != floor.pre;
                differs || !in_series_ignoring_order(version, &floor, precision)
            }
            Operator::Greater => match precision {
                1 => version.major > floor.major,
                2 => (version.major, version.minor) > (floor.major, floor.minor),
                _ => order == Ordering::Greater,
            },
            Operator::GreaterEqual => order != Ordering::Less,
            Operator::Less => order == Ordering::Less,
            Operator::LessEqual => match precision {
                0 => true,
                1 => version.major <= floor.major,
                2 => (version.major, version.minor) <= (floor.major, floor.minor),
                _ => order != Ordering::Greater,
            },
            Operator::Tilde => tilde(version, &floor, precision),
            Operator::Caret => caret(version, &floor, precision),
        }
    }
}

/// `1.x`, `1.2`, `*` without an operator: at least the floor, and equal in the parts that are given.
fn in_series(version: &Version, floor: &Version, precision: usize) -> bool {
    version.cmp_precedence(floor) != Ordering::Less && in_series_ignoring_order(version, floor, precision)
}

fn in_series_ignoring_order(version: &Version, floor: &Version, precision: usize) -> bool {
    (precision < 1 || version.major == floor.major)
        && (precision < 2 || version.minor == floor.minor)
        && (precision < 3 || version.patch == floor.patch)
}

/// `~1.2.3`: patches of 1.2 from 1.2.3 on. `~1`: any 1. `~0.0.0` is `>=0.0.0`, as the library has it.
fn tilde(version: &Version, floor: &Version, precision: usize) -> bool {
    if precision == 3 && (floor.major, floor.minor, floor.patch) == (0, 0, 0) {
        return version.cmp_precedence(floor) != Ordering::Less;
    }
    in_series(version, floor, precision.min(2))
}

/// `^1.2.3`: no change of the leftmost part that isn't zero.
fn caret(version: &Version, floor: &Version, precision: usize) -> bool {
    let kept = match precision {
        0 | 1 => precision,
        _ if floor.major > 0 => 1,
        2 => 2,
        _ if floor.minor > 0 => 2,
        _ => 3,
    };
    in_series(version, floor, kept)
}

#[cfg(test)]
#[path = "semver_tests.rs"]
mod tests;
