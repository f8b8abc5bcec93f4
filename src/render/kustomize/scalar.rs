//! Which scalars without quotes are no strings, and how Go prints them.
//!
//! Kustomize reads with go-yaml v3 and prints through JSON and go-yaml v2. The two differ in what they take for a boolean
//! (`yes` is one for v2 only), which is why a string `yes` is printed with quotes.

/// What a scalar without quotes is, if it is no string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Null.
    Null,
    /// A value left out in a flow mapping, as in `{a: }`: null for merges, but printed as an empty string.
    Empty,
    /// A boolean.
    Bool,
    /// An integer that fits into 64 bits.
    Int,
    /// Another number.
    Float,
    /// A time, or a date.
    Time,
}

/// What `text` is for go-yaml v3. `None` for a string.
pub(super) fn kind(text: &str) -> Option<Kind> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Some(Kind::Null),
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => Some(Kind::Bool),
        _ => number_or_time(text),
    }
}

/// Whether go-yaml v2 would take `text` for something else than a string if it stood without quotes. Numbers in base 60
/// are among them: they are quoted for the sake of other parsers.
pub(super) fn needs_quotes(text: &str) -> bool {
    old_bool(text).is_some() || kind(text).is_some() || is_base60(text)
}

/// What `text` is for go-yaml v2 but not for v3.
pub(super) fn old_bool(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

fn number_or_time(text: &str) -> Option<Kind> {
    let first = *text.as_bytes().first()?;
    match first {
        b'.' => (is_special_float(text) || go_float(text).is_some()).then_some(Kind::Float),
        b'+' | b'-' | b'0'..=b'9' => {
            if first.is_ascii_digit() && time(text).is_some() {
                return Some(Kind::Time);
            }
            if is_special_float(text) {
                return Some(Kind::Float);
            }
            let digits = without_underscores(text);
            if integer(&digits).is_some() {
                return Some(Kind::Int);
            }
            (is_decimal(&digits) && go_float(&digits).is_some()).then_some(Kind::Float)
        }
        _ => None,
    }
}

fn without_underscores(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains('_') { text.replace('_', "").into() } else { text.into() }
}

fn is_special_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN")
}

/// Digits with an optional point and exponent.
fn is_decimal(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (text, None),
    };
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    all_digits(whole)
        && all_digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|exponent| !exponent.is_empty() && all_digits(exponent))
}

/// A decimal number that is finite as a 64-bit float.
fn go_float(text: &str) -> Option<f64> {
    if !is_decimal(text) {
        return None;
    }
    text.parse::<f64>().ok().filter(|value| value.is_finite())
}

/// An integer of 64 bits, signed or not, in the notations of Go: decimal, `0x`, `0o`, `0b`, and octal with a leading `0`.
fn integer(text: &str) -> Option<i128> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let signed = unsigned.len() != text.len();
    let lower = |prefix: [&str; 2]| prefix.iter().find_map(|prefix| unsigned.strip_prefix(prefix));
    let (digits, radix) = if let Some(digits) = lower(["0x", "0X"]) {
        (digits, 16)
    } else if let Some(digits) = lower(["0o", "0O"]) {
        (digits, 8)
    } else if let Some(digits) = lower(["0b", "0B"]) {
        (digits, 2)
    } else if unsigned.len() > 1 && unsigned.starts_with('0') {
        (unsigned, 8)
    } else {
        (unsigned, 10)
    };
    if !digits.bytes().next().is_some_and(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let magnitude = i128::from(u64::from_str_radix(digits, radix).ok()?);
    let value = if negative { -magnitude } else { magnitude };
    // What has a sign must fit into a signed integer.
    let fits = i64::try_from(value).is_ok() || !signed;
    fits.then_some(value)
}

