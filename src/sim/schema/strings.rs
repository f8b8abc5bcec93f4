//! The formats that a schema can ask of texts.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use regex::Regex;

use crate::sim::apiserver::names;

/// Formats by their names without hyphens, with the form of the texts. The forms are those of kube-apiserver.
static FORMS: LazyLock<Vec<(&str, Regex)>> = LazyLock::new(|| {
    let uuid = |third: &str, fourth: &str| {
        format!("(?i)^[0-9a-f]{{8}}-?[0-9a-f]{{4}}-?{third}[0-9a-f]{{3}}-?{fourth}[0-9a-f]{{3}}-?[0-9a-f]{{12}}$")
    };
    let forms = [
        ("uuid", uuid("[0-9a-f]", "[0-9a-f]")),
        ("uuid3", uuid("3", "[0-9a-f]")),
        ("uuid4", uuid("4", "[89ab]")),
        ("uuid5", uuid("5", "[89ab]")),
        ("hexcolor", "^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$".to_owned()),
        ("ssn", r"^\d{3}[- ]?\d{2}[- ]?\d{4}$".to_owned()),
        ("byte", "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})$".to_owned()),
        ("mac", "^(?i)(?:[0-9a-f]{2}(?::[0-9a-f]{2}){5}|[0-9a-f]{2}(?:-[0-9a-f]{2}){5})$".to_owned()),
    ];
    // All of them are regular expressions: a test reads them.
    forms.into_iter().filter_map(|(name, form)| Some((name, Regex::new(&form).ok()?))).collect()
});

/// Whether a text has a format. Of formats that are not known here, nor to the server, all texts are.
pub(super) fn has_format(text: &str, format: &str) -> bool {
    let format = format.replace('-', "");
    match format.as_str() {
        "datetime" => is_time(text),
        "date" => text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok(),
        "duration" => is_duration(text),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "cidr" => is_network(text),
        "k8sshortname" => names::label(text).is_empty(),
        "k8slongname" => names::subdomain(text).is_empty(),
        name => FORMS.iter().find(|(known, _)| *known == name).is_none_or(|(_, form)| form.is_match(text)),
    }
}

/// RFC 3339, with any number of digits behind the second and either case of its letters.
fn is_time(text: &str) -> bool {
    let text = text.to_ascii_uppercase();
    text.contains('T') && text.parse::<jiff::Timestamp>().is_ok()
}

/// As Go has them (`1h30m`, `1.5s`), or numbers with units in words.
fn is_duration(text: &str) -> bool {
    static FORM: LazyLock<Option<Regex>> = LazyLock::new(|| {
        let go = r"[+-]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)";
        let words = r"(?i:.*\d+\s*(?:ns|nano|us|µs|micro|ms|milli|s|sec|m|min|h|hr|hour|d|day|w|wk|week).*)";
        Regex::new(&format!("^(?:{go}|{words})$")).ok()
    });
    FORM.as_ref().is_none_or(|form| form.is_match(text))
}

fn is_network(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let Ok(length) = length.parse::<u8>() else { return false };
    address.parse::<Ipv4Addr>().is_ok() && length <= 32 || address.parse::<Ipv6Addr>().is_ok() && length <= 128
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_which_format() {
        let cases = [
            ("date-time", "2026-01-01T00:00:00Z", "yesterday"),
            ("date-time", "2026-01-01t00:00:00.5+01:00", "2026-01-01"),
            ("date", "2026-01-01", "2026-1-1"),
            ("duration", "1h30m", "soon"),
            ("duration", "5 minutes", "h"),
            ("ipv4", "10.0.0.1", "10.0.0"),
            ("ipv6", "::1", "10.0.0.1"),
            ("cidr", "10.0.0.0/8", "10.0.0.0/40"),
            ("uuid4", "1d3cdba2-9d4f-4f3e-9c5c-6f3f1e2d4c5b", "1d3cdba2-9d4f-3f3e-9c5c-6f3f1e2d4c5b"),
            ("byte", "AAEC", "AAE"),
            ("mac", "01:23:45:67:89:ab", "01:23"),
            ("k8s-short-name", "web", "Web"),
        ];
        for (format, good, bad) in cases {
            assert!(has_format(good, format) && !has_format(bad, format), "{format}");
        }
        assert!(has_format("anything", "thing") && has_format("anything", ""));
        assert_eq!(FORMS.len(), 8);
    }
}
