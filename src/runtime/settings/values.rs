//! The forms in which setting values are written: durations, sizes, lists of namespaces.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;

use crate::render::kustomize::LoadRestriction;

/// Longest duration that a setting takes: 365 days.
const MAX_DURATION: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Most namespaces that one list names.
const MAX_NAMESPACES: usize = 256;

/// Reads a duration as Go and Kubernetes write it: decimal numbers, each with a unit of `ms`, `s`, `m` or `h`, added
/// up (`500ms`, `90s`, `1h30m`); `0` needs no unit. At most 365 days.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    const FORM: &str = "write a number and a unit of ms, s, m or h, like 500ms, 90s or 1h30m";
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return Err(FORM.to_owned());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let number: u64 = number.parse().map_err(|_| FORM.to_owned())?;
        let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(FORM.to_owned()),
        };
        let part = Duration::from_millis(number.saturating_mul(milliseconds));
        total = total.saturating_add(part);
        rest = tail;
    }
    if total > MAX_DURATION { Err("longer than 365 days".to_owned()) } else { Ok(total) }
}

/// [`duration`], and longer than zero.
pub(super) fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("must be longer than zero".to_owned()),
        length => Ok(length),
    }
}

/// A number of bytes. Reads a whole number, alone or with a suffix of `Ki`, `Mi`, `Gi` (powers of 1024) or `k`, `M`, `G`
/// (powers of 1000), as Kubernetes writes quantities. Never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, suffix) = text.split_at(digits);
        let factor: u64 = match suffix {
            "" => 1,
            "k" => 1_000,
            "M" => 1_000_000,
            "G" => 1_000_000_000,
            "Ki" => 1 << 10,
            "Mi" => 1 << 20,
            "Gi" => 1 << 30,
            _ => return Err("write a whole number of bytes, or one with Ki, Mi, Gi, k, M or G, like 10Mi".to_owned()),
        };
        let number: u64 = number.parse().map_err(|_| "is not a whole number of bytes, like 10Mi".to_owned())?;
        match number.checked_mul(factor) {
            Some(0) => Err("must be more than zero".to_owned()),
            Some(bytes) => Ok(Self(bytes)),
            None => Err("is too large".to_owned()),
        }
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Which files kustomizations may read, by the names that the kustomize program gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LoadRestrictor {
    /// Those in their own folder and below
    #[value(name = "LoadRestrictionsRootOnly")]
    RootOnly,
    /// All in the repository
    #[value(name = "LoadRestrictionsNone")]
    None,
}

impl From<LoadRestrictor> for LoadRestriction {
    fn from(restrictor: LoadRestrictor) -> Self {
        match restrictor {
            LoadRestrictor::RootOnly => Self::RootOnly,
            LoadRestrictor::None => Self::None,
        }
    }
}

/// Which namespaces something is read in. Written as `*`, or as names with commas between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Namespaces {
    /// All namespaces.
    All,
    /// These, each once, in the order given; never empty.
    Only(Vec<String>),
}

impl FromStr for Namespaces {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim() == "*" {
            return Ok(Self::All);
        }
        let mut names: Vec<String> = Vec::new();
        for name in text.split(',').map(str::trim) {
            let name = namespace(name)?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if names.len() > MAX_NAMESPACES {
            return Err(format!("names {} namespaces; at most {MAX_NAMESPACES} can be, or `*`", names.len()));
        }
        Ok(Self::Only(names))
    }
}

/// A namespace name: a DNS label of RFC 1123, as Kubernetes demands.
pub(super) fn namespace(text: &str) -> Result<String, String> {
    if is_label(text) {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} is no namespace name: 1 to 63 of a-z, 0-9 and '-', no '-' at either end"))
    }
}

/// Name of a Lease: a DNS subdomain of RFC 1123.
pub(super) fn object_name(text: &str) -> Result<String, String> {
    if text.len() <= 253 && text.split('.').all(is_label) {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} is no object name: labels of a-z, 0-9 and '-' with dots between, at most 253 characters"))
    }
}

/// Whether `text` is a DNS label of RFC 1123.
fn is_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// An installation id: 16 lower-case hexadecimal digits.
pub(super) fn instance(text: &str) -> Result<String, String> {
    if text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        Ok(text.to_owned())
    } else {
        Err("must be 16 hexadecimal digits in lower case".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        let cases = [
            ("0", Some(0)),
            ("500ms", Some(500)),
            ("90s", Some(90_000)),
            ("2m", Some(120_000)),
            ("1h30m", Some(5_400_000)),
            ("1m0s", Some(60_000)),
            ("", None),
            ("5", None),
            ("s", None),
            ("1.5s", None),
            ("-1s", None),
            ("5 s", None),
            ("1d", None),
            ("99999999999999999999s", None),
            ("18446744073709551615h", None),
            ("8761h", None),
        ];
        for (text, expected) in cases {
            assert_eq!(duration(text).ok(), expected.map(Duration::from_millis), "{text:?}");
        }
        assert!(positive_duration("0s").is_err());
    }

    #[test]
    fn sizes_are_read_as_quantities() {
        let cases = [
            ("1", Some(1)),
            ("10Mi", Some(10 << 20)),
            ("2Gi", Some(2 << 30)),
            ("3k", Some(3_000)),
            ("0", None),
            ("0Mi", None),
            ("", None),
            ("Mi", None),
            ("1.5Gi", None),
            ("10MB", None),
            ("18446744073709551615Gi", None),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Bytes>().ok(), expected.map(Bytes), "{text:?}");
        }
    }

    #[test]
    fn namespaces_are_a_star_or_a_list() {
        let only = |names: &[&str]| Namespaces::Only(names.iter().map(|&name| name.to_owned()).collect());
        let cases = [
            ("*", Some(Namespaces::All)),
            ("argocd", Some(only(&["argocd"]))),
            ("a, b,a", Some(only(&["a", "b"]))),
            ("", None),
            ("a,", None),
            ("a,*", None),
            ("Argo", None),
            ("-a", None),
            ("a.b", None),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Namespaces>().ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn names_follow_the_rules_of_kubernetes() {
        assert!(object_name("driftless").is_ok() && object_name("a.b-c").is_ok());
        for bad in ["", "a..b", "A", "a_b", &"a".repeat(64), &"a.".repeat(130)] {
            assert!(object_name(bad).is_err(), "{bad:?}");
        }
        assert!(instance("0123456789abcdef").is_ok());
        for bad in ["", "0123456789ABCDEF", "0123456789abcde", "0123456789abcdeg"] {
            assert!(instance(bad).is_err(), "{bad:?}");
        }
    }
}