/// `12:30:45`, as YAML 1.1 wrote numbers.
fn is_base60(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut parts = text.split(':');
    let Some(first) = parts.next() else { return false };
    if !first.starts_with(|c: char| c.is_ascii_digit()) || !first.bytes().all(|b| b.is_ascii_digit() || b == b'_') {
        return false;
    }
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return false;
    }
    while let Some(part) = parts.next() {
        let (part, tail) = match part.split_once('.') {
            Some((part, tail)) if parts.peek().is_none() => (part, tail),
            Some(_) => return false,
            None => (part, ""),
        };
        let sexagesimal = match part.as_bytes() {
            [one] => one.is_ascii_digit(),
            [ten, one] => (b'0'..=b'5').contains(ten) && one.is_ascii_digit(),
            _ => false,
        };
        if !sexagesimal || !tail.bytes().all(|b| b.is_ascii_digit() || b == b'_') {
            return false;
        }
    }
    true
}

/// The number that `text` stands for, as kustomize prints it. `None` for infinities and what is no number: JSON has no
/// form for them.
pub(super) fn print_number(text: &str) -> Option<String> {
    if is_special_float(text) {
        return None;
    }
    let digits = without_underscores(text);
    if let Some(value) = integer(&digits) {
        return Some(value.to_string());
    }
    let value = go_float(&digits)?;
    Some(print_float(value))
}

