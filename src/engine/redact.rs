//! The one place where text from the API server is made fit to be shown. Server messages quote field values
//! (`Invalid value: "hunter2"`); those of a Secret, and anything quoted in a message about one, must not leave.

/// Longest message that is passed on, in bytes.
pub const MAX_MESSAGE: usize = 1024;

/// A server message about an object, fit for status, events and logs: for a Secret every quoted or `Invalid value:` part
/// is masked, and every message is cut at [`MAX_MESSAGE`] bytes at a character boundary.
pub fn server_message(message: &str, is_secret: bool) -> String {
    let text = if is_secret { mask_quoted(message) } else { message.to_owned() };
    truncate(text)
}

/// Cuts `text` at [`MAX_MESSAGE`] bytes, at a character boundary, marking the cut.
pub fn truncate(mut text: String) -> String {
    const MARK: &str = "…";
    if text.len() > MAX_MESSAGE {
        let mut end = MAX_MESSAGE - MARK.len();
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str(MARK);
    }
    text
}

/// Replaces what stands between quotes, and everything after a colon that introduces a value, by a mask. What is left
/// names fields and reasons only.
fn mask_quoted(message: &str) -> String {
    const MASK: &str = "<redacted>";
    // The second is the schema check's: `.data: expected map, got &{hunter2}`.
    const VALUES: [&str; 2] = ["Invalid value: ", ", got "];
    let mut out = String::with_capacity(message.len());
    let mut rest = message;
    loop {
        let quote = rest.find(['"', '\'', '`']);
        let value = VALUES.iter().filter_map(|mark| rest.find(mark).map(|at| at + mark.len())).min();
        match (quote, value) {
            (Some(quote), value) if value.is_none_or(|value| quote < value) => {
                out.push_str(&rest[..quote]);
                out.push_str(MASK);
                let mark = rest.as_bytes()[quote];
                match closing(&rest[quote + 1..], mark) {
                    Some(end) => rest = &rest[quote + 1 + end..],
                    None => return out,
                }
            }
            (_, Some(value)) => {
                // What follows may hold any text, unquoted too: nothing behind it is kept.
                out.push_str(&rest[..value]);
                out.push_str(MASK);
                return out;
            }
            _ => {
                out.push_str(rest);
                return out;
            }
        }
    }
}

/// Offset behind the quote that closes a quoted text, minding backslashes.
fn closing(text: &str, mark: u8) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            _ if byte == mark => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_secrets_are_masked() {
        let cases = [
            (r#"Secret "db" is invalid: data[x]: Invalid value: hunter2: bad"#, "hunter2"),
            (r#"cannot unmarshal "hunter2" into map"#, "hunter2"),
            (r#"illegal base64 data at input byte 3 'hunter2"#, "hunter2"),
            (r#"a "b\"hunter2" c"#, "hunter2"),
            (".data: expected map, got &{hunter2}", "hunter2"),
            (".data.a: expected string, got &value.valueUnstructured{Value:5123}", "5123"),
        ];
        for (message, secret) in cases {
            let shown = server_message(message, true);
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(server_message(r#"Service "web" is invalid"#, false).contains("web"));
    }

    #[test]
    fn long_messages_are_cut_at_a_character() {
        let shown = server_message(&"ä".repeat(2000), false);
        assert!(shown.len() <= MAX_MESSAGE && shown.ends_with('…'));
    }
}
