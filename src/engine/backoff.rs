//! How long to wait before trying again: Argo CD's `retry` of a sync, and the plain exponential back-off of everything
//! else that is retried.

use std::time::Duration;

use super::application::Retry;

/// Retries of an automated sync whose Application has no `retry`.
pub const AUTOMATED_LIMIT: u64 = 5;
/// First wait if `retry.backoff.duration` is absent.
pub const DEFAULT_DURATION: Duration = Duration::from_secs(5);
/// Growth from wait to wait if `retry.backoff.factor` is absent.
pub const DEFAULT_FACTOR: u32 = 2;
/// Longest wait if `retry.backoff.maxDuration` is absent.
pub const DEFAULT_MAX_DURATION: Duration = Duration::from_secs(180);
/// Longest wait that is ever made, also where a `maxDuration` of 0 asks for no limit.
pub const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// When a failed sync is tried again, as `spec.syncPolicy.retry` or `operation.retry` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How many retries there are; `None`: no limit.
    limit: Option<u64>,
    /// First wait.
    duration: Duration,
    /// Growth from wait to wait, at least 1.
    factor: u32,
    /// Longest wait.
    max: Duration,
}

/// Why a `retry` can't be used. The message names the field below `retry`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RetryPolicyError {
    /// A duration that can't be read.
    #[error("retry.backoff.{field}: {source}")]
    Duration {
        /// `duration` or `maxDuration`.
        field: &'static str,
        /// What is wrong with it.
        source: ParseDurationError,
    },
    /// A factor below 1 would retry without any wait.
    #[error("retry.backoff.factor: {0} is not allowed; use a whole number from 1 to {max}", max = u32::MAX)]
    Factor(i64),
}

impl RetryPolicy {
    /// The policy of a sync: `retry` as the spec (of an automated sync) or the operation (of one that was asked for) has
    /// it. Without a `retry` an automated sync has [`AUTOMATED_LIMIT`] retries, one that was asked for none. With one,
    /// an absent `limit` is 0 and a negative one is no limit, as in Argo CD.
    ///
    /// # Errors
    /// A duration that can't be read, or a factor below 1.
    pub fn from_spec(retry: Option<&Retry>, automated: bool) -> Result<Self, RetryPolicyError> {
        let limit = match retry {
            None => Some(if automated { AUTOMATED_LIMIT } else { 0 }),
            Some(retry) => u64::try_from(retry.limit.unwrap_or_default()).ok(),
        };
        let backoff = retry.and_then(|retry| retry.backoff.as_ref());
        let read = |field, text: Option<&String>, default| match text.map(String::as_str) {
            None | Some("") => Ok(default),
            Some(text) => parse_duration(text).map_err(|source| RetryPolicyError::Duration { field, source }),
        };
        let duration = read("duration", backoff.and_then(|backoff| backoff.duration.as_ref()), DEFAULT_DURATION)?;
        let max = read("maxDuration", backoff.and_then(|backoff| backoff.max_duration.as_ref()), DEFAULT_MAX_DURATION)?;
        let factor = match backoff.and_then(|backoff| backoff.factor) {
            None => DEFAULT_FACTOR,
            Some(factor) => {
                u32::try_from(factor).ok().filter(|factor| *factor >= 1).ok_or(RetryPolicyError::Factor(factor))?
            }
        };
        let max = if max.is_zero() { LONGEST_WAIT } else { max.min(LONGEST_WAIT) };
        Ok(Self { limit, duration, factor, max })
    }

    /// How long to wait after a failure before the next try, when the sync was already tried again `retry_count` times;
    /// `None`: there is no further try. The first wait is `duration` (Argo CD documents that, and waits once longer).
    pub fn next_delay(&self, retry_count: u64) -> Option<Duration> {
        let another = self.limit.is_none_or(|limit| retry_count < limit);
        another.then(|| grow(self.duration, self.factor, retry_count, self.max))
    }
}

/// Exponential back-off with jitter, for watches, repositories and requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Wait after the first failure.
    pub initial: Duration,
    /// Growth from failure to failure; 0 counts as 1.
    pub factor: u32,
    /// Longest wait.
    pub max: Duration,
    /// By how many hundredths of itself a wait may be shortened, at most 100: so that what failed together does not come
    /// back together.
    pub jitter: u8,
}

impl Backoff {
    /// How long to wait after failure number `attempt` in a row (the first is 0). `seed` picks the point in the jitter:
    /// the same arguments give the same wait, between `1 - jitter` of the full one and the full one.
    pub fn delay(&self, attempt: u32, seed: u64) -> Duration {
        let full = grow(self.initial, self.factor.max(1), u64::from(attempt), self.max);
        let span = full.saturating_mul(u32::from(self.jitter.min(100))) / 100;
        full.saturating_sub(fraction(span, mix(seed ^ u64::from(attempt))))
    }
}

