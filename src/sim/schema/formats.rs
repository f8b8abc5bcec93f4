//! Whether texts are of their format, which a type that only merges does not look at.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Format, Type, quantity};

/// A value that is not of its format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatError {
    /// The format.
    pub format: Format,
    /// The value.
    pub value: String,
}

/// Finds the first value that is not of its format.
///
/// # Errors
/// That value.
pub fn check_formats(of: Type<'_>, value: &Value) -> Result<(), FormatError> {
    match (of.format(), value) {
        (Format::Json | Format::Raw, _) => Ok(()),
        (format, Value::String(text)) => {
            let fits = match format {
                Format::Quantity => quantity::canonical(text).is_some(),
                Format::Time | Format::MicroTime => {
                    text.is_empty() || time_error(text, format == Format::MicroTime).is_none()
                }
                // Line ends inside are skipped, as Go does.
                Format::Bytes => STANDARD.decode(text.replace(['\n', '\r'], "")).is_ok(),
                _ => true,
            };
            if fits { Ok(()) } else { Err(FormatError { format, value: text.clone() }) }
        }
        (_, Value::Array(items)) => match of.list() {
            Some(list) => items.iter().try_for_each(|item| check_formats(list.items, item)),
            None => Ok(()),
        },
        (_, Value::Object(members)) => members.iter().try_for_each(|(name, value)| match of.member(name) {
            Some(of) => check_formats(of, value),
            None => Ok(()),
        }),
        _ => Ok(()),
    }
}

/// What Go says of a text that is no time; `None`: it is one. Times of microseconds have exactly six digits of them.
#[must_use]
pub fn time_error(text: &str, micro: bool) -> Option<String> {
    let fraction = if micro { ".000000" } else { "" };
    let layout = format!("2006-01-02T15:04:05{fraction}Z07:00");
    let parts = ["2006", "-", "01", "-", "02", "T", "15", ":", "04", ":", "05", fraction, "Z07:00"];
    let (mut rest, mut numbers) = (text, Vec::new());
    for part in parts {
        let Some(length) = part_length(part, rest) else {
            return Some(format!("parsing time {text:?} as {layout:?}: cannot parse {rest:?} as {part:?}"));
        };
        let (taken, behind) = rest.split_at(length);
        if let Ok(number) = taken.parse::<u16>() {
            numbers.push(number);
        }
        rest = behind;
        if part == "05" && !micro {
            rest = without_fraction(rest);
        }
    }
    if !rest.is_empty() {
        return Some(format!("parsing time {text:?}: extra text: {rest:?}"));
    }
    let wrong = out_of_range(&numbers)?;
    Some(format!("parsing time {text:?}: {wrong} out of range"))
}

/// How much of a text is a part of a layout; `None`: its beginning is none.
fn part_length(part: &str, text: &str) -> Option<usize> {
    let digits = |from: usize, count: usize| {
        let found = text.as_bytes().get(from..from + count);
        found.is_some_and(|found| found.iter().all(u8::is_ascii_digit))
    };
    match part {
        "Z07:00" if text.starts_with('Z') => Some(1),
        "Z07:00" => {
            let fits =
                text.starts_with(['+', '-']) && digits(1, 2) && text.as_bytes().get(3) == Some(&b':') && digits(4, 2);
            fits.then_some(6)
        }
        ".000000" => (text.starts_with('.') && digits(1, 6)).then_some(7),
        part if part.starts_with(|c: char| c.is_ascii_digit()) => digits(0, part.len()).then_some(part.len()),
        literal => text.starts_with(literal).then_some(literal.len()),
    }
}

/// Seconds may have a fraction that the layout does not name.
fn without_fraction(text: &str) -> &str {
    match text.strip_prefix(['.', ',']) {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => {
            rest.trim_start_matches(|c: char| c.is_ascii_digit())
        }
        _ => text,
    }
}

/// Which of year, month, day, hour, minute and second can't be.
fn out_of_range(numbers: &[u16]) -> Option<&'static str> {
    let [year, month, day, hour, minute, second, ..] = *numbers else { return None };
    let longest = match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let ranges = [
        ("month", (1..=12).contains(&month)),
        ("hour", hour < 24),
        ("minute", minute < 60),
        ("second", second < 60),
        ("day", (1..=longest).contains(&day)),
    ];
    ranges.into_iter().find(|(_, fits)| !fits).map(|(name, _)| name)
}

#[test]
fn times_are_read_as_go_reads_them() {
    let told = |text: &str, micro: bool| time_error(text, micro).unwrap_or_default();
    for (text, micro) in
        [("2026-01-01T00:00:40Z", false), ("2026-01-01T00:00:40.5+02:00", false), ("2024-02-29T00:00:40.000001Z", true)]
    {
        assert_eq!(told(text, micro), "", "{text}");
    }
    for (text, micro, end) in [
        ("soon", false, r#"cannot parse "soon" as "2006""#),
        ("2026-01-01T00:00:40Z", true, r#"cannot parse "Z" as ".000000""#),
        ("2026-01-01T02:00:41.5+02:00", true, r#"cannot parse ".5+02:00" as ".000000""#),
        ("2026-01-01 00:00:40Z", false, r#"cannot parse " 00:00:40Z" as "T""#),
        ("2026-01-01T00:00:40", false, r#"cannot parse "" as "Z07:00""#),
        ("2026-02-29T00:00:40Z", false, "day out of range"),
        ("2026-01-01T00:00:40Zx", false, r#"extra text: "x""#),
    ] {
        assert!(told(text, micro).ends_with(end), "{text}: {}", told(text, micro));
    }
}
