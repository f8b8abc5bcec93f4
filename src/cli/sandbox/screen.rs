//! Where the sandbox tells what happens: a terminal, a file, or nobody.

use std::io::{self, IsTerminal as _, Write as _};

use jiff::Zoned;

use super::Form;
use super::progress::{Line, Tone};

/// Ends a colour.
const RESET: &str = "\x1b[0m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const RED: &str = "\x1b[31m";
const DIM: &str = "\x1b[2m";
/// Goes back to the beginning of the line and clears it.
const CLEAR: &str = "\r\x1b[K";

/// Standard output.
#[derive(Debug)]
pub(super) struct Screen {
    form: Form,
    terminal: bool,
    colour: bool,
    /// A line that the next one takes the place of is shown.
    transient: bool,
}

impl Screen {
    /// Looks at what standard output is.
    pub(super) fn new(form: Form) -> Self {
        let terminal = io::stdout().is_terminal();
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { form, terminal, colour: terminal && wanted, transient: false }
    }

    /// Text for people.
    pub(super) fn text(&mut self, text: &str) {
        if self.form == Form::Text {
            self.put(&format!("{text}\n"));
        }
    }

    /// One line for programs.
    pub(super) fn json(&mut self, text: &str) {
        if self.form == Form::Json {
            self.put(&format!("{text}\n"));
        }
    }

    /// How far something is, on a terminal only; the next thing told takes its place.
    pub(super) fn passing(&mut self, text: &str) {
        if self.form == Form::Text && self.terminal {
            self.put(text);
            self.transient = true;
        }
    }

    /// Something that happened just now.
    pub(super) fn line(&mut self, line: &Line) {
        let time = Zoned::now().strftime("%H:%M:%S").to_string();
        self.text(&formatted(&time, line, self.colour));
    }

    /// Who reads this no more has gone, which is no failure: the sandbox goes on.
    fn put(&mut self, text: &str) {
        let mut out = io::stdout().lock();
        let clear = if std::mem::take(&mut self.transient) { CLEAR } else { "" };
        let _ =
            out.write_all(clear.as_bytes()).and_then(|()| out.write_all(text.as_bytes())).and_then(|()| out.flush());
    }
}

fn formatted(time: &str, line: &Line, colour: bool) -> String {
    // What others wrote goes to a terminal.
    let plain = |text: &str| text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    let (subject, text) = (plain(&line.subject), plain(&line.text));
    if !colour {
        return format!("{time}  {subject:<28}  {text}");
    }
    let tone = match line.tone {
        Tone::Good => GREEN,
        Tone::Busy => YELLOW,
        Tone::Bad => RED,
    };
    format!("{DIM}{time}{RESET}  {subject:<28}  {tone}{text}{RESET}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals() {
        let line = Line { subject: "shop".to_owned(), text: "Synced\x1b[2J".to_owned(), tone: Tone::Good };
        assert_eq!(formatted("12:00:00", &line, false), "12:00:00  shop                          Synced [2J");
        let coloured = formatted("12:00:00", &line, true);
        assert!(coloured.contains("\x1b[32mSynced [2J\x1b[0m"), "{coloured:?}");
    }
}
