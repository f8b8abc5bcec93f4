//! `driftless build`.

use super::commands::driftless;
use crate::support::git::GitRepo;
use crate::support::git_server::GitServer;

const KUSTOMIZATION: &str = "namePrefix: shop-\nresources: [map.yaml, account.yaml]\n";
const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: map}\ndata: {colour: blue}\n";
const ACCOUNT: &str = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: web}\n";
const BUILT_ACCOUNT: &str = "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: shop-web\n";
const BUILT_MAP: &str = "apiVersion: v1\ndata:\n  colour: blue\nkind: ConfigMap\nmetadata:\n  name: shop-map\n";

fn built() -> String {
    format!("{BUILT_ACCOUNT}---\n{BUILT_MAP}")
}

#[tokio::test]
async fn a_folder_is_built_to_the_terminal_a_file_and_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("kustomization.yaml", KUSTOMIZATION), ("map.yaml", MAP), ("account.yaml", ACCOUNT)] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let path = folder.path().to_str().unwrap();
    driftless(&["build", path]).await.printed(&built());

    let file = folder.path().join("out.yaml");
    driftless(&["build", path, "-o", file.to_str().unwrap()]).await.printed("");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), built());

    let out = tempfile::tempdir().unwrap();
    driftless(&["build", path, "-o", out.path().to_str().unwrap()]).await.printed("");
    let read = |name: &str| std::fs::read_to_string(out.path().join(name)).unwrap();
    assert_eq!(read("v1_configmap_shop-map.yaml"), BUILT_MAP);
    assert_eq!(read("v1_serviceaccount_shop-web.yaml"), BUILT_ACCOUNT);

    driftless(&["build", path, "--enable-helm"]).await.failed(1, "no program `helm`");
    driftless(&["build", path, "--helm-command", "helm"]).await.failed(2, "--enable-helm");
    std::fs::write(folder.path().join("kustomization.yaml"), "resources: [gone.yaml]\n").unwrap();
    driftless(&["build", path]).await.failed(1, "gone.yaml");
    std::fs::write(folder.path().join("kustomization.yaml"), "resources: [../above.yaml]\n").unwrap();
    driftless(&["build", path]).await.failed(1, "is not in or below");
}

#[tokio::test]
async fn a_commit_of_a_repository_is_built() {
    let repository = GitRepo::new();
    let files = [("app/kustomization.yaml", KUSTOMIZATION), ("app/map.yaml", MAP), ("app/account.yaml", ACCOUNT)];
    let first = repository.commit(&files, "an app");
    repository.commit(&[("app/kustomization.yaml", "resources: [map.yaml]\n")], "less of it");
    let server = GitServer::start(&repository);
    let url = server.url();
    let old = ["build", "--git", &url, "--revision", first.as_str(), "--path", "app"];
    driftless(&old).await.printed(&built());
    let newest = driftless(&["build", "--git", &url, "--path", "app"]).await;
    newest.printed(&BUILT_MAP.replace("shop-", ""));
    driftless(&["build", "--git", &url, "--revision", "gone"]).await.failed(1, "gone");
    driftless(&["build", "--path", "app"]).await.failed(2, "--git");
}
