//! JSON values as YAML that people read and compare: short values on one line, long ones as blocks, keys sorted.

use serde_json::Value;

/// Columns that a line may fill before its value becomes a block.
const WIDTH: usize = 120;
/// Longest text that is written whole, in characters.
const MAX_TEXT: usize = 10_000;

/// A value as YAML. The outermost map or list is always a block. Ends with a line end.
pub(crate) fn print(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => block(&mut out, value, 0),
        Value::Array(list) if !list.is_empty() => block(&mut out, value, 0),
        _ => {
            out.push_str(&flow(value));
            out.push('\n');
        }
    }
    out
}

/// A map's or list's entries, one or more lines each, `indent` columns in.
fn block(out: &mut String, value: &Value, indent: usize) {
    let pad = " ".repeat(indent);
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                entry(out, &format!("{pad}{}:", scalar(key, "")), value, indent);
            }
        }
        Value::Array(list) => {
            for item in list {
                item_of_list(out, &pad, item, indent);
            }
        }
        _ => {}
    }
}

/// `head value` on one line if it fits, else the value as a block below.
fn entry(out: &mut String, head: &str, value: &Value, indent: usize) {
    let short = alone(value);
    out.push_str(head);
    // A list stands as far left as its key, as kubectl prints it.
    let deeper = if value.is_array() { indent } else { indent + 2 };
    if fits(head, &short) || !is_nested(value) {
        out.push(' ');
        out.push_str(&short);
        out.push('\n');
    } else {
        out.push('\n');
        block(out, value, deeper);
    }
}

/// `- value`, with the first key of a map behind the dash.
fn item_of_list(out: &mut String, pad: &str, item: &Value, indent: usize) {
    let short = alone(item);
    if fits(pad, &short) || !is_nested(item) {
        out.push_str(&format!("{pad}- {short}\n"));
        return;
    }
    let mut below = String::new();
    block(&mut below, item, indent + 2);
    out.push_str(&format!("{pad}- {}", below.get(indent + 2..).unwrap_or_default()));
}

fn fits(head: &str, short: &str) -> bool {
    head.len() + short.chars().count() < WIDTH
}

/// Whether it has entries of its own.
fn is_nested(value: &Value) -> bool {
    match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(list) => !list.is_empty(),
        _ => false,
    }
}

/// On one line of its own.
fn alone(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text, ""),
        _ => flow(value),
    }
}

/// On one line, also inside of braces.
fn flow(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let entries: Vec<String> =
                map.iter().map(|(key, value)| format!("{}: {}", scalar(key, "{}[],"), flow(value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::String(text) => scalar(text, "{}[],"),
        _ => value.to_string(),
    }
}

/// A text without quotes where YAML reads it as that text, also inside of braces.
fn scalar(text: &str, special: &str) -> String {
    let count = text.chars().count();
    if count > MAX_TEXT {
        let start: String = text.chars().take(40).collect();
        return scalar(&format!("<{count} characters, {start}...>"), special);
    }
    let plain = |c: char| c.is_ascii_graphic() || c == ' ';
    let safe = text.starts_with(|c: char| c.is_ascii_alphanumeric() || "<./_(".contains(c))
        && !text.ends_with([' ', ':'])
        && text.chars().all(|c| plain(c) && !special.contains(c))
        && !text.contains(": ")
        && !text.contains(" #")
        && !reads_as_another(text);
    if safe {
        text.to_owned()
    } else if text.contains(['"', '\\']) && text.chars().all(plain) {
        format!("'{}'", text.replace('\'', "''"))
    } else {
        Value::from(text).to_string()
    }
}

/// Whether a plain scalar would be read as a number, a boolean, null or a time.
fn reads_as_another(text: &str) -> bool {
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && text.contains(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_hexdigit() || "+-._xXoOeE:".contains(c));
    const WORDS: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    numeric || WORDS.contains(&text.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_read_back_as_they_were() {
        let long = "word ".repeat(60) + "end";
        let value = json!({
            "a": "1", "b": 1, "c": true, "d": "true", "e": null, "f": "null", "g": "", "h": "x: y", "i": "x #y", "j": "-", "k": [],
            "l": {}, "m": [1, [2, [3]], {"x": "{y}"}], "n": "two\nlines", "o": "ends:", "p": "10.0.0.1", "q": "1e3", "r": "0x1f",
            "f:data": {".": {}, "k:{\"name\":\"a\"}": {}}, "s": long, "t": [long, {"u": long, "v": [long]}, [long]], "~": "~",
            "w": "<uid1>", "x": "no", "y": "1000m", "z": "2026-01-01T00:00:00Z", "é": "ü", " lead": " lead", "*a": "*a", "'": "it's \"so\"", "aa": "a, b [c] {d}", "ab": "a \"b\" \\ c", "ac": ["a, b", "[x]"], "a,b": 1,
        });
        let text = print(&value);
        let read: Value = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(read, value, "{text}");
        assert!(text.contains("f:data: {.: {}, 'k:{\"name\":\"a\"}': {}}\n"), "{text}");
    }

    #[test]
    fn long_texts_are_shortened() {
        assert_eq!(print(&json!({"a": "x".repeat(10_001)})), format!("a: <10001 characters, {}...>\n", "x".repeat(40)));
    }
}
