//! Tables as kubectl prints them: columns in capitals, three spaces between, no lines.

/// Spaces between columns.
const GAP: usize = 3;
/// What an empty cell shows.
const NOTHING: &str = "<none>";

/// A table under construction.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these column titles.
    pub(super) fn new(titles: &[&str]) -> Self {
        Self { rows: vec![titles.iter().map(|&title| title.to_owned()).collect()] }
    }

    /// Adds a row. Control characters in it are shown as spaces, for they come from elsewhere and go to a terminal.
    pub(super) fn row<'a>(&mut self, cells: impl IntoIterator<Item = &'a str>) {
        let shown = |cell: &str| match cell {
            "" => NOTHING.to_owned(),
            cell => cell.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(),
        };
        self.rows.push(cells.into_iter().map(shown).collect());
    }

    /// The table as text; each line ends with a line end and has no spaces before it.
    pub(super) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(cell);
                let pad = width.saturating_sub(cell.chars().count()) + GAP;
                line.extend(std::iter::repeat_n(' ', pad));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["NAME", "SYNC STATUS"]);
        table.row(["guestbook", "Synced"]);
        table.row(["ü", ""]);
        table.row(["a\u{1b}[31m", "two\nlines"]);
        assert_eq!(
            table.render(),
            "NAME        SYNC STATUS\nguestbook   Synced\nü           <none>\na [31m      two lines\n"
        );
    }
}
