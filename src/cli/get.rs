//! `driftless get`: what a running agent sees, as tables like kubectl's.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::CommandError;
use super::http::{self, BaseUrl};
use super::output;
use super::table::Table;
use crate::engine::view::{ApplicationView, ObjectView};

/// How long the agent may take to answer.
const TIMEOUT: Duration = Duration::from_secs(15);

#[derive(Debug, Args)]
pub(super) struct Get {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Args)]
struct Options {
    /// Form of the output
    #[arg(short, long, global = true, value_name = "FORM", default_value = "table")]
    output: Form,
    /// Namespace of the Application [default: any]
    #[arg(short, long, global = true, value_name = "NAME")]
    namespace: Option<String>,
    /// Where the agent's API listens
    #[arg(long, global = true, env = "DRIFTLESS_API_URL", value_name = "URL", default_value = "http://127.0.0.1:8081")]
    api_url: BaseUrl,
}

#[derive(Debug, Subcommand)]
enum What {
    /// All applications
    Apps,
    /// One application
    App {
        /// Its name, or NAMESPACE/NAME
        name: String,
    },
    /// The objects of one application, or of all
    Objects {
        /// Name of the application, or NAMESPACE/NAME
        app: Option<String>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A table
    Table,
    /// A table with more columns
    Wide,
    /// JSON
    Json,
    /// YAML
    Yaml,
}

/// What the API answers to a list.
#[derive(Debug, Deserialize)]
struct ApplicationList {
    items: Vec<ApplicationView>,
}

/// What the API answers for one application.
#[derive(Debug, Serialize, Deserialize)]
struct ApplicationDetail {
    #[serde(flatten)]
    application: ApplicationView,
    resources: Vec<ObjectView>,
}

/// What the API answers where it can't.
#[derive(Debug, Deserialize)]
struct Problem {
    message: String,
}

impl Get {
    pub(super) fn run(self) -> Result<ExitCode, CommandError> {
        let options = &self.options;
        let text = match &self.what {
            What::Apps => options.applications()?,
            What::App { name } => options.application(name)?,
            What::Objects { app } => options.objects(app.as_deref())?,
        };
        output::print(&text)
    }
}

impl Options {
    fn applications(&self) -> Result<String, CommandError> {
        let applications = self.list()?;
        match self.output {
            Form::Json => output::json(&applications),
            Form::Yaml => output::yaml(&applications),
            Form::Table | Form::Wide if applications.is_empty() => Ok("No applications found.\n".to_owned()),
            Form::Table | Form::Wide => Ok(application_table(&applications, self.output)),
        }
    }

    fn application(&self, name: &str) -> Result<String, CommandError> {
        let found = self.find(name)?;
        let detail = self.detail(&found)?;
        match self.output {
            Form::Json => output::json(&detail),
            Form::Yaml => output::yaml(&detail),
            Form::Table | Form::Wide => {
                let application = std::slice::from_ref(&detail.application);
                let mut text = application_table(application, self.output);
                if let Some(waiting) = &detail.application.waiting {
                    text.push_str(&format!("\nWaiting: {}\n", printable(waiting)));
                }
                if !detail.application.conditions.is_empty() {
                    text.push('\n');
                    text.push_str(&condition_table(&detail.application));
                }
                if !detail.resources.is_empty() {
                    text.push('\n');
                    text.push_str(&object_table(std::slice::from_ref(&detail), self.output));
                }
                Ok(text)
            }
        }
    }

    fn objects(&self, app: Option<&str>) -> Result<String, CommandError> {
        let applications = match app {
            Some(name) => vec![self.find(name)?],
            None => self.list()?,
        };
        let details: Vec<ApplicationDetail> =
            applications.iter().map(|app| self.detail(app)).collect::<Result<_, _>>()?;
        let objects = || details.iter().flat_map(|detail| &detail.resources).collect::<Vec<_>>();
        match self.output {
            Form::Json => output::json(&objects()),
            Form::Yaml => output::yaml(&objects()),
            Form::Table | Form::Wide if objects().is_empty() => Ok("No objects found.\n".to_owned()),
            Form::Table | Form::Wide => Ok(object_table(&details, self.output)),
        }
    }

    /// All applications of the namespace that was asked for.
    fn list(&self) -> Result<Vec<ApplicationView>, CommandError> {
        let mut list: ApplicationList = self.fetch("/api/v1/applications")?;
        list.items.retain(|item| self.namespace.as_ref().is_none_or(|namespace| item.namespace == *namespace));
        Ok(list.items)
    }

