use super::*;
use serde_json::json;

#[test]
fn scalars_are_read_as_go_reads_them() {
    let cases = [
        ("yes", json!(true)),
        ("No", json!(false)),
        ("on", json!(true)),
        ("OFF", json!(false)),
        ("y", json!(true)),
        ("'yes'", json!("yes")),
        ("~", Value::Null),
        ("null", Value::Null),
        ("", Value::Null),
        ("'null'", json!("null")),
        ("0755", json!(493)),
        ("0o755", json!(493)),
        ("'0755'", json!("0755")),
        ("0x1F", json!(31)),
        ("0b101", json!(5)),
        ("1_000", json!(1000)),
        ("08", json!(8)),
        ("-7", json!(-7)),
        ("1.5", json!(1.5)),
        ("2.0", json!(2)),
        ("1e3", json!(1000)),
        ("-0.0", json!(0)),
        ("18446744073709551615", json!(18_446_744_073_709_551_615_u64)),
        ("-9223372036854775808", json!(i64::MIN)),
        ("1.2.3", json!("1.2.3")),
        ("1:30", json!("1:30")),
        ("2026-11-23", json!("2026-11-23")),
        ("2026-11-23T10:00:00Z", json!("2026-11-23T10:00:00Z")),
        ("12e", json!("12e")),
        ("100m", json!("100m")),
        ("!!str 12", json!("12")),
        ("!!int '12'", json!(12)),
        ("!custom text", json!("text")),
        ("|\n a\n b\n", json!("a\nb\n")),
        (">-\n a\n b\n", json!("a b")),
        ("\"a\\u00e9\\n\"", json!("aé\n")),
        ("\"\\ud83d\\ude00\"", json!("😀")),
    ];
    for (text, expected) in cases {
        assert_eq!(yaml(&format!("v: {text}\n")), Ok(json!({ "v": expected })), "{text}");
    }
}

#[test]
fn structures_are_read_as_go_reads_them() {
    let cases = [
        ("a: 1\r\nb:\r\n- x\r\n", json!({"a": 1, "b": ["x"]})),
        ("a: &x {b: 1}\nc: *x\n", json!({"a": {"b": 1}, "c": {"b": 1}})),
        ("a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  c: 3\n", json!({"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}})),
        ("d: {<<: [{a: 1}, {a: 2, b: 2}]}\n", json!({"d": {"a": 1, "b": 2}})),
        ("1: a\ntrue: b\n", json!({"1": "a", "true": "b"})),
        ("on:\n  push: x\n", json!({"on": {"push": "x"}})),
        ("{\n\t\"a\": [1,\n\t2]\n}\n", json!({"a": [1, 2]})),
        ("--- # comment\na: 1\n", json!({"a": 1})),
        ("%YAML 1.1\n---\na: 1\n", json!({"a": 1})),
        ("? a\n: b\n", json!({"a": "b"})),
        ("a:\n- b\n- - c\n  - d\n", json!({"a": ["b", ["c", "d"]]})),
    ];
    for (text, expected) in cases {
        assert_eq!(yaml(text), Ok(expected), "{text}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_without_the_text() {
    let cases = [
        ("a: 1\nb: 2\na: hunter2\n", Some((3, 1)), "written twice"),
        ("a: {x: hunter2, x: 1}\n", Some((1, 17)), "written twice"),
        ("a: *hunter2\n", Some((1, 4)), "no anchor"),
        ("a: [hunter2\n", None, ""),
        ("a: @hunter2\n", Some((1, 4)), "quote the value"),
        ("password: hunter2: x\n", Some((1, 18)), "mapping values are not allowed"),
        ("a: 1\n  hunter2\nb\n", None, ""),
        ("a: \"hunter2\n", None, ""),
        ("a:\n\t- hunter2\n", Some((2, 2)), "tab"),
        ("a: .inf\n", Some((1, 4)), "infinity"),
        ("a: .nan\n", Some((1, 4)), "infinity"),
        ("a: 1e999\n", Some((1, 4)), "infinity"),
        ("a: !!int hunter2\n", Some((1, 10)), "tag"),
        ("a: !!binary hunter2\n", None, "base64"),
        ("{a: hunter2}: b\n", None, ""),
        ("~: hunter2\n", Some((1, 1)), "key is null"),
        ("a: &x [*x]\n", Some((1, 8)), ""),
        ("<<: hunter2\n", None, "`<<`"),
        ("a: b\n--- \nc: hunter2\n", None, ""),
    ];
    for (text, position, expected) in cases {
        let error = yaml(text).expect_err(text);
        assert!(error.reason.contains(expected), "{text}: {error:?}");
        assert!(!error.reason.contains("hunter2"), "{text}: {error:?}");
        if position.is_some() {
            assert_eq!(error.position, position, "{text}: {error:?}");
        }
    }
}

#[test]
fn bombs_are_errors() {
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let alias = vec![format!("*a{}", level - 1); 10].join(", ");
        laughs.push_str(&format!("a{level}: &a{level} [{alias}]\n"));
    }
    let mut merges = "a0: &a0 {k0: 1}\n".to_owned();
    for level in 1..30 {
        merges.push_str(&format!("a{level}: &a{level} {{<<: [*a{0}, *a{0}], k{level}: 1}}\n", level - 1));
    }
    let text = format!("a: &a \"{}\"\nb: [{}]\n", "x".repeat(1 << 16), vec!["*a"; 2000].join(", "));
    let flow = "[".repeat(50_000);
    let block = (0..2_000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect::<String>();
    let wide = "- 1\n".repeat(MAX_VALUES + 1);
    for (name, bomb) in
        [("laughs", laughs), ("merges", merges), ("text", text), ("flow", flow), ("block", block), ("wide", wide)]
    {
        assert!(yaml(&bomb).is_err(), "{name}");
    }
    let json_bomb = "[".repeat(50_000);
    assert!(json(&json_bomb).is_err());
}

#[test]
fn nesting_within_the_bound_is_read() {
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    assert!(yaml(&nested(MAX_NESTING)).is_ok());
    assert!(json(&nested(MAX_NESTING)).is_ok());
    assert!(yaml(&nested(MAX_NESTING + 1)).is_err());
    assert!(json(&nested(MAX_NESTING + 1)).unwrap_err().reason.contains("100 levels"));
}

#[test]
fn one_anchor_may_be_used_often() {
    let text = format!("a: &a {{x: 1}}\nb: [{}]\n", vec!["*a"; 1_000].join(", "));
    assert_eq!(yaml(&text).unwrap()["b"].as_array().unwrap().len(), 1_000);
}

#[test]
fn json_is_read_strictly() {
    assert_eq!(json(" {\"a\": [1.0, 1e3, null, 0.5]}\n"), Ok(json!({"a": [1, 1000, null, 0.5]})));
    let cases = [
        ("{\"a\": \"hunter2\",\n \"a\": 2}", Some((2, 8)), "written twice"),
        ("{\"a\": hunter2}", Some((1, 7)), "not valid JSON"),
        ("{\"a\": \"hunter2\"", Some((1, 15)), "too early"),
        ("{\"a\": 1}\n{\"b\": 2}", Some((2, 1)), "more than one value"),
        ("", None, "too early"),
        ("// hunter2\n{}", Some((1, 1)), "not valid JSON"),
    ];
    for (text, position, expected) in cases {
        let error = json(text).expect_err(text);
        assert!(error.reason.contains(expected) && !error.reason.contains("hunter2"), "{text}: {error:?}");
        if position.is_some() {
            assert_eq!(error.position, position, "{text}");
        }
    }
}
