use super::super::application;
use super::*;

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[test]
fn durations_are_read_as_argo_cd_reads_them() {
    let cases = [
        ("5s", secs(5)),
        ("3m", secs(180)),
        ("1h30m", secs(5400)),
        ("1h30m5s", secs(5405)),
        ("500ms", millis(500)),
        ("1.5h", secs(5400)),
        ("1.5s500ms", secs(2)),
        (".5s", millis(500)),
        ("2.s", secs(2)),
        ("10us", Duration::from_micros(10)),
        ("10µs", Duration::from_micros(10)),
        ("10μs", Duration::from_micros(10)),
        ("7ns", Duration::from_nanos(7)),
        ("0.0000000001s", Duration::ZERO),
        ("0.33333333333333333333h", secs(1200)),
        ("+5s", secs(5)),
        ("-0s", Duration::ZERO),
        // Plain numbers are seconds (Argo CD tries `strconv.Atoi` first).
        ("30", secs(30)),
        ("0", Duration::ZERO),
        ("+7", secs(7)),
        // Go's longest.
        ("9223372036854775807ns", Duration::from_nanos(i64::MAX.unsigned_abs())),
    ];
    for (text, expected) in cases {
        let duration = parse_duration(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let slack = expected.abs_diff(duration);
        assert!(slack <= Duration::from_nanos(2), "{text}: {duration:?}");
    }
}

#[test]
fn what_is_no_duration_is_refused_with_the_text() {
    let form = |text: &str| ParseDurationError::Form(text.to_owned());
    let too_long = |text: &str| ParseDurationError::TooLong(text.to_owned());
    let cases = [
        ("", form("")),
        (" 5s", form(" 5s")),
        ("5 s", form("5 s")),
        ("s", form("s")),
        (".s", form(".s")),
        ("1.2.3s", form("1.2.3s")),
        ("1h30", form("1h30")),
        ("1.5", form("1.5")),
        ("5d", form("5d")),
        ("5S", form("5S")),
        ("five", form("five")),
        ("--5s", form("--5s")),
        ("-5s", ParseDurationError::Negative("-5s".to_owned())),
        ("-5", ParseDurationError::Negative("-5".to_owned())),
        ("9223372036854775808ns", too_long("9223372036854775808ns")),
        ("2562048h", too_long("2562048h")),
        ("99999999999999999999999999999999999999999999s", too_long("99999999999999999999999999999999999999999999s")),
        ("99999999999999999999999999999999999999999999", too_long("99999999999999999999999999999999999999999999")),
    ];
    for (text, expected) in cases {
        assert_eq!(parse_duration(text), Err(expected), "{text}");
    }
    assert!(parse_duration(&"é".repeat(10_000)).unwrap_err().to_string().len() < 300);
}

fn retry(limit: Option<i64>, backoff: Option<(&str, Option<i64>, &str)>) -> Retry {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let backoff = backoff.map(|(duration, factor, max)| application::Backoff {
        duration: text(duration),
        factor,
        max_duration: text(max),
    });
    Retry { limit, backoff, refresh: None }
}

#[test]
fn a_sync_is_retried_as_its_retry_says() {
    // Retry, automated, the waits in seconds until there is no further try; the last entry of an endless one is repeated.
    let cases: Vec<(Option<Retry>, bool, Vec<u64>, bool)> = vec![
        (None, true, vec![5, 10, 20, 40, 80], false),
        (None, false, vec![], false),
        // A `retry` without `limit` is 0 in Argo CD, also for an automated sync.
        (Some(retry(None, None)), true, vec![], false),
        (Some(retry(Some(2), None)), false, vec![5, 10], false),
        (Some(retry(Some(3), Some(("1s", Some(3), "")))), true, vec![1, 3, 9], false),
        (Some(retry(Some(8), Some(("", None, "")))), true, vec![5, 10, 20, 40, 80, 160, 180, 180], false),
        (Some(retry(Some(3), Some(("7", Some(1), "")))), true, vec![7, 7, 7], false),
        (Some(retry(Some(2), Some(("10m", None, "5m")))), true, vec![300, 300], false),
        (Some(retry(Some(2), Some(("10m", None, "0")))), true, vec![600, 1200], false),
        (Some(retry(Some(-1), Some(("1h", None, "0")))), true, vec![3600, 7200, 14_400, 28_800, 57_600, 86_400], true),
        (Some(retry(Some(-1), None)), true, vec![5, 10, 20, 40, 80, 160, 180], true),
        (Some(retry(Some(1), Some(("0s", None, "")))), true, vec![0], false),
    ];
    for (retry, automated, waits, endless) in cases {
        let policy = RetryPolicy::from_spec(retry.as_ref(), automated).unwrap();
        for (count, wait) in (0u64..).zip(&waits) {
            assert_eq!(policy.next_delay(count), Some(secs(*wait)), "{retry:?}, retry {count}");
        }
        let beyond = u64::try_from(waits.len()).unwrap();
        let expected = endless.then(|| secs(*waits.last().unwrap()));
        assert_eq!(policy.next_delay(beyond), expected, "{retry:?}");
        assert_eq!(policy.next_delay(u64::MAX), expected, "{retry:?}");
    }
}

#[test]
fn a_retry_that_makes_no_sense_is_refused_with_its_field() {
    let cases = [
        (("soon", None, ""), "retry.backoff.duration: \"soon\" is no duration"),
        (("", None, "-3m"), "retry.backoff.maxDuration: \"-3m\" is negative"),
        (("", Some(0), ""), "retry.backoff.factor: 0 is not allowed"),
        (("", Some(-2), ""), "retry.backoff.factor: -2 is not allowed"),
        (("", Some(i64::MAX), ""), "retry.backoff.factor: 9223372036854775807 is not allowed"),
    ];
    for (backoff, message) in cases {
        let error = RetryPolicy::from_spec(Some(&retry(Some(1), Some(backoff))), true).unwrap_err();
        assert!(error.to_string().starts_with(message), "{error}");
    }
}

#[test]
fn backoff_grows_to_its_maximum_and_jitters_below_it() {
    let backoff = Backoff { initial: millis(500), factor: 2, max: secs(60), jitter: 50 };
    for seed in 0..200 {
        for attempt in [0, 1, 2, 6, 7, 8, 100, u32::MAX] {
            let full = if attempt < 7 { millis(500 << attempt) } else { secs(60) };
            let delay = backoff.delay(attempt, seed);
            assert!(delay > full / 2 - Duration::from_nanos(2) && delay <= full, "{attempt}: {delay:?}");
            assert_eq!(delay, backoff.delay(attempt, seed));
        }
    }
    let spread: std::collections::BTreeSet<_> = (0..100).map(|seed| backoff.delay(5, seed)).collect();
    assert!(spread.len() > 90, "seeds must scatter: {}", spread.len());
    let exact = Backoff { jitter: 0, ..backoff };
    assert_eq!((0..4).map(|n| exact.delay(n, 9)).collect::<Vec<_>>(), [millis(500), secs(1), secs(2), secs(4)]);
    let flat = Backoff { factor: 0, jitter: 255, ..backoff };
    assert!(flat.delay(u32::MAX, 1) <= millis(500));
}
