//! Argo CD's sync options, of an Application (`spec.syncPolicy.syncOptions`) and of one object (annotation
//! `argocd.argoproj.io/sync-options`).
//!
//! An option that is unknown or would need what Driftless does not do is a problem that is told, never one that is
//! silently read as something else.

/// What an Application's options ask for. Options that change nothing here (`ServerSideApply=true`,
/// `ApplyOutOfSyncOnly`, `SkipDryRunOnMissingResource`, `RespectIgnoreDifferences`, `Validate=true`) leave no trace:
/// Driftless always applies on the server, and only what changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AppOptions {
    /// `CreateNamespace=true`: make the destination's namespace if there is none.
    pub create_namespace: bool,
    /// `Prune=false` (or `confirm`, until confirming is supported): nothing of the application is pruned.
    pub no_prune: bool,
    /// `Delete=false` (or `confirm`): deleting the Application leaves its objects.
    pub no_delete: bool,
    /// `PruneLast=true`: prune when everything else was applied.
    pub prune_last: bool,
    /// `FailOnSharedResource=true`: an object that another application has fails the sync.
    pub fail_on_shared_resource: bool,
    /// `PrunePropagationPolicy`: what happens to the dependents of a pruned object.
    pub propagation: Propagation,
}

/// Kubernetes' deletion propagation policies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Propagation {
    /// Dependents go first.
    #[default]
    Foreground,
    /// Dependents go later.
    Background,
    /// Dependents stay.
    Orphan,
}

impl Propagation {
    /// The name in Kubernetes' `DeleteOptions`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Foreground => "Foreground",
            Self::Background => "Background",
            Self::Orphan => "Orphan",
        }
    }
}

/// What an object's options ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ObjectOptions {
    /// `Prune=false` (or `confirm`).
    pub no_prune: bool,
}

/// Reads the options of an Application. The second part says what is wrong with them, a sentence for each option; the
/// first holds what the others ask for. The last of two contradicting options counts.
pub fn app_options(options: &[String]) -> (AppOptions, Vec<String>) {
    let mut known = AppOptions::default();
    let mut problems = Vec::new();
    for option in options {
        if let Err(problem) = app_option(option, &mut known) {
            problems.push(problem);
        }
    }
    (known, problems)
}

fn app_option(option: &str, known: &mut AppOptions) -> Result<(), String> {
    let (name, value) = split(option)?;
    match name {
        "CreateNamespace" => known.create_namespace = boolean(option, value)?,
        "FailOnSharedResource" => known.fail_on_shared_resource = boolean(option, value)?,
        "RespectIgnoreDifferences" => _ = boolean(option, value)?,
        "ClientSideApplyMigration" => {
            only(option, value, true, "fields of client-side apply are always taken over when they are in the way")?;
        }
        "PrunePropagationPolicy" => {
            known.propagation = match value {
                "foreground" => Propagation::Foreground,
                "background" => Propagation::Background,
                "orphan" => Propagation::Orphan,
                _ => return Err(format!("sync option `{option}`: write `foreground`, `background` or `orphan`.")),
            };
        }
        _ => match common(option, name, value)? {
            Common::Prune(prune) => known.no_prune = !prune,
            Common::Delete(delete) => known.no_delete = !delete,
            Common::PruneLast(last) => known.prune_last = last,
            Common::Nothing => {}
        },
    }
    Ok(())
}

/// Reads the options of an object: comma-separated. The error is a sentence.
pub fn object_options(annotation: &str) -> Result<ObjectOptions, String> {
    let mut known = ObjectOptions::default();
    for option in annotation.split(',').map(str::trim).filter(|option| !option.is_empty()) {
        let (name, value) = split(option)?;
        // What `Delete` says is read from the live object; all prunes are last already when an object's turn comes.
        if let Common::Prune(prune) = common(option, name, value)? {
            known.no_prune = !prune;
        }
    }
    Ok(known)
}

/// An option that applications and objects share.
enum Common {
    Prune(bool),
    Delete(bool),
    PruneLast(bool),
    Nothing,
}

fn common(option: &str, name: &str, value: &str) -> Result<Common, String> {
    match name {
        "Prune" => confirmable(option, value).map(Common::Prune),
        "Delete" => confirmable(option, value).map(Common::Delete),
        "PruneLast" => boolean(option, value).map(Common::PruneLast),
        "ApplyOutOfSyncOnly" | "SkipDryRunOnMissingResource" => boolean(option, value).map(|_| Common::Nothing),
        "ServerSideApply" => only(option, value, true, "Driftless always applies on the server"),
        "Validate" => only(option, value, true, "the API server always validates a server-side apply"),
        "Replace" => only(option, value, false, "replacing objects would take fields from other managers"),
        "Force" => only(option, value, false, "deleting and making objects anew loses what depends on them"),
        _ => Err(format!("sync option `{option}` is not known to Driftless; remove it or correct its spelling.")),
    }
}

