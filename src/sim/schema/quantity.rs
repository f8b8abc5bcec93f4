//! Quantities (`100m`, `1.5Gi`, `1e3`): the API server keeps the value and writes it in one form of each family of suffixes.

/// Decimal suffixes with their powers of ten.
const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
/// Binary suffixes; each is 1024 times the one before.
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
/// Billionths: no quantity is finer.
const NANO: i128 = 1_000_000_000;
/// Largest value: quantities stop there.
const MAX: i128 = i64::MAX as i128 * NANO;

/// How a quantity was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Decimal,
    Binary,
    Exponent,
}

/// A quantity in the form in which the server writes it; `None`: it is none.
pub fn canonical(text: &str) -> Option<String> {
    let (nanos, family) = parse(text.trim())?;
    Some(match family {
        Family::Binary if nanos.abs() >= 1024 * NANO && nanos % NANO == 0 => binary(nanos / NANO),
        Family::Binary | Family::Decimal => decimal(nanos),
        Family::Exponent => exponent(nanos),
    })
}

/// Reads a quantity as billionths. What is finer is rounded away from zero.
fn parse(text: &str) -> Option<(i128, Family)> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (number, suffix) = rest.split_at_checked(digits_end)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    // More digits than any value has would only be rounded.
    if whole.trim_start_matches('0').len() > 25 {
        return Some((if negative { -MAX } else { MAX }, family_of(suffix)?.0));
    }
    let (family, base, power) = {
        let (family, power) = family_of(suffix)?;
        (family, if family == Family::Binary { 1024_i128 } else { 10 }, power)
    };
    let fraction: String = fraction.chars().take(18).collect();
    let mantissa: i128 = format!("{whole}{fraction}").parse().unwrap_or(0);
    let mut numerator = mantissa.checked_mul(NANO)?;
    let mut denominator = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let factor = base.checked_pow(power.unsigned_abs()).unwrap_or(i128::MAX);
    if power >= 0 {
        numerator = numerator.checked_mul(factor).unwrap_or(i128::MAX);
    } else {
        denominator = denominator.checked_mul(factor)?;
    }
    let rounded = numerator / denominator + i128::from(numerator % denominator != 0);
    let bounded = rounded.min(MAX);
    Some((if negative { -bounded } else { bounded }, family))
}

/// The family of a suffix, and the power of its base.
fn family_of(suffix: &str) -> Option<(Family, i32)> {
    if let Some((_, power)) = DECIMAL.iter().find(|(known, _)| *known == suffix) {
        return Some((Family::Decimal, *power));
    }
    if let Some(power) = BINARY.iter().skip(1).position(|known| *known == suffix) {
        return Some((Family::Binary, i32::try_from(power + 1).ok()?));
    }
    let power: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    (-30..=30).contains(&power).then_some((Family::Exponent, power))
}

fn binary(mut value: i128) -> String {
    let mut suffix = BINARY.iter();
    let mut last = suffix.next().copied().unwrap_or_default();
    for next in suffix {
        if value % 1024 != 0 || value == 0 {
            break;
        }
        value /= 1024;
        last = next;
    }
    format!("{value}{last}")
}

/// The mantissa and the largest power of a thousand that divides the value.
fn thousands(nanos: i128) -> (i128, i32) {
    let (mut value, mut power) = (nanos, -9);
    while value != 0 && value % 1000 == 0 && power < 18 {
        value /= 1000;
        power += 3;
    }
    if value == 0 { (0, 0) } else { (value, power) }
}

fn decimal(nanos: i128) -> String {
    let (value, power) = thousands(nanos);
    let suffix = DECIMAL.iter().find(|(_, known)| *known == power).map_or("", |(suffix, _)| suffix);
    format!("{value}{suffix}")
}

fn exponent(nanos: i128) -> String {
    match thousands(nanos) {
        (value, 0) => value.to_string(),
        (value, power) => format!("{value}e{power}"),
    }
}

#[cfg(test)]
mod tests {
    use super::canonical;

    /// As kube-apiserver 1.37.2 writes them back.
    #[test]
    fn quantities_are_written_in_one_form() {
        for (text, expected) in [
            ("1000m", "1"),
            ("1024Mi", "1Gi"),
            ("0.1", "100m"),
            ("100m", "100m"),
            ("1.5Gi", "1536Mi"),
            ("1500Mi", "1500Mi"),
            ("1e3", "1e3"),
            ("1000", "1k"),
            ("128974848", "128974848"),
            ("0.5Mi", "512Ki"),
            ("512", "512"),
            ("0", "0"),
            ("0Gi", "0"),
            ("1000Ki", "1000Ki"),
            ("-1500m", "-1500m"),
            ("0.0000000001", "1n"),
            ("1Ei", "1Ei"),
            ("+2", "2"),
        ] {
            assert_eq!(canonical(text).as_deref(), Some(expected), "{text}");
        }
        for wrong in ["", "x", "1.1.1", "1kk", "1 Gi", "1e", "e3"] {
            assert_eq!(canonical(wrong), None, "{wrong}");
        }
    }
}
