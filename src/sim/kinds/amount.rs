//! How much a quantity such as `100m`, `1.5Gi` or `1e3` is, to compare it with another.

/// A quantity in billionths. `None` if it is none, or too large to be told.
pub(super) fn parse(text: &str) -> Option<i128> {
    const SUFFIXES: [(&str, i128); 14] = [
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("Ti", 1 << 40),
        ("Pi", 1 << 50),
        ("Ei", 1 << 60),
        ("k", 1_000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
        ("T", 1_000_000_000_000),
        ("P", 1_000_000_000_000_000),
        ("E", 1_000_000_000_000_000_000),
        ("u", 1_000),
        ("m", 1_000_000),
    ];
    const WHOLE: i128 = 1_000_000_000;
    let (number, unit) = match SUFFIXES.iter().find(|(suffix, _)| text.ends_with(suffix)) {
        // Of these the size is told in billionths already.
        Some((suffix @ ("u" | "m"), size)) => (text.strip_suffix(suffix)?, *size),
        Some((suffix, size)) => (text.strip_suffix(suffix)?, size.checked_mul(WHOLE)?),
        None => match text.strip_suffix('n') {
            Some(number) => (number, 1),
            None => (text, WHOLE),
        },
    };
    let (number, exponent) = match number.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
        None => (number, 0),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let places = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let ten = 10_i128.checked_pow(places.unsigned_abs())?;
    let amount = digits.checked_mul(unit)?;
    if places < 0 { Some(amount / ten) } else { amount.checked_mul(ten) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_compare_by_their_size() {
        for (less, more) in [("100m", "1"), ("1.5Gi", "2Gi"), ("1G", "1Gi"), ("-1", "0"), ("5u", "1m"), ("3n", "1u")] {
            assert!(parse(less) < parse(more), "{less} {more}");
        }
        for (one, other) in [("1000m", "1"), ("1e3", "1k"), ("0.5", "500m"), ("1024Ki", "1Mi"), ("1.5e1", "15")] {
            assert_eq!(parse(one), parse(other), "{one} {other}");
        }
        for wrong in ["", "x", "1x", "1e", "--1", "1e99", "9999999999999999999999999999999999999E"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
