//! `driftless store inspect`: what an agent's store holds, while the agent runs on it or not.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};

use super::error::CommandError;
use super::output;
use super::table::Table;
use crate::engine::hash::Hash;
use crate::engine::ids::AppKey;
use crate::engine::record::{LiveRecord, ObjectRecord};
use crate::store::inspect::{InspectError, Inspector, Stats};

#[derive(Debug, Args)]
pub(super) struct Store {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print what the store holds; nothing is written
    Inspect(Inspect),
}

#[derive(Debug, Args)]
struct Inspect {
    /// What to print
    #[arg(default_value = "summary")]
    what: What,
    /// Folder of the agent's data, which holds store.redb
    #[arg(
        long,
        env = "DRIFTLESS_DATA_DIR",
        value_name = "DIR",
        default_value = "/var/lib/driftless",
        hide_env_values = true
    )]
    data_dir: PathBuf,
    /// Only what belongs to this Application
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = app_key)]
    app: Option<AppKey>,
    /// Most lines of history, newest first
    #[arg(long, value_name = "N", default_value = "100")]
    limit: usize,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// Sizes, version and epoch
    Summary,
    /// Applications and the revision that each is at
    Applications,
    /// Objects of the inventory
    Objects,
    /// What was changed in the cluster, and by whom
    History,
}

impl Store {
    pub(super) fn run(self) -> Result<ExitCode, CommandError> {
        let Action::Inspect(inspect) = self.action;
        output::print(&inspect.text()?)
    }
}

impl Inspect {
    fn text(&self) -> Result<String, CommandError> {
        let file = self.data_dir.join("store.redb");
        if !file.exists() {
            let problem = format!("there is no store at {}", file.display());
            return Err(CommandError::failure(problem).hint("--data-dir names the folder of an agent's data"));
        }
        let store = Inspector::open(&file)?;
        Ok(match self.what {
            What::Summary => summary(&store.stats()?),
            What::Applications => self.applications(&store)?,
            What::Objects => self.objects(&store)?,
            What::History => self.history(&store)?,
        })
    }

    fn applications(&self, store: &Inspector) -> Result<String, CommandError> {
        let mut table = Table::new(&["APPLICATION", "UID", "REVISION", "INPUTS"]);
        for (key, record) in store.applications()? {
            if self.app.as_ref().is_some_and(|app| *app != key) {
                continue;
            }
            let revision = record.revision.as_ref().map(|revision| revision.as_str()).unwrap_or_default();
            let inputs = if record.inputs.is_some() { "known" } else { "unknown" };
            table.row([key.to_string().as_str(), &record.uid, revision, inputs]);
        }
        Ok(table.render())
    }

    fn objects(&self, store: &Inspector) -> Result<String, CommandError> {
        let mut table =
            Table::new(&["OBJECT", "VERSION", "APPLICATION", "STATE", "DESIRED", "HEALTH", "RESOURCE VERSION"]);
        for (key, record) in store.objects(self.app.as_ref())? {
            let live = record.live.as_ref();
            let desired = record.desired.map(|hash| hash.to_string()).unwrap_or_default();
            let health = live.and_then(|live| live.health).map(|health| health.as_str()).unwrap_or_default();
            let version = live.map(|live| live.resource_version.to_string()).unwrap_or_default();
            let (object, app) = (key.to_string(), record.app.to_string());
            table.row([object.as_str(), &record.version, &app, state(&record), &desired, health, &version]);
        }
        Ok(table.render())
    }

    fn history(&self, store: &Inspector) -> Result<String, CommandError> {
        let mut table = Table::new(&["NUMBER", "TIME", "APPLICATION", "ACTION", "OBJECT", "DETAIL"]);
        for line in store.audit(self.app.as_ref(), self.limit)? {
            let (number, at, app) = (line.number.to_string(), line.entry.at.to_string(), line.entry.app.to_string());
            table.row([number.as_str(), &at, &app, &line.entry.action, &line.entry.object, &line.entry.detail]);
        }
        Ok(table.render())
    }
}

/// What the record says of an object, by the rule of DESIGN section 4.
fn state(record: &ObjectRecord) -> &'static str {
    let expected = record.expected.filter(|expected| Some(expected.desired) == record.desired);
    let footprint: Option<Hash> = record.live.as_ref().and_then(|live: &LiveRecord| live.footprint);
    match (record.desired, &record.live) {
        (None, _) => "LeftGit",
        (Some(_), None) => "Missing",
        (Some(_), Some(_)) if expected.is_some_and(|expected| Some(expected.footprint) == footprint) => "Synced",
        (Some(_), Some(_)) => "OutOfSync",
    }
}

fn summary(stats: &Stats) -> String {
    let epoch = match &stats.epoch {
        Some((lease, epoch)) => format!("{epoch} (Lease {lease})"),
        None => "none seen".to_owned(),
    };
    let inventory = if stats.complete { "complete" } else { "not complete: nothing is pruned yet" };
    let mut text = format!(
        "File:        {} bytes\nSchema:      {}\nInventory:   {inventory}\nEpoch:       {epoch}\n\n",
        stats.file_bytes, stats.schema
    );
    let mut table = Table::new(&["TABLE", "ENTRIES", "BYTES", "AVERAGE", "OVERHEAD"]);
    for row in &stats.tables {
        let numbers = [row.entries, row.stored_bytes, row.average_bytes(), row.overhead_bytes].map(|n| n.to_string());
        table.row(std::iter::once(row.name).chain(numbers.iter().map(String::as_str)));
    }
    text.push_str(&table.render());
    text
}

fn app_key(text: &str) -> Result<AppKey, String> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => Ok(AppKey::new(namespace, name)),
        _ => Err("must be NAMESPACE/NAME".to_owned()),
    }
}

impl From<InspectError> for CommandError {
    fn from(error: InspectError) -> Self {
        Self::failure(error)
    }
}