    /// The one application of this name.
    fn find(&self, name: &str) -> Result<ApplicationView, CommandError> {
        let (namespace, name) = match name.split_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, name),
        };
        let mut found = self.list()?;
        found.retain(|item| item.name == name && namespace.is_none_or(|namespace| item.namespace == namespace));
        match (found.pop(), found.len()) {
            (Some(only), 0) => Ok(only),
            (None, _) => Err(CommandError::failure(format_args!("the agent serves no application {name:?}"))
                .hint("`driftless get apps` lists those that it serves")),
            (Some(last), _) => {
                let places: Vec<&str> = found.iter().chain([&last]).map(|item| item.namespace.as_str()).collect();
                let problem = format!("application {name:?} exists in several namespaces: {}", places.join(", "));
                Err(CommandError::failure(problem).hint("choose one with --namespace"))
            }
        }
    }

    fn detail(&self, app: &ApplicationView) -> Result<ApplicationDetail, CommandError> {
        let (namespace, name) = (http::segment(&app.namespace), http::segment(&app.name));
        self.fetch(&format!("/api/v1/applications/{namespace}/{name}"))
    }

    fn fetch<T: DeserializeOwned>(&self, path: &str) -> Result<T, CommandError> {
        let answer = http::get(&self.api_url, path, TIMEOUT).map_err(|error| {
            CommandError::failure(format_args!("no agent answers at {}: {error}", self.api_url)).hint(
                "in a cluster: `kubectl -n driftless port-forward pod/driftless-0 8081`, then try again; or set --api-url",
            )
        })?;
        if answer.status != 200 {
            let problem = serde_json::from_str::<Problem>(&answer.body).map(|problem| problem.message);
            let problem = problem.unwrap_or_else(|_| format!("status {}", answer.status));
            return Err(CommandError::failure(format_args!("the agent refused: {}", printable(&problem))));
        }
        serde_json::from_str(&answer.body).map_err(|error| {
            CommandError::failure(format_args!("the answer of {} can't be read: {error}", self.api_url))
                .hint("is it an agent of this version?")
        })
    }
}

/// Columns as `kubectl get app` prints them, and Argo CD's wide ones.
fn application_table(applications: &[ApplicationView], form: Form) -> String {
    let mut titles = vec!["NAMESPACE", "NAME", "SYNC STATUS", "HEALTH STATUS"];
    if form == Form::Wide {
        titles.extend(["REVISION", "PROJECT", "REPO", "PATH", "TARGET", "OBJECTS", "OUT OF SYNC"]);
    }
    let mut table = Table::new(&titles);
    for app in applications {
        let (objects, out_of_sync) = (app.objects.to_string(), app.out_of_sync.to_string());
        let mut cells = vec![app.namespace.as_str(), &app.name, &app.sync.status, &app.health.status];
        if form == Form::Wide {
            let revision = app.sync.revision.as_deref().unwrap_or_default();
            cells.extend([
                revision,
                &app.project,
                &app.repo_url,
                &app.path,
                &app.target_revision,
                &objects,
                &out_of_sync,
            ]);
        }
        table.row(cells);
    }
    table.render()
}

fn condition_table(application: &ApplicationView) -> String {
    let mut table = Table::new(&["CONDITION", "SINCE", "MESSAGE"]);
    for condition in &application.conditions {
        let since = condition.last_transition_time.as_deref().unwrap_or_default();
        table.row([condition.kind.as_str(), since, &condition.message]);
    }
    table.render()
}

/// The application is named where there is more than one.
fn object_table(details: &[ApplicationDetail], form: Form) -> String {
    let several = details.len() > 1;
    let mut titles = vec!["KIND", "NAMESPACE", "NAME", "SYNC STATUS", "HEALTH STATUS"];
    if several {
        titles.insert(0, "APPLICATION");
    }
    if form == Form::Wide {
        titles.extend(["API VERSION", "PRUNE", "DRIFT", "ERROR"]);
    }
    let mut table = Table::new(&titles);
    for detail in details {
        let app = format!("{}/{}", detail.application.namespace, detail.application.name);
        for object in &detail.resources {
            let health = object.health.as_ref().map(|health| health.status.as_str()).unwrap_or_default();
            let mut cells = vec![object.kind.as_str(), &object.namespace, &object.name, &object.sync, health];
            if several {
                cells.insert(0, &app);
            }
            let version = match object.group.as_str() {
                "" => object.version.clone(),
                group => format!("{group}/{}", object.version),
            };
            if form == Form::Wide {
                let prune = if object.requires_pruning { "waits" } else { "" };
                let (drift, error) = (object.drift.as_deref(), object.error.as_deref());
                cells.extend([version.as_str(), prune, drift.unwrap_or_default(), error.unwrap_or_default()]);
            }
            table.row(cells);
        }
    }
    table.render()
}

/// Text from the agent, fit for a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
