//! Quantities: `100m`, `1.5Gi`, `1e3`.

/// Powers of ten, from which the canonical form takes the largest that leaves a whole number.
const DECIMAL: [(&str, i32); 9] =
    [("E", 18), ("P", 15), ("T", 12), ("G", 9), ("M", 6), ("k", 3), ("", 0), ("m", -3), ("u", -6)];
/// Powers of 1024.
const BINARY: [(&str, u32); 6] = [("Ki", 1), ("Mi", 2), ("Gi", 3), ("Ti", 4), ("Pi", 5), ("Ei", 6)];
/// The finest that is kept; what is finer is rounded up.
const NANO: i32 = -9;
/// Most digits that are read.
const MAX_DIGITS: usize = 40;

/// How a quantity was written, which its canonical form keeps.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Decimal,
    Exponent,
    Binary,
}

/// The form in which the server writes a quantity: no fraction, the largest suffix of its style. `None`: it is none, or larger
/// than what is kept here.
#[must_use]
pub fn canonical(text: &str) -> Option<String> {
    let (number, suffix) = split(text)?;
    let (negative, digits) = match number.as_bytes().first()? {
        b'-' => (true, number.get(1..)?),
        b'+' => (false, number.get(1..)?),
        _ => (false, number),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    if all.is_empty() || all.len() > MAX_DIGITS || !all.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let places = i32::try_from(fraction.len()).ok()?;
    let value: u128 = all.parse().ok()?;
    let (style, power, factor) = meaning(suffix)?;
    let nanos = scaled(value.checked_mul(factor)?, power - places)?;
    if nanos == 0 {
        return Some("0".to_owned());
    }
    let sign = if negative { "-" } else { "" };
    Some(format!("{sign}{}", written(nanos, style)))
}

fn split(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '+' | '-' | '.')).unwrap_or(text.len());
    Some((text.get(..end)?, text.get(end..)?))
}

/// The style of a suffix, and the power of ten and the factor that it stands for.
fn meaning(suffix: &str) -> Option<(Style, i32, u128)> {
    if let Some((_, power)) = BINARY.iter().find(|(name, _)| *name == suffix) {
        return Some((Style::Binary, 0, 1024_u128.pow(*power)));
    }
    if let Some((_, power)) = DECIMAL.iter().find(|(name, _)| *name == suffix) {
        return Some((Style::Decimal, *power, 1));
    }
    if suffix == "n" {
        return Some((Style::Decimal, NANO, 1));
    }
    let exponent = suffix.strip_prefix(['e', 'E'])?;
    Some((Style::Exponent, exponent.parse().ok()?, 1))
}

/// The value times that power of ten, in billionths, rounded up.
fn scaled(value: u128, power: i32) -> Option<u128> {
    let places = power - NANO;
    if places >= 0 {
        return value.checked_mul(10_u128.checked_pow(places.unsigned_abs())?);
    }
    let divisor = 10_u128.checked_pow(places.unsigned_abs());
    Some(divisor.map_or_else(|| u128::from(value > 0), |divisor| value.div_ceil(divisor)))
}

fn written(nanos: u128, style: Style) -> String {
    const ONE: u128 = 1_000_000_000;
    if style == Style::Binary && nanos.is_multiple_of(ONE) && nanos / ONE >= 1024 {
        let value = nanos / ONE;
        let largest = BINARY.iter().rev().find(|(_, power)| value.is_multiple_of(1024_u128.pow(*power)));
        return match largest {
            Some((suffix, power)) => format!("{}{suffix}", value / 1024_u128.pow(*power)),
            None => value.to_string(),
        };
    }
    let units = DECIMAL.iter().copied().chain([("n", NANO)]);
    for (suffix, power) in units {
        let unit = 10_u128.pow((power - NANO).unsigned_abs());
        if nanos.is_multiple_of(unit) {
            let value = nanos / unit;
            return match style {
                Style::Exponent if power != 0 => format!("{value}e{power}"),
                _ => format!("{value}{suffix}"),
            };
        }
    }
    nanos.to_string()
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn quantities_are_written_as_the_server_writes_them() {
        let cases = [
            ("1000m", "1"),
            ("1024Mi", "1Gi"),
            ("1536Mi", "1536Mi"),
            ("0.5", "500m"),
            ("1.5Gi", "1536Mi"),
            ("100", "100"),
            ("1000", "1k"),
            ("1e3", "1e3"),
            ("1500e-3", "1500e-3"),
            ("1000Ki", "1000Ki"),
            ("1024", "1024"),
            ("0", "0"),
            ("0Mi", "0"),
            ("-1000m", "-1"),
            ("0.0000000001", "1n"),
            ("512", "512"),
            ("2048Ki", "2Mi"),
            ("1.0", "1"),
            (".5Gi", "512Mi"),
            ("1000000", "1M"),
            ("0.5Ki", "512"),
        ];
        for (text, expected) in cases {
            assert_eq!(canonical(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "x", "1x", "1.2.3", "Ki", "1e", "--1"] {
            assert_eq!(canonical(text), None, "{text}");
        }
    }
}
