//! The sandbox's Git repository: files that are built into the program, and the `git` program that commits them.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use super::load::Load;
use crate::cli::error::CommandError;

/// Stands in the files for the repository's own place.
const PLACE: &str = "REPOSITORY";

/// The files, by their paths.
macro_rules! files {
    ($($path:literal),+ $(,)?) => { [$(($path, include_str!(concat!("repository/", $path)))),+] };
}
const FILES: [(&str, &str); 28] = files![
    "README.md",
    "apps/message-queue/base/kustomization.yaml",
    "apps/message-queue/base/queues.yaml",
    "apps/message-queue/base/service.yaml",
    "apps/message-queue/base/stateful-set.yaml",
    "apps/message-queue/overlays/development/kustomization.yaml",
    "apps/message-queue/overlays/production/kustomization.yaml",
    "apps/message-queue/overlays/staging/kustomization.yaml",
    "apps/order-service/base/deployment.yaml",
    "apps/order-service/base/kustomization.yaml",
    "apps/order-service/base/service-account.yaml",
    "apps/order-service/base/service.yaml",
    "apps/order-service/overlays/development/kustomization.yaml",
    "apps/order-service/overlays/production/network-policy.yaml",
    "apps/order-service/overlays/production/kustomization.yaml",
    "apps/order-service/overlays/staging/kustomization.yaml",
    "clusters/dev-cluster/kustomization.yaml",
    "clusters/dev-cluster/message-queue.yaml",
    "clusters/dev-cluster/order-service.yaml",
    "clusters/prod-cluster/kustomization.yaml",
    "clusters/prod-cluster/message-queue.yaml",
    "clusters/prod-cluster/order-service.yaml",
    "clusters/staging-cluster/kustomization.yaml",
    "clusters/staging-cluster/message-queue.yaml",
    "clusters/staging-cluster/order-service.yaml",
    "infrastructure/kustomization.yaml",
    "infrastructure/priority-classes.yaml",
    "infrastructure/queue-definition.yaml",
];

/// Makes the repository, with one commit on `main`; one that is there is left as it is.
pub(super) fn make(place: &Path, load: &Load) -> Result<(), CommandError> {
    if place.join(".git").exists() {
        return Ok(());
    }
    let quoted = serde_json::to_string(place).map_err(CommandError::failure)?;
    for (path, text) in FILES {
        write(&place.join(path), &text.replace(PLACE, &quoted))?;
    }
    for (path, text) in load.apps().flat_map(|app| app.files()) {
        write(&place.join(path), &text)?;
    }
    git(place, &["init", "--quiet", "--initial-branch=main"])?;
    // Whoever commits there need not have told Git who they are.
    git(place, &["config", "user.name", "sandbox"])?;
    git(place, &["config", "user.email", "sandbox@example.com"])?;
    git(place, &["config", "commit.gpgSign", "false"])?;
    git(place, &["add", "--all"])?;
    git(place, &["commit", "--quiet", "--no-verify", "--message", "what should be"])
}

fn write(path: &Path, text: &str) -> Result<(), CommandError> {
    let folder = path.parent().unwrap_or(path);
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(path, text));
    written.map_err(|error| CommandError::failure(format_args!("{} can't be written: {error}", path.display())))
}

fn git(place: &Path, arguments: &[&str]) -> Result<(), CommandError> {
    let mut command = Command::new("git");
    command.arg("-C").arg(place).args(arguments).stdin(Stdio::null());
    // As it is inside of a hook, where it would mean another repository.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR"] {
        command.env_remove(name);
    }
    let output = command.output().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => CommandError::failure("the program `git` is not there, and makes the repository")
            .hint("install Git, or start with --no-agent, which needs none"),
        _ => CommandError::failure(format_args!("git can't be run: {error}")),
    })?;
    if output.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&output.stderr);
    Err(CommandError::failure(format_args!("git {} failed: {}", arguments.join(" "), told.trim())))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn below(folder: &Path, prefix: &str, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                below(&entry.path(), &format!("{name}/"), found);
            } else {
                found.insert(name);
            }
        }
    }

    #[test]
    fn every_file_is_in_the_program() {
        let mut there = BTreeSet::new();
        below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/sandbox/repository"), "", &mut there);
        assert_eq!(there, FILES.iter().map(|(path, _)| (*path).to_owned()).collect());
    }

    #[test]
    fn it_is_committed_and_then_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("a repository");
        let load = Load::new(2, 1).unwrap();
        make(&place, &load).unwrap();
        let applications = fs::read_to_string(place.join("clusters/dev-cluster/order-service.yaml")).unwrap();
        assert!(applications.contains(&format!("repoURL: {place:?}\n")), "{applications}");
        assert!(place.join("load/load-0001/items-00.yaml").exists());
        fs::write(place.join("README.md"), "mine").unwrap();
        git(&place, &["commit", "--quiet", "--all", "--message", "mine"]).unwrap();
        make(&place, &load).unwrap();
        assert_eq!(fs::read_to_string(place.join("README.md")).unwrap(), "mine");
        assert!(git(&place, &["diff", "--exit-code", "HEAD~1..HEAD"]).is_err(), "there are two commits");
    }
}
