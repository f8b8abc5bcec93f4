//! Scalars as the emitter of libyaml, in the version of go-yaml v2, writes them in block context: which style is chosen,
//! what is escaped and where lines are folded.

use super::folded;
use super::scalar::needs_quotes;

/// Column behind which a line is folded at the next space.
const WIDTH: usize = 80;
/// Longest key that is written without `?`, in bytes.
const SIMPLE_KEY: usize = 128;
/// Longest key, in characters, with its quotes and escapes as JSON: the parser that reads the JSON gives up behind it.
const LONGEST_KEY: usize = 1024;

/// A document that is being written.
pub(super) struct Emitter<'t> {
    out: &'t mut String,
    /// Number of characters in the current line.
    column: usize,
}

/// What stands in the way of some styles.
#[derive(Clone, Copy, Default)]
struct Analysis {
    plain: bool,
    single_quoted: bool,
    block: bool,
    multiline: bool,
}

const fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Whether the emitter writes `c` as it is.
const fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}

/// Whether nothing in `text` means anything to YAML: so it is with most names.
fn is_simple(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/')
        && !text.ends_with(':')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./:@".contains(&byte))
}

fn analyze(text: &str) -> Analysis {
    if is_simple(text) {
        return Analysis { plain: true, single_quoted: true, block: true, multiline: false };
    }
    let (Some(first), Some(last)) = (text.chars().next(), text.chars().next_back()) else {
        return Analysis { plain: true, single_quoted: true, block: false, multiline: false };
    };
    let mut indicators = text.starts_with("---") || text.starts_with("...");
    let (mut special, mut multiline, mut break_space, mut space_break) = (false, false, false, false);
    let mut previous = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let blank_follows = rest.peek().is_none_or(|next| matches!(next, ' ' | '\t'));
        let blank_before = previous.is_none_or(|c: char| matches!(c, ' ' | '\t' | '\0') || is_break(c));
        indicators |= match c {
            ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => {
                previous.is_none()
            }
            '?' | '-' => previous.is_none() && blank_follows,
            ':' => blank_follows,
            '#' => blank_before,
            _ => false,
        };
        special |= !is_printable(c);
        multiline |= is_break(c);
        break_space |= c == ' ' && previous.is_some_and(is_break);
        space_break |= is_break(c) && previous == Some(' ');
        previous = Some(c);
    }
    let edges = first == ' ' || last == ' ' || is_break(first) || is_break(last);
    let unquotable = space_break || special;
    Analysis {
        plain: !(edges || break_space || unquotable || multiline || indicators),
        single_quoted: !(break_space || unquotable),
        block: !(last == ' ' || unquotable),
        multiline,
    }
}

/// How a scalar is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Style {
    /// Without quotes.
    #[default]
    Plain,
    SingleQuoted,
    DoubleQuoted,
    /// In a block behind `|`.
    Literal,
    /// In a block behind `>`.
    Folded,
}

/// Whether `text` can stand without quotes, whatever it would be read as then.
pub(super) fn may_be_plain(text: &str) -> bool {
    analyze(text).plain
}

/// The style in which the emitter writes a string.
pub(super) fn style_of(text: &str) -> Style {
    let analysis = analyze(text);
    if text.contains('\n') {
        if analysis.block { Style::Literal } else { Style::DoubleQuoted }
    } else if needs_quotes(text) {
        Style::DoubleQuoted
    } else if analysis.plain {
        Style::Plain
    } else if analysis.single_quoted {
        Style::SingleQuoted
    } else {
        Style::DoubleQuoted
    }
}

/// Whether kustomize can't read `text` again once it wrote it into a block: behind its indentation, it begins with a tab.
pub(super) fn breaks_block(text: &str) -> bool {
    // Tabs alone don't keep a text out of a block there.
    text.starts_with('\t') && text.contains('\n') && analyze(&text.replace('\t', "-")).block
}

impl<'t> Emitter<'t> {
    /// Writes behind `out`, which is empty or ends with a line break.
    pub(super) const fn new(out: &'t mut String) -> Self {
        Self { out, column: 0 }
    }

