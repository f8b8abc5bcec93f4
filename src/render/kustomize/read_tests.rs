//! Tests of the YAML reader.

use super::*;
use crate::render::kustomize::write::to_yaml;

fn read(text: &str) -> Result<String, ReadError> {
    Ok(documents(text)?.iter().map(|document| to_yaml(&document.value).unwrap()).collect::<Vec<_>>().join("---\n"))
}

#[test]
fn documents_are_read_as_kustomize_reads_them() {
    let cases = [
        ("\u{feff}a: 1\r\nb: |\r\n  x\r\n", "a: 1\nb: |\n  x\n"),
        ("---\na: 1\n---\n# nothing\n--- # comment\nb: 2\n---\n", "a: 1\n---\nb: 2\n"),
        ("a: |\n  x\n---\nb: 2", "a: |\n  x\n---\nb: 2\n"),
        ("a: 1\n...\nb: 2\n", "a: 1\n"),
        ("~", ""),
        ("a:\nb: ~\nc: {d: , e}\nf: [~]", "a: null\nb: null\nc:\n  d: \"\"\n  e: \"\"\nf:\n- null\n"),
        (
            "a: {t: 2001-01-01 10:20:30.5, d: 2001-01-01}",
            "a:\n  d: \"2001-01-01T00:00:00Z\"\n  t: \"2001-01-01 10:20:30.5\"\n",
        ),
        ("a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}\n\"<<\": 3", "a:\n  b: 1\nc:\n  b: 1\nd:\n  b: 1\n  e: 2\n"),
        ("d: {<<: [{a: 1, b: 1}, {a: 2, c: 2}], b: 3}", "d:\n  a: 1\n  b: 3\n  c: 2\n"),
        (
            "s: !!str 12\ni: !!int \"12\"\nb: !!binary aGk=\nc: !foo 12\nf: !!float 3",
            "b: hi\nc: \"12\"\nf: 3\ni: 12\ns: \"12\"\n",
        ),
        ("1: a", "\"1\": a\n"),
    ];
    for (text, expected) in cases {
        assert_eq!(read(text).unwrap(), expected, "{text:?}");
    }
}

#[test]
fn what_kustomize_refuses_is_an_error_with_its_line() {
    let many = |n: usize| (0..n).map(|n| format!("k{n}: 1\n")).collect::<String>();
    let cases = [
        ("a: 1\n--- b\nc: 2\n".to_owned(), 2),
        ("a: 1\nb:\n  1: x\n".to_owned(), 3),
        ("x: 1\n---\na: 1\na: 2\n".to_owned(), 4),
        (format!("{}k0: 2\n", many(40)), 41),
        ("a: &x [*x]\n".to_owned(), 1),
        ("a: *x\n".to_owned(), 1),
        ("a: {<<: 1}\n".to_owned(), 1),
        ("a: !!int x\n".to_owned(), 1),
        ("a: 1\nb: [\n".to_owned(), 2),
        ("a: 1\nb: \u{1}\n".to_owned(), 2),
    ];
    for (text, line) in cases {
        assert_eq!(read(&text).unwrap_err().line, line, "{text:?}: {}", read(&text).unwrap_err());
    }
}

#[test]
fn bombs_are_refused() {
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..12 {
        let references = vec![format!("*a{}", n - 1); 10].join(", ");
        laughs += &format!("a{n}: &a{n} [{references}]\n");
    }
    assert!(read(&laughs).unwrap_err().reason.contains("too many values"));
    assert!(read(&"[".repeat(100_000)).is_err());
    assert!(read(&"- ".repeat(100_000)).is_err());
}
