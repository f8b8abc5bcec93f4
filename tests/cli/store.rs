//! `driftless store inspect`, beside the agent that has the store open.

use driftless::engine::hash::Hash;
use driftless::engine::ids::{AppKey, ObjectKey, Revision};
use driftless::engine::record::{ApplicationRecord, AuditEntry, Expected, LiveRecord, ObjectRecord, StoreOp};
use driftless::engine::time::Timestamp;
use driftless::store::{Store, StoreOptions};

use super::commands::{Done, driftless};

const REVISION: &str = "0123456789abcdef0123456789abcdef01234567";

fn object(app: &AppKey, desired: Option<Hash>, live: Option<Hash>) -> Box<ObjectRecord> {
    let footprint = Hash::of(b"footprint");
    Box::new(ObjectRecord {
        app: app.clone(),
        version: "v1".into(),
        desired,
        stage: Default::default(),
        wave: Default::default(),
        no_prune: false,
        expected: desired.map(|desired| Expected { desired, footprint }),
        live: live.map(|live| LiveRecord {
            uid: "uid".into(),
            resource_version: 42,
            footprint: Some(live),
            stamp: desired,
            health: None,
            ours: true,
            protection: 0,
        }),
    })
}

fn fill(store: &Store) {
    let (shop, blog) = (AppKey::new("argocd", "shop"), AppKey::new("argocd", "blog"));
    let application =
        ApplicationRecord { uid: "u1".to_owned(), revision: Revision::parse(REVISION), ..Default::default() };
    let desired = Some(Hash::of(b"desired"));
    let key = |name: &str| ObjectKey::new("", "ConfigMap", "shop", name);
    let entry = |app: &AppKey, action: &str| {
        let object = key("synced").to_string();
        StoreOp::Audit(AuditEntry {
            at: Timestamp(0),
            app: app.clone(),
            object,
            action: action.to_owned(),
            detail: "by kubectl-edit".to_owned(),
        })
    };
    store
        .commit(&[
            StoreOp::PutApplication(shop.clone(), Box::new(application)),
            StoreOp::PutApplication(blog.clone(), Box::default()),
            StoreOp::PutObject(key("drifted"), object(&shop, desired, Some(Hash::of(b"other")))),
            StoreOp::PutObject(key("gone"), object(&shop, desired, None)),
            StoreOp::PutObject(key("left"), object(&shop, None, Some(Hash::of(b"footprint")))),
            StoreOp::PutObject(key("synced"), object(&shop, desired, Some(Hash::of(b"footprint")))),
            StoreOp::PutObject(key("theirs"), object(&blog, desired, None)),
            entry(&shop, "drifted"),
            entry(&blog, "synced"),
            entry(&shop, "healed"),
            StoreOp::PutEpoch("lease-uid".to_owned(), 3),
        ])
        .unwrap();
}

async fn inspect(folder: &std::path::Path, args: &[&str]) -> Done {
    let data_dir = format!("--data-dir={}", folder.display());
    driftless(&[&["store", "inspect", &data_dir], args].concat()).await
}

#[tokio::test]
async fn a_live_store_can_be_looked_into() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(&folder.path().join("store.redb"), &StoreOptions::default()).unwrap();
    fill(&store);

    let summary = inspect(folder.path(), &[]).await.succeeded();
    for text in [
        "Inventory:   not complete: nothing is pruned yet\n",
        "Epoch:       3 (Lease lease-uid)\n",
        "\nobjects        5 ",
    ] {
        assert!(summary.contains(text), "{text:?} is not in\n{summary}");
    }
    inspect(folder.path(), &["applications"]).await.printed(&format!(
        "APPLICATION   UID      REVISION                                   INPUTS\n\
         argocd/blog   <none>   <none>                                     unknown\n\
         argocd/shop   u1       {REVISION}   unknown\n"
    ));
    let desired = Hash::of(b"desired").to_string();
    let none = format!("{:<width$}", "<none>", width = desired.len());
    let title = format!("{:<width$}", "DESIRED", width = desired.len());
    inspect(folder.path(), &["objects", "--app=argocd/shop"]).await.printed(&format!(
        "OBJECT                    VERSION   APPLICATION   STATE       {title}   HEALTH   RESOURCE VERSION\n\
         /ConfigMap:shop/drifted   v1        argocd/shop   OutOfSync   {desired}   <none>   42\n\
         /ConfigMap:shop/gone      v1        argocd/shop   Missing     {desired}   <none>   <none>\n\
         /ConfigMap:shop/left      v1        argocd/shop   LeftGit     {none}   <none>   42\n\
         /ConfigMap:shop/synced    v1        argocd/shop   Synced      {desired}   <none>   42\n"
    ));
    let history = inspect(folder.path(), &["history", "--app=argocd/shop", "--limit=1"]).await.succeeded();
    let lines: Vec<&str> = history.lines().collect();
    assert_eq!(lines.len(), 2, "{history}");
    assert!(
        lines[1].contains("1970-01-01T00:00:00Z   argocd/shop   healed   /ConfigMap:shop/synced   by kubectl-edit"),
        "{history}"
    );

    // Nothing of it disturbed the agent.
    store.commit(&[StoreOp::MarkComplete]).unwrap();
}

#[tokio::test]
async fn what_cannot_be_read_is_said() {
    let folder = tempfile::tempdir().unwrap();
    inspect(folder.path(), &[]).await.failed(1, "there is no store at");
    std::fs::write(folder.path().join("store.redb"), "not a database").unwrap();
    let done = inspect(folder.path(), &[]).await;
    assert!(done.stderr.contains("store.redb"), "{done:?}");
    done.failed(1, "can't read the store");
    inspect(folder.path(), &["objects", "--app=shop"]).await.failed(2, "must be NAMESPACE/NAME");
}