/// A float that went through JSON: what is whole and fits is printed as an integer.
pub(super) fn print_float(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    // JSON writes the shortest digits that say the number, below 10^21 without an exponent. What is whole and fits into
    // 64 bits is then read as an integer.
    let decimals = mantissa.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    if let Some(zeros) = usize::try_from(exponent).ok().filter(|_| exponent < 21).and_then(|e| e.checked_sub(decimals))
    {
        let whole = mantissa.replace('.', "") + &"0".repeat(zeros);
        if whole.parse::<i64>().is_ok() || whole.parse::<u64>().is_ok() {
            return whole;
        }
    }
    // Go prints the shortest digits, with an exponent if that is below -4 or above 5.
    if (-4..6).contains(&exponent) {
        return format!("{value}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// The time that `text` stands for in the notations that go-yaml knows, as RFC 3339: how kustomize prints it.
pub(super) fn time(text: &str) -> Option<String> {
    let (year, rest) = text.split_at_checked(4)?;
    if !year.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (month, rest) = number(rest.strip_prefix('-')?, 12)?;
    let (day, rest) = number(rest.strip_prefix('-')?, 31)?;
    if month == 0 || day == 0 || day > days_in(year.parse().ok()?, month) {
        return None;
    }
    let date = format!("{year}-{month:02}-{day:02}");
    if rest.is_empty() {
        return Some(format!("{date}T00:00:00Z"));
    }
    let zoned = !rest.starts_with(' ');
    let (hour, rest) = number(rest.strip_prefix(['T', 't', ' '])?, 23)?;
    let (minute, rest) = number(rest.strip_prefix(':')?, 59)?;
    let (second, rest) = number(rest.strip_prefix(':')?, 59)?;
    let (fraction, rest) = fraction(rest);
    let zone = if zoned { zone(rest)? } else { rest.is_empty().then(|| "Z".to_owned())? };
    Some(format!("{date}T{hour:02}:{minute:02}:{second:02}{fraction}{zone}"))
}

/// One or two digits.
fn number(text: &str, max: u32) -> Option<(u32, &str)> {
    let digits = text.bytes().take(2).take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at_checked(digits)?;
    let number = number.parse().ok().filter(|number| *number <= max)?;
    Some((number, rest))
}

fn days_in(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Up to nine digits of a second's fraction, with the point, without zeros at the end.
fn fraction(text: &str) -> (String, &str) {
    let Some(rest) = text.strip_prefix(['.', ',']) else { return (String::new(), text) };
    let end = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = rest.split_at_checked(end).unwrap_or((rest, ""));
    if digits.is_empty() {
        return (String::new(), text);
    }
    let digits = digits.get(..9).unwrap_or(digits).trim_end_matches('0');
    (if digits.is_empty() { String::new() } else { format!(".{digits}") }, rest)
}

/// `Z`, or hours and minutes with a sign.
fn zone(text: &str) -> Option<String> {
    if text == "Z" {
        return Some(text.to_owned());
    }
    let digits = text.strip_prefix(['+', '-'])?;
    let (hour, minute) = digits.split_once(':')?;
    let valid = |part: &str, max: u32| {
        part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit()) && part.parse::<u32>().is_ok_and(|n| n <= max)
    };
    if !valid(hour, 23) || !valid(minute, 59) {
        return None;
    }
    Some(if digits == "00:00" { "Z".to_owned() } else { text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_what_go_yaml_takes_them_for() {
        let cases = [
            (Some(Kind::Null), "~ null Null NULL"),
            (Some(Kind::Bool), "true False TRUE"),
            (Some(Kind::Int), "0 -1 +1 0755 0o17 0b11 -0b11 0xFF 1_000 18446744073709551615 -9223372036854775808"),
            (Some(Kind::Float), "1.0 1e3 .5 -.5 1. 08 1_0.5 18446744073709551616 -9223372036854775809 .inf -.INF .nan"),
            (Some(Kind::Time), "2001-01-01 2001-1-1 2001-01-01T10:00:00Z 2001-01-01t1:2:3.5+02:00 2024-02-29"),
            (None, "yes on 1E400 0x 0b2 1e 1.2.3 . - + 2001-02-29 2001-13-01 2001-01-01T10:00:00 0o8x 12:30 _1 - nan"),
        ];
        for (expected, texts) in cases {
            for text in texts.split(' ') {
                assert_eq!(kind(text), expected, "{text}");
            }
        }
        assert_eq!(kind("2001-01-01 10:20:30.5"), Some(Kind::Time));
    }

    #[test]
    fn what_other_parsers_misread_is_quoted() {
        for text in ["yes", "N", "off", "12:30:45", "1:2", "1_0:59.5_", "1e3", "~", "", "2001-01-01"] {
            assert!(needs_quotes(text), "{text}");
        }
        for text in ["yess", "12:60", "a:1", "1:2:", "1.5:2", "v1.0", "1.2.3", "0o", "<<", "=", "1:2.5:3"] {
            assert!(!needs_quotes(text), "{text}");
        }
    }

    #[test]
    fn numbers_and_times_print_as_go_prints_them() {
        let numbers = [
            ("0755", "493"),
            ("-0", "0"),
            ("-0.0", "0"),
            ("1.0", "1"),
            ("1e3", "1000"),
            ("12345678901234567890", "12345678901234567890"),
            ("123456789012345678901234567890", "1.2345678901234568e+29"),
            ("100000000000000000000", "1e+20"),
            ("0.0000001", "1e-07"),
            ("0.0001", "0.0001"),
            ("123456789.25", "1.2345678925e+08"),
            ("123456.5", "123456.5"),
            ("12345678901234567168.0", "12345678901234567000"),
            ("-9223372036854775809", "-9.223372036854776e+18"),
            ("-1_0.5", "-10.5"),
        ];
        for (text, printed) in numbers {
            assert_eq!(print_number(text).as_deref(), Some(printed), "{text}");
        }
        assert_eq!(print_number(".inf"), None);
        let times = [
            ("2001-1-1", "2001-01-01T00:00:00Z"),
            ("2001-01-01 1:20:30.500", "2001-01-01T01:20:30.5Z"),
            ("2001-01-01T10:20:30,1234567891234-00:00", "2001-01-01T10:20:30.123456789Z"),
            ("2001-01-01T10:20:30.123+02:00", "2001-01-01T10:20:30.123+02:00"),
        ];
        for (text, printed) in times {
            assert_eq!(time(text).as_deref(), Some(printed), "{text}");
        }
    }
}
