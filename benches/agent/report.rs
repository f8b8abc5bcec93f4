//! The figures, beside those of the peers.

use std::fmt;

use serde_json::{Value, json};

use super::options::Options;
use super::stats;

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    figure: String,
    value: String,
    number: Option<f64>,
    /// Argo CD 3.6.1 and Flux (August 2026) on the same work, and what is aimed at. The peers were measured once, on
    /// another day, on two noisy cores: compare factors, not digits.
    argo_cd: &'static str,
    flux: &'static str,
    target: &'static str,
}

impl Row {
    /// A figure with its unit; `digits` behind the point.
    pub(crate) fn new(figure: impl Into<String>, number: f64, digits: usize, unit: &str) -> Self {
        let value = format!("{number:.digits$}{}{unit}", if unit.is_empty() { "" } else { " " });
        let number = Some(number).filter(|number| number.is_finite());
        Self { figure: figure.into(), value, number, argo_cd: "", flux: "", target: "" }
    }

    /// A figure in words.
    pub(crate) fn text(figure: impl Into<String>, value: impl Into<String>) -> Self {
        Self { figure: figure.into(), value: value.into(), number: None, argo_cd: "", flux: "", target: "" }
    }

    /// What Argo CD and Flux need for the same.
    pub(crate) const fn peers(mut self, argo_cd: &'static str, flux: &'static str) -> Self {
        (self.argo_cd, self.flux) = (argo_cd, flux);
        self
    }

    /// What is aimed at.
    pub(crate) const fn target(mut self, target: &'static str) -> Self {
        self.target = target;
        self
    }
}

/// All that was found.
#[derive(Debug)]
pub(crate) struct Report {
    heading: Vec<(&'static str, String)>,
    rows: Vec<Row>,
    notes: Vec<(String, String)>,
    failures: Vec<String>,
    as_peers: bool,
}

impl Report {
    pub(crate) fn new(options: &Options) -> Self {
        let profile = if cfg!(debug_assertions) { "dev: times and CPU mean nothing" } else { "release" };
        let work = format!("{} applications × {} objects = {}", options.apps, options.objects, options.total());
        Self {
            heading: vec![
                ("driftless", format!("{} ({profile})", env!("CARGO_PKG_VERSION"))),
                ("work", work),
                ("machine", stats::processors()),
                ("load before", stats::load()),
            ],
            rows: Vec::new(),
            notes: Vec::new(),
            failures: Vec::new(),
            as_peers: options.as_peers(),
        }
    }

    /// Says which API server it is.
    pub(crate) fn server(&mut self, version: String) {
        self.heading.push(("API server", version));
    }

    /// Adds a line, and shows it at once.
    pub(crate) fn add(&mut self, row: Row) {
        println!("  {}: {}", row.figure, row.value);
        self.rows.push(row);
    }

    /// Adds what stands below the table, and shows it at once.
    pub(crate) fn note(&mut self, what: impl Into<String>, text: impl Into<String>) {
        let (what, text) = (what.into(), text.into());
        println!("  {what}: {text}");
        self.notes.push((what, text));
    }

    /// A phase has no result.
    pub(crate) fn failed(&mut self, phase: &str, error: &anyhow::Error) {
        println!("  FAILED: {error:#}");
        self.failures.push(format!("{phase}: {error:#}"));
    }

    /// Whether every phase has its result.
    pub(crate) const fn complete(&self) -> bool {
        self.failures.is_empty()
    }

    /// The number of an earlier line.
    pub(crate) fn number(&self, figure: &str) -> Option<f64> {
        self.rows.iter().find(|row| row.figure == figure)?.number
    }

    pub(crate) fn json(&self) -> String {
        let heading: serde_json::Map<_, _> =
            self.heading.iter().map(|(key, value)| ((*key).to_owned(), Value::from(value.as_str()))).collect();
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                json!({
                    "figure": row.figure, "value": row.value, "number": row.number,
                    "argoCD": row.argo_cd, "flux": row.flux, "target": row.target,
                })
            })
            .collect();
        let notes: serde_json::Map<_, _> =
            self.notes.iter().map(|(what, text)| (what.clone(), Value::from(text.as_str()))).collect();
        let report = json!({"heading": heading, "figures": rows, "notes": notes, "failures": self.failures});
        serde_json::to_string_pretty(&report).unwrap()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, value) in &self.heading {
            writeln!(f, "{key}: {value}")?;
        }
        writeln!(f, "load after: {}\n", stats::load())?;
        if !self.as_peers {
            writeln!(f, "The peers' figures are of 50 applications × 40 objects, not of this size.\n")?;
        }
        let heads = ["figure", "Driftless", "Argo CD", "Flux", "target"];
        let cells =
            |row: &Row| [row.figure.clone(), row.value.clone(), row.argo_cd.into(), row.flux.into(), row.target.into()];
        let mut widths = heads.map(|head| head.chars().count());
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(cells(row)) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let line = |f: &mut fmt::Formatter<'_>, cells: [String; 5]| {
            let padded = cells.iter().zip(widths).map(|(cell, width)| format!(" {cell:width$} |"));
            writeln!(f, "|{}", padded.collect::<String>())
        };
        line(f, heads.map(str::to_owned))?;
        line(f, widths.map(|width| "-".repeat(width)))?;
        for row in &self.rows {
            line(f, cells(row))?;
        }
        writeln!(f)?;
        for (what, text) in &self.notes {
            writeln!(f, "{what}: {text}")?;
        }
        for failure in &self.failures {
            writeln!(f, "\nFAILED {failure}")?;
        }
        Ok(())
    }
}