/// `initial * factor ^ steps`, at most `max`.
fn grow(initial: Duration, factor: u32, steps: u64, max: Duration) -> Duration {
    if factor <= 1 || initial.is_zero() {
        return initial.min(max);
    }
    let mut delay = initial;
    // At least doubling: it ends after at most 64 steps.
    for _ in 0..steps {
        if delay >= max {
            break;
        }
        delay = delay.saturating_mul(factor);
    }
    delay.min(max)
}

/// A part of `span` from nothing up to but not all of it, picked by 32 bits of `random`.
pub(super) fn fraction(span: Duration, random: u64) -> Duration {
    let nanoseconds = span.as_nanos().saturating_mul(u128::from(random >> 32)) >> 32;
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}

/// Scatters a seed: neighbouring seeds give unrelated numbers (the finalizer of SplitMix64, Steele et al. 2014).
pub(super) const fn mix(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseDurationError {
    /// Another form.
    #[error("{0:?} is no duration; write it as 30s, 5m, 1h30m or 500ms, or as plain seconds")]
    Form(String),
    /// Below zero.
    #[error("{0:?} is negative; a wait can't be")]
    Negative(String),
    /// Beyond what Go's `time.Duration` holds (292 years).
    #[error("{0:?} is too long")]
    TooLong(String),
}

/// Reads a duration as Argo CD does: a whole number is seconds, everything else is a Go duration: numbers, with or
/// without a fraction, each with a unit of `ns`, `us`, `µs`, `ms`, `s`, `m`, `h`, as `1h30m`, `1.5s`.
///
/// # Errors
/// Another form, a negative duration, or one that Go could not hold.
pub fn parse_duration(text: &str) -> Result<Duration, ParseDurationError> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let nanoseconds = if plain { whole(digits, SECOND) } else { sum_of_parts(digits) };
    let nanoseconds = nanoseconds.and_then(|nanoseconds| i64::try_from(nanoseconds).map_err(|_| Flaw::TooLong));
    // What an error quotes of the text is enough to find it.
    let quote = || text.chars().take(64).collect();
    match nanoseconds {
        Ok(nanoseconds) if nanoseconds > 0 && negative => Err(ParseDurationError::Negative(quote())),
        Ok(nanoseconds) => Ok(Duration::from_nanos(nanoseconds.unsigned_abs())),
        Err(Flaw::Form) => Err(ParseDurationError::Form(quote())),
        Err(Flaw::TooLong) => Err(ParseDurationError::TooLong(quote())),
    }
}

/// A second in nanoseconds.
const SECOND: u128 = 1_000_000_000;

enum Flaw {
    Form,
    TooLong,
}

/// Nanoseconds in `1h30m`.
fn sum_of_parts(text: &str) -> Result<u128, Flaw> {
    let (mut rest, mut sum) = (text, 0u128);
    if rest.is_empty() {
        return Err(Flaw::Form);
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(end);
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let unit = unit_in_nanoseconds(unit).ok_or(Flaw::Form)?;
        let (digits, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (digits.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(Flaw::Form);
        }
        let part = whole(digits, unit)?.checked_add(part_of(fraction, unit)?);
        sum = part.and_then(|part| sum.checked_add(part)).ok_or(Flaw::TooLong)?;
        rest = tail;
    }
    Ok(sum)
}

/// Nanoseconds in a whole number, of digits only, of a unit.
fn whole(digits: &str, unit: u128) -> Result<u128, Flaw> {
    if digits.is_empty() {
        return Ok(0);
    }
    digits.parse::<u128>().ok().and_then(|number| number.checked_mul(unit)).ok_or(Flaw::TooLong)
}

/// Nanoseconds in what stands behind the point, cut to whole ones.
fn part_of(fraction: &str, unit: u128) -> Result<u128, Flaw> {
    /// Digits that can matter: an hour has 3.6e12 nanoseconds.
    const DIGITS: usize = 15;
    let digits = fraction.get(..DIGITS).unwrap_or(fraction);
    let scale = digits.bytes().fold(1u128, |scale, _| scale * 10);
    Ok(whole(digits, unit)? / scale)
}

fn unit_in_nanoseconds(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => SECOND,
        "m" => 60 * SECOND,
        "h" => 3600 * SECOND,
        _ => return None,
    })
}

#[cfg(test)]
#[path = "backoff_tests.rs"]
mod tests;