fn split(option: &str) -> Result<(&str, &str), String> {
    option
        .trim()
        .split_once('=')
        .ok_or_else(|| format!("sync option `{option}` has no value; write it as `Name=value`."))
}

fn boolean(option: &str, value: &str) -> Result<bool, String> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("sync option `{option}`: write `true` or `false`.")),
    }
}

/// `true`, `false` or `confirm`. Until somebody can confirm, `confirm` means no.
fn confirmable(option: &str, value: &str) -> Result<bool, String> {
    match value {
        "true" => Ok(true),
        "false" | "confirm" => Ok(false),
        _ => Err(format!("sync option `{option}`: write `true`, `false` or `confirm`.")),
    }
}

/// An option of which only one value is served.
fn only(option: &str, value: &str, served: bool, why: &str) -> Result<Common, String> {
    if boolean(option, value)? == served {
        Ok(Common::Nothing)
    } else {
        Err(format!("sync option `{option}` is not supported: {why}. Remove it."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(options: &[&str]) -> (AppOptions, Vec<String>) {
        app_options(&options.iter().map(|option| (*option).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn options_of_applications() {
        let none = AppOptions::default();
        let cases: &[(&[&str], AppOptions)] = &[
            (&[], none),
            (&["CreateNamespace=true"], AppOptions { create_namespace: true, ..none }),
            (&["CreateNamespace=true", "CreateNamespace=false"], none),
            (&["PruneLast=true", "Prune=false"], AppOptions { prune_last: true, no_prune: true, ..none }),
            (&["Prune=confirm", "Delete=confirm"], AppOptions { no_prune: true, no_delete: true, ..none }),
            (&["PrunePropagationPolicy=orphan"], AppOptions { propagation: Propagation::Orphan, ..none }),
            (&["PrunePropagationPolicy=background"], AppOptions { propagation: Propagation::Background, ..none }),
            (&["FailOnSharedResource=true"], AppOptions { fail_on_shared_resource: true, ..none }),
            (
                &[
                    "ApplyOutOfSyncOnly=true",
                    "ServerSideApply=true",
                    "SkipDryRunOnMissingResource=true",
                    "Force=false",
                    "RespectIgnoreDifferences=true",
                    "Validate=true",
                    "Replace=false",
                    "ClientSideApplyMigration=true",
                    " Prune=true",
                    "PrunePropagationPolicy=foreground",
                ],
                none,
            ),
        ];
        for (options, expected) in cases {
            assert_eq!(app(options), (*expected, Vec::new()), "{options:?}");
        }
    }

    #[test]
    fn unsupported_options_are_problems_and_the_others_still_count() {
        let bad = [
            "ServerSideApply=false",
            "Replace=true",
            "Force=true",
            "Validate=false",
            "CreateNamespace=yes",
            "Prune=maybe",
            "PrunePropagationPolicy=Foreground",
            "ClientSideApplyMigration=false",
            "Unheard=true",
            "PruneLast",
            "",
        ];
        for option in bad {
            let (known, problems) = app(&[option, "PruneLast=true"]);
            assert_eq!(problems.len(), 1, "{option}");
            assert!(problems[0].contains(&format!("`{option}`")) && problems[0].ends_with('.'), "{}", problems[0]);
            assert!(known.prune_last);
        }
    }

    #[test]
    fn options_of_objects() {
        for (annotation, no_prune) in [
            ("", false),
            ("Prune=false", true),
            ("Prune=confirm", true),
            ("Delete=confirm, Prune=true", false),
            ("PruneLast=true,ServerSideApply=true,Prune=false,", true),
            ("SkipDryRunOnMissingResource=true,ApplyOutOfSyncOnly=true,Delete=false", false),
        ] {
            assert_eq!(object_options(annotation), Ok(ObjectOptions { no_prune }), "{annotation}");
        }
        for bad in [
            "Replace=true",
            "Force=true,Prune=false",
            "ServerSideApply=false",
            "Validate=false",
            "Prune",
            "CreateNamespace=true",
        ] {
            assert!(object_options(bad).is_err(), "{bad}");
        }
    }
}
