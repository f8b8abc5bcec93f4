use std::io::Write as _;
use std::path::Path;

use clap::{CommandFactory, FromArgMatches, Parser};

use super::*;

#[derive(Debug, Parser)]
#[command(name = "run")]
struct Cli {
    #[command(flatten)]
    settings: Settings,
}

/// Without environment variables, which a test must not depend on.
fn command() -> clap::Command {
    Cli::command().mut_args(|arg| arg.env(None::<&str>))
}

fn parse(command: clap::Command, args: &[&str]) -> Result<Settings, clap::Error> {
    let matches = command.try_get_matches_from([&["run"], args].concat())?;
    Ok(Cli::from_arg_matches(&matches)?.settings)
}

fn settings(args: &[&str]) -> Settings {
    parse(command(), args).unwrap()
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn with_file(text: &str) -> Result<clap::Command, String> {
    with_defaults(command(), file(text).path()).map_err(|error| error.to_string())
}

#[test]
fn defaults_are_valid() {
    let settings = settings(&[]);
    settings.check().unwrap();
    assert_eq!(settings.lease.times().unwrap(), LeasePreset::Fast.times());
    assert_eq!(settings.git_limits(), crate::git::GitLimits::default());
    assert_eq!(settings.render_limits(), crate::render::RenderLimits::default());
    assert_eq!(settings.contest_limits(), crate::engine::contest::ContestLimits::default());
    assert_eq!(settings.git.poll_interval, Duration::from_secs(120));
    assert_eq!(settings.store_file(), Path::new("/var/lib/driftless/store.redb"));
}

#[test]
fn slow_preset_is_valid() {
    let slow = settings(&["--lease-preset=slow"]);
    slow.check().unwrap();
    assert_eq!(slow.lease.times().unwrap(), LeasePreset::Slow.times());
}

#[test]
fn every_setting_has_a_flag_a_variable_and_help() {
    for arg in Cli::command().get_arguments() {
        let id = arg.get_id().as_str();
        let flag = arg.get_long().unwrap_or_else(|| panic!("{id} has no flag"));
        assert_eq!(flag, id.replace('_', "-"));
        let env = arg.get_env().unwrap_or_else(|| panic!("{flag} has no variable")).to_str().unwrap();
        let own = format!("DRIFTLESS_{}", id.to_uppercase());
        assert!(env == own || (flag, env) == ("namespace", "POD_NAMESPACE"), "{flag}: {env}");
        let help = arg.get_help().unwrap_or_else(|| panic!("{flag} has no help")).to_string();
        let default = !arg.get_default_values().is_empty() || help.contains("[default: ");
        assert!(default, "{flag}: the help must name the default");
    }
}

#[test]
fn flag_wins_over_environment_over_file_over_default() {
    let text = "dataDir: /from-file\nlease-name: from-file\nkubeconfig: /from-file\n";
    // A variable that cargo sets for every test stands for the setting's own.
    let command = with_file(text)
        .unwrap()
        .mut_arg("lease_name", |arg| arg.env("CARGO_PKG_NAME"))
        .mut_arg("kubeconfig", |arg| arg.env("CARGO_PKG_NAME"));
    let settings = parse(command, &["--kubeconfig=/from-flag"]).unwrap();
    assert_eq!(settings.cluster.kubeconfig.as_deref(), Some(Path::new("/from-flag")));
    assert_eq!(settings.lease.lease_name, env!("CARGO_PKG_NAME"));
    assert_eq!(settings.cluster.data_dir, Path::new("/from-file"));
    assert_eq!(settings.git.git_max_depth, 64);
}

#[test]
fn file_values_take_every_form_of_yaml() {
    let text = "pollInterval: 5m\napplyConcurrency: 16\nallow-local-repositories: true\n\
                applicationNamespaces: [a, b]\nrepositorySecretNamespaces: '*'\ncontext: null\n";
    let settings = parse(with_file(text).unwrap(), &[]).unwrap();
    assert_eq!(settings.git.poll_interval, Duration::from_secs(300));
    assert_eq!(settings.cluster.apply_concurrency, 16);
    assert!(settings.allow_local_repositories());
    assert_eq!(settings.application_namespaces(), Namespaces::Only(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(settings.repository_secret_namespaces(), Namespaces::All);
    assert_eq!(settings.cluster.context, None);
    assert!(parse(with_file("").unwrap(), &[]).is_ok());
}

#[test]
fn bad_files_are_refused_by_name() {
    let cases = [
        ("polInterval: 5m", "unknown key `polInterval`; did you mean `poll-interval`?"),
        ("completely: wrong", "unknown key `completely`"),
        ("config: other.yaml", "unknown key `config`"),
        ("help: true", "unknown key `help`"),
        ("listen: {port: 1}", "`listen` must be a string"),
        ("- a", "must be a YAML mapping"),
        ("a: [", "not valid YAML"),
        ("listen: a\nlisten: b", "not valid YAML"),
    ];
    for (text, expected) in cases {
        let error = with_file(text).unwrap_err();
        assert!(error.contains(expected), "{text:?}: {error}");
    }
    let error = with_defaults(command(), Path::new("/does/not/exist")).unwrap_err().to_string();
    assert!(error.contains("/does/not/exist") && error.contains("can't be opened"), "{error}");
    let large = format!("# {}", "x".repeat(2 << 20));
    assert!(with_file(&large).unwrap_err().contains("larger than"));
}

#[test]
fn bad_file_values_are_refused_when_parsed() {
    let error = parse(with_file("applyConcurrency: 65").unwrap(), &[]).unwrap_err().to_string();
    assert!(error.contains("65") && error.contains("--apply-concurrency"), "{error}");
}

#[test]
fn contradictions_are_refused() {
    let cases: [(&[&str], &str); 7] = [
        (&["--api-listen=0.0.0.0:8081"], "--api-listen: 0.0.0.0:8081 is not a loopback address"),
        (&["--api-listen=[::]:8081"], "not a loopback address"),
        (&["--api-listen=127.0.0.1:8080"], "port of --listen"),
        (&["--contest-min-pause=6m"], "--contest-min-pause"),
        (&["--lease-duration=5s"], "must be shorter than lease duration - margin"),
        (&["--lease-duration=6500ms"], "whole seconds"),
        (&["--lease-preset=slow", "--lease-request-timeout=6s"], "make the lease longer"),
    ];
    for (args, expected) in cases {
        let error = settings(args).check().unwrap_err().to_string();
        assert!(error.contains(expected), "{args:?}: {error}");
    }
    settings(&["--api-listen=[::1]:0", "--listen=127.0.0.1:0"]).check().unwrap();
}

#[test]
fn surroundings_decide_identity_and_namespaces() {
    let pod = Surroundings { in_pod: true, namespace: Some("gitops".to_owned()) };
    let mut settings = settings(&[]);
    assert_eq!(settings.identity(), Identity::Kubeconfig { file: None, context: None });
    assert_eq!(settings.namespace(), "driftless");
    assert!(settings.allow_local_repositories());

    settings.surroundings = pod;
    assert_eq!(settings.identity(), Identity::ServiceAccount);
    assert_eq!(settings.namespace(), "gitops");
    assert_eq!(settings.application_namespaces(), Namespaces::Only(vec!["gitops".to_owned(), "argocd".to_owned()]));
    assert!(!settings.allow_local_repositories());

    settings.cluster.context = Some("other".to_owned());
    settings.cluster.namespace = Some("argocd".to_owned());
    assert_eq!(settings.identity(), Identity::Kubeconfig { file: None, context: Some("other".to_owned()) });
    assert_eq!(settings.repository_secret_namespaces(), Namespaces::Only(vec!["argocd".to_owned()]));
}
