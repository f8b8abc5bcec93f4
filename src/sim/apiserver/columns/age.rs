//! Lengths of time as people read them: two figures, of which the second is left out where it says little.

use jiff::Timestamp;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

/// How long ago a time was; `<unknown>` if there is none.
pub fn ago(time: &str, now: Timestamp) -> String {
    match time.parse::<Timestamp>() {
        Ok(time) => duration(now.as_millisecond() - time.as_millisecond()),
        Err(_) => "<unknown>".to_owned(),
    }
}

/// A length of time in milliseconds.
pub fn duration(milliseconds: i64) -> String {
    let seconds = milliseconds / 1000;
    let (unit, rest_unit, most) = match seconds {
        // Clocks may differ a little.
        i64::MIN..-1 => return "<invalid>".to_owned(),
        -1..0 => return "0s".to_owned(),
        0..120 => return format!("{seconds}s"),
        120..600 => ((MINUTE, "m"), (1, "s"), 60),
        600..10_800 => return format!("{}m", seconds / MINUTE),
        10_800..28_800 => ((HOUR, "h"), (MINUTE, "m"), 60),
        28_800..172_800 => return format!("{}h", seconds / HOUR),
        172_800..691_200 => ((DAY, "d"), (HOUR, "h"), 24),
        691_200..63_072_000 => return format!("{}d", seconds / DAY),
        63_072_000..252_288_000 => ((YEAR, "y"), (DAY, "d"), 365),
        _ => return format!("{}y", seconds / YEAR),
    };
    let rest = seconds / rest_unit.0 % most;
    let whole = format!("{}{}", seconds / unit.0, unit.1);
    if rest == 0 { whole } else { format!("{whole}{rest}{}", rest_unit.1) }
}
