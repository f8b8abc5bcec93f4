//! Differences between two answers, line by line.

use super::script::Script;

/// Lines shown around a difference.
const CONTEXT: usize = 3;

/// A step that was answered in another way than recorded.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) step: String,
    /// The lines that differ, with some around them.
    pub(crate) lines: String,
}

/// The steps of a recording whose answers differ from those given, and those that were said to differ and do not.
pub(crate) fn compare(recorded: &Script, answers: &[String], of_model: bool) -> Vec<Difference> {
    let mut found = Vec::new();
    for (step, answer) in recorded.steps.iter().zip(answers) {
        let may_differ = step.differs.as_ref().filter(|_| of_model);
        let lines = match may_differ {
            Some(why) if step.answer == *answer => format!("is no different any more: {why}\n"),
            None if step.answer != *answer => difference(&step.answer, answer),
            _ => continue,
        };
        found.push(Difference { step: step.name.clone(), lines });
    }
    found
}

/// The lines of `old` that are not in `new` (`-`) and the other way round (`+`), with some around them.
pub(crate) fn difference(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let lines = edits(&old, &new);
    let changed: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].0 != ' ').collect();
    let mut out = String::new();
    let mut last = None;
    for (at, (mark, line)) in lines.iter().enumerate() {
        if changed.iter().any(|change| change.abs_diff(at) <= CONTEXT) {
            if last.is_some_and(|last| last + 1 != at) {
                out.push_str("  ...\n");
            }
            out.push_str(&format!("{mark} {line}\n"));
            last = Some(at);
        }
    }
    out
}

/// All lines, each with how it gets from one to the other, by the longest common subsequence of what lies between the
/// common start and the common end.
fn edits<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<(char, &'a str)> {
    let start = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old_rest, new_rest) = (&old[start..], &new[start..]);
    let end = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(a, b)| a == b).count();
    let (a, b) = (&old_rest[..old_rest.len() - end], &new_rest[..new_rest.len() - end]);
    let mut lengths = vec![vec![0_u32; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            lengths[i][j] =
                if a[i] == b[j] { lengths[i + 1][j + 1] + 1 } else { lengths[i + 1][j].max(lengths[i][j + 1]) };
        }
    }
    let mut out: Vec<(char, &str)> = old[..start].iter().map(|line| (' ', *line)).collect();
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            out.push((' ', a[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == b.len() || i < a.len() && lengths[i + 1][j] >= lengths[i][j + 1] {
            out.push(('-', a[i]));
            i += 1;
        } else {
            out.push(('+', b[j]));
            j += 1;
        }
    }
    out.extend(old_rest[old_rest.len() - end..].iter().map(|line| (' ', *line)));
    out
}

#[test]
fn differences_are_shown_with_the_lines_around_them() {
    assert_eq!(difference("a\nb\nc\n", "a\nb\nc\n"), "");
    assert_eq!(difference("a\nb\nc\n", "a\nx\nc\nd\n"), "  a\n- b\n+ x\n  c\n+ d\n");
    let old: String = (0..20).map(|n| format!("{n}\n")).collect();
    let new = old.replace("\n2\n", "\nx\n").replace("\n17\n", "\n");
    let expected = "  0\n  1\n- 2\n+ x\n  3\n  4\n  5\n  ...\n  14\n  15\n  16\n- 17\n  18\n  19\n";
    assert_eq!(difference(&old, &new), expected);
}
