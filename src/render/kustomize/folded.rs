//! What becomes of folded blocks (`>`): kustomize writes each once in the same style before it prints it, and go-yaml
//! writes some of them so that they read as something else.

const fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

/// Whether go-yaml v3 writes `text` as a block.
pub(super) fn fits_in_a_block(text: &str) -> bool {
    let printable = |c| matches!(c, '\n' | '\t' | ' '..='~' | '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}');
    !text.ends_with(' ') && !text.contains(" \n") && text.chars().all(printable)
}

/// A folded block that says `text`, written by go-yaml v3 and read again. The line break that it adds to separate
/// paragraphs is too much in front of indented lines and at the end of what keeps all line breaks, and is not added at
/// all if the text begins with a blank.
pub(super) fn written_and_read(text: String) -> String {
    let mut lines = text.trim_start_matches('\n').split('\n').peekable();
    let Some(first) = lines.peek().and_then(|line| line.chars().next()) else { return text };
    if !fits_in_a_block(&text) {
        return text;
    }
    let doubles = !is_blank(first);
    let indented = |line: &str| line.starts_with(is_blank);
    let trailing = text.len() - text.trim_end_matches('\n').len();
    let leading = text.len() - text.trim_start_matches('\n').len();
    let body = text.trim_matches('\n');
    let mut result = "\n".repeat(leading);
    let mut previous: Option<&str> = None;
    let mut breaks = 0_usize;
    for line in body.split('\n') {
        if let Some(above) = previous.filter(|_| !line.is_empty()) {
            breaks += 1;
            let written = breaks + usize::from(doubles && !indented(above));
            if indented(above) || indented(line) {
                result.extend(std::iter::repeat_n('\n', written));
            } else if written == 1 {
                result.push(' ');
            } else {
                result.extend(std::iter::repeat_n('\n', written - 1));
            }
            breaks = 0;
        } else if previous.is_some() {
            breaks += 1;
            continue;
        }
        result.push_str(line);
        previous = Some(line);
    }
    let kept = if trailing > 1 && doubles && !previous.is_some_and(indented) { trailing + 1 } else { trailing };
    result.extend(std::iter::repeat_n('\n', kept));
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folded_blocks_change_as_in_kustomize() {
        let cases = [
            ("one two\nthree\n", "one two\nthree\n"),
            ("one\n  indented\nfour\n", "one\n\n  indented\nfour\n"),
            ("one\n\n", "one\n\n\n"),
            ("one\n\n\ntwo", "one\n\n\ntwo"),
            (" one\ntwo\nthree", " one\ntwo three"),
            ("one \ntwo", "one \ntwo"),
            ("\n\none\n", "\n\none\n"),
            ("", ""),
            ("\n", "\n"),
        ];
        for (text, expected) in cases {
            assert_eq!(written_and_read(text.to_owned()), expected, "{text:?}");
        }
    }
}
