//! The guided tour: what to try in a running sandbox, as commands to copy.

/// Where the things of the tour are.
#[derive(Clone, Debug)]
pub(super) struct Places {
    /// The `driftless` program.
    pub(super) driftless: String,
    /// The sandbox's folder.
    pub(super) folder: String,
    /// Whether it is not the one that commands look into by themselves.
    pub(super) named: bool,
    /// Address of an agent's API, if it is not the one that `driftless get` asks by itself.
    pub(super) api: Option<String>,
    /// Whether kubectl is installed.
    pub(super) kubectl: bool,
}

/// A part of the tour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// What is shown.
    pub(super) title: &'static str,
    /// The commands that show it, one in a line.
    pub(super) commands: Vec<String>,
}

/// The tour.
pub(super) fn tour(places: &Places) -> Vec<Part> {
    let Places { driftless, folder, .. } = places;
    let folder = quoted(folder);
    let dir = if places.named { format!(" --dir {folder}") } else { String::new() };
    let api = places.api.as_ref().map(|url| format!(" --api-url {url}")).unwrap_or_default();
    let kubectl = |arguments: &str| format!("kubectl --kubeconfig {folder}/kubeconfig {arguments}");
    let get = |what: &str| format!("{driftless} get {what}{api}");
    let drift = |what: &str| format!("{driftless} sandbox drift {what}{dir}");
    let either = |with: &str, without: String| if places.kubectl { kubectl(with) } else { without };
    let overlay = format!("{folder}/repository/apps/order-service/overlays/production/kustomization.yaml");
    vec![
        Part {
            title: "Three clusters (namespaces of one server) run two applications each, all from one repository:",
            commands: vec![
                get("apps"),
                either(
                    "--namespace production get deployments,statefulsets,queues",
                    get("objects order-service-production"),
                ),
            ],
        },
        Part {
            title: "Change something by hand. It is put back at once, and the agent knows who it was (DRIFT):",
            commands: vec![
                either(
                    "--namespace production scale deployment order-service --replicas 9",
                    drift("scale deployment/order-service --replicas 9 --namespace production"),
                ),
                either(
                    "--namespace production delete service order-service",
                    drift("delete service/order-service --namespace production"),
                ),
                get("objects order-service-production --output wide"),
            ],
        },
        Part {
            title: "Change what should be. A commit is deployed within two seconds:",
            commands: vec![
                format!("sed -i 's/count: 3/count: 5/' {overlay}"),
                format!("git -C {folder}/repository commit --all --message 'five replicas'"),
                get("app order-service-production"),
            ],
        },
        Part {
            title: "Stop the leader. The other replica takes over, and the stopped one is started again:",
            commands: vec![format!("kill $(cat {folder}/leader.pid)"), format!("{driftless} sandbox status{dir}")],
        },
    ]
}

/// The tour as text for a terminal.
pub(super) fn text(parts: &[Part]) -> String {
    let mut text = String::new();
    for part in parts {
        text.push_str(&format!("{}\n", part.title));
        for command in &part.commands {
            text.push_str(&format!("  {command}\n"));
        }
        text.push('\n');
    }
    text
}

/// A path as a shell takes it.
pub(super) fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_');
    if path.chars().all(plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(places: &Places) -> Vec<String> {
        tour(places).into_iter().flat_map(|part| part.commands).collect()
    }

    fn places() -> Places {
        Places {
            driftless: "target/release/driftless".to_owned(),
            folder: "/tmp/driftless-sandbox".to_owned(),
            named: false,
            api: None,
            kubectl: true,
        }
    }

    #[test]
    fn the_readme_shows_this_tour() {
        let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
        let block = text(&tour(&places())).replace(":\n  ", ":\n").replace("\n  ", "\n");
        let shown =
            block.lines().map(|line| if line.ends_with(':') { format!("# {line}\n") } else { format!("{line}\n") });
        let shown: String = shown.collect();
        assert!(readme.contains(shown.trim_end()), "README.md needs this tour:\n{shown}");
    }

    #[test]
    fn without_kubectl_nothing_asks_for_it() {
        let all = commands(&Places { kubectl: false, ..places() });
        assert!(all.iter().all(|command| !command.contains("kubectl")), "{all:?}");
        assert_eq!(all.len(), commands(&places()).len());
    }

    #[test]
    fn places_that_are_not_the_usual_ones_are_named() {
        let places = Places {
            folder: "/a b/it's".to_owned(),
            named: true,
            api: Some("http://127.0.0.1:9".to_owned()),
            kubectl: false,
            ..places()
        };
        for command in commands(&places) {
            let named = ["--dir '/a b/it'\\''s'", "--api-url http://127.0.0.1:9", "'/a b/it'\\''s'/"];
            assert!(named.iter().any(|part| command.contains(part)), "{command}");
        }
    }
}