    /// Ends the document.
    pub(super) fn finish(&mut self) {
        if self.column > 0 {
            self.out.push('\n');
            self.column = 0;
        }
    }

    fn put(&mut self, c: char) {
        self.out.push(c);
        self.column += 1;
    }

    /// Writes text without line breaks as it is.
    fn text(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += text.chars().count();
    }

    /// The same for text of ASCII characters.
    pub(super) fn indicator(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += text.len();
    }

    /// Writes a space.
    pub(super) fn space(&mut self) {
        self.put(' ');
    }

    /// Begins a line with this many spaces. A line that has nothing in it yet is used.
    pub(super) fn line(&mut self, indent: usize) {
        if self.column > 0 {
            self.out.push('\n');
            self.column = 0;
        }
        for _ in 0..indent {
            self.put(' ');
        }
    }

    /// Writes a key without its colon. False if it stands behind a `?`, and its colon belongs on a line of its own.
    pub(super) fn key(&mut self, text: &str, indent: usize) -> Result<bool, &'static str> {
        let escapes = text.chars().map(|c| match c {
            '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => 6,
            _ => 1,
        });
        if escapes.sum::<usize>() + 2 > LONGEST_KEY {
            return Err("the key is too long to be printed");
        }
        let analysis = analyze(text);
        if !analysis.multiline && text.len() <= SIMPLE_KEY {
            let quotes = needs_quotes(text);
            if text.is_empty() {
                self.indicator("\"\"");
            } else if analysis.plain && !quotes {
                self.plain(text, None);
            } else if analysis.single_quoted && !quotes {
                self.single_quoted(text, 0, false);
            } else {
                self.double_quoted(text, None);
            }
            return Ok(true);
        }
        self.indicator("? ");
        self.string(text, indent + 2);
        Ok(false)
    }

    /// Writes a string in the style that suits it. `indent` is that of the lines behind the first.
    pub(super) fn string(&mut self, text: &str, indent: usize) {
        match style_of(text) {
            Style::Plain => self.plain(text, Some(indent)),
            Style::SingleQuoted => self.single_quoted(text, indent, true),
            Style::Literal => self.literal(text, indent),
            Style::DoubleQuoted | Style::Folded => self.double_quoted(text, Some(indent)),
        }
    }

    /// Writes a scalar as go-yaml v3 does, in the style that is asked for where it can be. Lines are not folded.
    pub(super) fn styled(&mut self, text: &str, style: Style, indent: usize, flow: bool) {
        let analysis = analyze(text);
        let style = if style == Style::Plain && text.contains('\n') { Style::Literal } else { style };
        let flow_plain = !flow || (!text.is_empty() && !text.contains([',', '[', ']', '{', '}', '?', ':']));
        let single = if analysis.single_quoted { Style::SingleQuoted } else { Style::DoubleQuoted };
        let style = match style {
            Style::Plain if text.is_empty() && !flow => return,
            Style::Plain if analysis.plain && flow_plain => Style::Plain,
            Style::Plain | Style::SingleQuoted => single,
            Style::Literal if !flow && folded::fits_in_a_block(text) && !text.is_empty() => Style::Literal,
            Style::Literal | Style::Folded | Style::DoubleQuoted => Style::DoubleQuoted,
        };
        match style {
            Style::Plain => self.plain(text, None),
            Style::SingleQuoted => self.single_quoted(text, indent, false),
            Style::DoubleQuoted | Style::Folded => self.double_quoted(text, None),
            Style::Literal => self.literal(text, indent),
        }
    }

    /// A space between words, or a line break instead where the line is full. `fold` is the indent of a new line.
    fn space_or_fold(&mut self, fold: Option<usize>, foldable: bool) -> bool {
        match fold {
            Some(indent) if foldable && self.column > WIDTH => {
                self.line(indent);
                true
            }
            _ => {
                self.space();
                false
            }
        }
    }

    fn plain(&mut self, text: &str, fold: Option<usize>) {
        let mut previous: Option<&str> = None;
        for word in text.split(' ') {
            if let Some(previous) = previous {
                // Several spaces in a row stay together.
                self.space_or_fold(fold, !previous.is_empty() && !word.is_empty());
            }
            self.text(word);
            previous = Some(word);
        }
    }

    fn single_quoted(&mut self, text: &str, indent: usize, folds: bool) {
        let fold = folds.then_some(indent);
        self.put('\'');
        let (mut after_space, mut after_break) = (false, false);
        let mut rest = text.char_indices().peekable();
        while let Some((at, c)) = rest.next() {
            if c == ' ' {
                let inner = at > 0 && at + 1 < text.len() && rest.peek().is_some_and(|(_, next)| *next != ' ');
                self.space_or_fold(fold, !after_space && inner);
                after_space = true;
            } else if is_break(c) {
                if c == '\n' && !after_break {
                    // One line break by itself would be read as a space.
                    self.out.push('\n');
                }
                self.out.push(c);
                self.column = 0;
                after_break = true;
            } else {
                if after_break {
                    self.line(indent);
                }
                if c == '\'' {
                    self.put('\'');
                }
                self.put(c);
                (after_space, after_break) = (false, false);
            }
        }
        self.put('\'');
    }

    fn double_quoted(&mut self, text: &str, fold: Option<usize>) {
        self.put('"');
        // With a byte order mark in front, everything is escaped.
        let all = text.starts_with('\u{feff}');
        let mut after_space = false;
        let mut rest = text.char_indices().peekable();
        while let Some((at, c)) = rest.next() {
            if all || !is_printable(c) || is_break(c) || matches!(c, '"' | '\\') {
                self.escape(c);
                after_space = false;
            } else if c == ' ' {
                let foldable = !after_space && at > 0 && at + 1 < text.len();
                if self.space_or_fold(fold, foldable) && rest.peek().is_some_and(|(_, next)| *next == ' ') {
                    self.put('\\');
                }
                after_space = true;
            } else {
                self.put(c);
                after_space = false;
            }
        }
        self.put('"');
    }

    fn escape(&mut self, c: char) {
        let code = u32::from(c);
        let escaped = match c {
            '\0' => "\\0".to_owned(),
            '\u{7}' => "\\a".to_owned(),
            '\u{8}' => "\\b".to_owned(),
            '\t' => "\\t".to_owned(),
            '\n' => "\\n".to_owned(),
            '\u{b}' => "\\v".to_owned(),
            '\u{c}' => "\\f".to_owned(),
            '\r' => "\\r".to_owned(),
            '\u{1b}' => "\\e".to_owned(),
            '"' => "\\\"".to_owned(),
            '\\' => "\\\\".to_owned(),
            '\u{85}' => "\\N".to_owned(),
            '\u{a0}' => "\\_".to_owned(),
            '\u{2028}' => "\\L".to_owned(),
            '\u{2029}' => "\\P".to_owned(),
            _ if code <= 0xff => format!("\\x{code:02X}"),
            _ if code <= 0xffff => format!("\\u{code:04X}"),
            _ => format!("\\U{code:08X}"),
        };
        self.indicator(&escaped);
    }

    fn literal(&mut self, text: &str, indent: usize) {
        self.put('|');
        if text.starts_with(|c| c == ' ' || is_break(c)) {
            self.put('2');
        }
        let mut ends = text.chars().rev().map(is_break);
        match (ends.next(), ends.next()) {
            (Some(true), Some(true) | None) => self.put('+'),
            (Some(true), Some(false)) => {}
            _ => self.put('-'),
        }
        self.out.push('\n');
        self.column = 0;
        for line in text.split_inclusive(is_break) {
            let content = line.trim_end_matches(is_break);
            if !content.is_empty() {
                self.line(indent);
                self.text(content);
            }
            if content.len() < line.len() {
                self.out.push_str(line.get(content.len()..).unwrap_or_default());
                self.column = 0;
            }
        }
    }
}
