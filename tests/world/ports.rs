//! Lists in which names must be unique: what a person or an earlier heal left must not keep Git out.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::plan::{App, Kind};
use super::world::World;
use super::{converge, simulated};

const URL: &str = "https://git.example/one.git";
const SERVICE: &str = "/api/v1/namespaces/shop/services/web";

/// A world with one Service in Git, whose port is 1010, deployed.
async fn deployed(self_heal: bool) -> World {
    let mut world = World::new(1, 1);
    let app = App {
        name: "web".to_owned(),
        url: URL.to_owned(),
        namespace: "shop".to_owned(),
        policy: json!({"automated": {"selfHeal": self_heal}}),
        objects: BTreeMap::from([((Kind::Service, "web".to_owned()), 10)]),
        is_broken: false,
        is_deleted: false,
    };
    world.make("/apis/argoproj.io/v1alpha1/namespaces/argocd/applications", &app.resource());
    world.apps.push(app);
    world.commit(URL);
    world.start(0);
    world.pass(Duration::from_secs(5)).await;
    assert!(Kind::Service.has(&world.get(SERVICE).unwrap(), 10));
    world
}

async fn commit(world: &mut World, value: u16) {
    world.apps[0].objects.insert((Kind::Service, "web".to_owned()), value);
    world.commit(URL);
    world.pass(Duration::from_secs(60)).await;
    assert!(Kind::Service.has(&world.get(SERVICE).unwrap(), value), "{}", world.get(SERVICE).unwrap());
}

#[test]
fn a_port_that_was_put_back_can_be_changed_in_git() {
    simulated(async {
        let mut world = deployed(true).await;
        world.edit(SERVICE, &Kind::Service.patch(20));
        assert_eq!(converge(&mut world).await, None);
        let healed = world.get(SERVICE).unwrap();
        let entries = healed["metadata"]["managedFields"].as_array().unwrap();
        let is_left = |entry: &&Value| entry["manager"] == "driftless" && entry["operation"] == "Update";
        assert_eq!(entries.iter().find(is_left), None, "it would hold the port when Git has another one");
        commit(&mut world, 30).await;
    });
}

#[test]
fn a_port_that_a_person_has_changed_can_be_changed_in_git() {
    simulated(async {
        let mut world = deployed(false).await;
        world.edit(SERVICE, &Kind::Service.patch(20));
        world.pass(Duration::from_secs(20)).await;
        assert!(Kind::Service.has(&world.get(SERVICE).unwrap(), 20), "without selfHeal it stays");
        commit(&mut world, 30).await;
    });
}
