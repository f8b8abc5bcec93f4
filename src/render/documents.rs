//! Splits a YAML stream into its documents, so that each is parsed alone and an error names it.

/// One document of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Document<'t> {
    /// Its text, with the marker and the directives before it.
    pub(super) text: &'t str,
    /// Line at which `text` begins, counted from 1.
    pub(super) text_line: u32,
    /// Its number in the stream, counted from 1. Documents without content count.
    pub(super) number: u32,
    /// Line of its first content, counted from 1.
    pub(super) line: u32,
}

/// The documents of `text` that have content: more than markers, comments, directives and blank lines.
///
/// Markers are those of the YAML specification: `---` and `...` at the begin of a line, followed by white space or the end
/// of the line. They can't occur inside of a scalar. What stands behind `---` on its line belongs to the document.
pub(super) fn split(text: &str) -> Vec<Document<'_>> {
    let mut splitter = Splitter { text, documents: Vec::new(), number: 0, open: Open::at(0, 1) };
    let mut offset = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        // A file of more than 4 billion lines is beyond every size limit.
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        splitter.line(line, offset, number);
        offset += line.len();
    }
    splitter.close(text.len());
    splitter.documents
}

struct Splitter<'t> {
    text: &'t str,
    documents: Vec<Document<'t>>,
    number: u32,
    open: Open,
}

/// The document that is being read.
struct Open {
    start: usize,
    start_line: u32,
    /// It began with `---`.
    explicit: bool,
    /// It began with directives, which belong to the `---` that follows.
    directives: bool,
    /// Line of its first content.
    content: Option<u32>,
}

impl Open {
    const fn at(start: usize, start_line: u32) -> Self {
        Self { start, start_line, explicit: false, directives: false, content: None }
    }
}

impl Splitter<'_> {
    fn line(&mut self, line: &str, offset: usize, number: u32) {
        if let Some(rest) = marker(line, "---") {
            if self.open.explicit || self.open.content.is_some() {
                self.close(offset);
                self.open = Open::at(offset, number);
            } else if !self.open.directives {
                self.open = Open::at(offset, number);
            }
            self.open.explicit = true;
            if is_content(rest) {
                self.open.content = Some(number);
            }
        } else if marker(line, "...").is_some() {
            self.close(offset);
            self.open = Open::at(offset + line.len(), number.saturating_add(1));
        } else if line.starts_with('%') && !self.open.explicit && self.open.content.is_none() {
            self.open.directives = true;
        } else if self.open.content.is_none() && is_content(line) {
            self.open.content = Some(number);
        }
    }

    /// Ends the open document before the byte `end`.
    fn close(&mut self, end: usize) {
        let open = &self.open;
        if open.explicit || open.content.is_some() {
            self.number += 1;
        }
        if let (Some(line), Some(text)) = (open.content, self.text.get(open.start..end)) {
            self.documents.push(Document { text, text_line: open.start_line, number: self.number, line });
        }
    }
}

/// What follows the marker `sign` on `line`, if the line is one.
fn marker<'l>(line: &'l str, sign: &str) -> Option<&'l str> {
    let rest = line.strip_prefix(sign)?;
    (rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n'])).then_some(rest)
}

fn is_content(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_split_on_markers() {
        type Case = (&'static str, &'static [(u32, u32, &'static str)]);
        let cases: &[Case] = &[
            ("", &[]),
            ("# only a comment\n\n", &[]),
            ("---\n---\n# x\n---\n", &[]),
            ("a: 1", &[(1, 1, "a: 1")]),
            ("# c\n---\na: 1\n---\nb: 2\n", &[(1, 3, "---\na: 1\n"), (2, 5, "---\nb: 2\n")]),
            ("a: 1\n---\n---\nb: 2\n", &[(1, 1, "a: 1\n"), (3, 4, "---\nb: 2\n")]),
            ("a: 1\r\n---\r\nb: 2\r\n", &[(1, 1, "a: 1\r\n"), (2, 3, "---\r\nb: 2\r\n")]),
            ("--- {a: 1}\n--- # c\nb: 2\n", &[(1, 1, "--- {a: 1}\n"), (2, 3, "--- # c\nb: 2\n")]),
            ("%YAML 1.1\n---\na: 1\n", &[(1, 3, "%YAML 1.1\n---\na: 1\n")]),
            ("a: 1\n...\n# c\n%YAML 1.1\n---\nb: 2\n...\n", &[(1, 1, "a: 1\n"), (2, 6, "# c\n%YAML 1.1\n---\nb: 2\n")]),
            ("a: |\n  ---\n  x\nb: '---'\n---a: 1\n", &[(1, 1, "a: |\n  ---\n  x\nb: '---'\n---a: 1\n")]),
            ("a: 1\n---", &[(1, 1, "a: 1\n")]),
        ];
        for (text, expected) in cases {
            let found: Vec<_> = split(text).iter().map(|d| (d.number, d.line, d.text)).collect();
            assert_eq!(found, *expected, "{text:?}");
        }
    }

    #[test]
    fn texts_know_where_they_begin() {
        let lines: Vec<_> = split("a: 1\n...\n\nb: 2\n---\nc: 3\n").iter().map(|d| (d.text_line, d.line)).collect();
        assert_eq!(lines, [(1, 1), (3, 4), (5, 6)]);
    }
}
