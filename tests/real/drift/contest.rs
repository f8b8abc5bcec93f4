//! Two who want different things.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::manifests::manifest;
use crate::support::agent::Rig;

/// Heals that are free.
const FREE: usize = 20;
/// How often the rival changes the object back.
const FIGHTS: usize = 26;

#[test]
fn a_fight_is_slowed_down_and_nothing_else() {
    let rig = Rig::new("drift-contest");
    let shop = rig.destination("shop");
    let objects = format!("{}---\n{}", manifest("configmap", "fought"), manifest("configmap", "calm"));
    let revision = rig.repo.commit(&[("app/objects.yaml", &objects)], "objects");
    rig.application("shop", "app", &shop, "{automated: {selfHeal: true}}");
    let free = FREE.to_string();
    let agent = rig.agent(&[
        "--contest-heals",
        &free,
        "--contest-window",
        "10m",
        "--contest-min-pause",
        "1s",
        "--contest-max-pause",
        "2s",
    ]);
    rig.wait_synced("shop", revision.as_str());
    rig.proxy.reset();
    let (fights, calm_is_healed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let plane = rig.plane;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let patch = json!({"data": {"colour": "red"}}).to_string();
            let arguments =
                ["-n", &shop, "patch", "configmap/fought", "--field-manager=rival", "--type=merge", "-p", &patch];
            while fights.load(Ordering::Relaxed) < FIGHTS {
                // It sees itself reverted.
                plane.kubectl(&[
                    "-n",
                    &shop,
                    "wait",
                    "--for=jsonpath={.data.colour}=blue",
                    "configmap/fought",
                    "--timeout=60s",
                ]);
                plane.kubectl(&arguments);
                fights.fetch_add(1, Ordering::Relaxed);
            }
        });
        let app = rig.wait_app("shop", "contested", |app| drift(app, "fought").contains("is contested"));
        assert!(drift(&app, "fought").contains("rival"), "{}", drift(&app, "fought"));
        assert!(fights.load(Ordering::Relaxed) > FREE);
        // In the middle of it another object is healed at once, as often as it is edited.
        for round in 1..=3 {
            let patch = json!({"data": {"colour": format!("red-{round}")}}).to_string();
            rig.plane.kubectl(&["-n", &shop, "patch", "configmap/calm", "--type=merge", "-p", &patch]);
            rig.wait("the heal beside the fight", || colour(&rig, &shop, "calm") == "blue");
        }
        assert!(fights.load(Ordering::Relaxed) < FIGHTS, "the fight was over before");
        calm_is_healed.store(true, Ordering::Relaxed);
    });
    assert!(calm_is_healed.load(Ordering::Relaxed));
    // The last word is ours.
    rig.wait("the last heal", || colour(&rig, &shop, "fought") == "blue");
    rig.wait_app("shop", "synced", |app| app["status"]["sync"]["status"] == "Synced");
    let applies = |name: &str| rig.object_writes().iter().filter(|entry| entry.name == name).count();
    assert_eq!(applies("fought"), FIGHTS, "one apply for each of the rival's");
    assert_eq!(applies("calm"), 3);
    assert_eq!(rig.dry_runs(), 0);
    let events = rig.get(&rig.namespace, &["events", "--field-selector=reason=Contested"]);
    let named =
        |event: &Value| event["message"].as_str().is_some_and(|text| text.contains("rival") && text.contains("fought"));
    assert!(events["items"].as_array().unwrap().iter().any(named), "{events:#}");
    assert!(agent.log().lines().any(|line| line.contains("Contested") && line.contains("rival")), "{}", agent.log());
}

fn colour(rig: &Rig, namespace: &str, name: &str) -> String {
    rig.get(namespace, &["configmap", name])["data"]["colour"].as_str().unwrap_or_default().to_owned()
}

fn drift<'a>(app: &'a Value, name: &str) -> &'a str {
    let resources = app["status"]["resources"].as_array().map_or(&[][..], Vec::as_slice);
    let found = resources.iter().find(|resource| resource["name"] == name);
    found.and_then(|resource| resource["drift"].as_str()).unwrap_or_default()
}
