//! A load: many ConfigMaps, in the repository for agents, or in the API server itself.

use serde_json::{Value, json};

use crate::cli::error::CommandError;

/// Most objects of one Application that an agent takes by its own settings.
const MAX_PER_APP: u32 = 20_000;
/// ConfigMaps in one file, which stays well below the largest that an agent reads.
const PER_FILE: u32 = 1_000;
/// Bytes of data in each ConfigMap.
const SIZE: usize = 800;

/// So many objects, spread over so many applications as evenly as it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Load {
    objects: u32,
    apps: u32,
}

/// The part of a load that is in one application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LoadApp {
    /// Its name, and that of its namespace.
    pub(super) name: String,
    /// How many objects it has.
    pub(super) objects: u32,
}

impl Load {
    /// Without objects there are no applications.
    pub(super) fn new(objects: u32, apps: u32) -> Result<Self, CommandError> {
        if objects > 0 && apps > objects {
            return Err(CommandError::usage(format_args!("--apps {apps} is more than --objects {objects}")));
        }
        if objects.div_ceil(apps.max(1)) > MAX_PER_APP {
            let needed = objects.div_ceil(MAX_PER_APP);
            let problem = format_args!("--objects {objects} is too much for --apps {apps}: set {needed} or more");
            return Err(CommandError::usage(problem));
        }
        Ok(Self { objects, apps: if objects == 0 { 0 } else { apps } })
    }

    /// Its applications.
    pub(super) fn apps(self) -> impl Iterator<Item = LoadApp> {
        let Self { objects, apps } = self;
        (0..apps).map(move |number| LoadApp {
            name: format!("load-{:04}", number + 1),
            objects: objects / apps + u32::from(number < objects % apps),
        })
    }
}

impl LoadApp {
    /// Its folder in the repository.
    pub(super) fn path(&self) -> String {
        format!("load/{}", self.name)
    }

    /// Its objects, without a namespace.
    pub(super) fn config_maps(&self) -> impl Iterator<Item = (String, Value)> {
        (0..self.objects).map(|number| {
            let name = format!("item-{number:05}");
            let object = json!({
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": name},
                "data": {"number": number.to_string(), "text": text(number)},
            });
            (name, object)
        })
    }

    /// Its files, by their paths in the repository.
    pub(super) fn files(&self) -> Vec<(String, String)> {
        let mut files: Vec<(String, String)> = Vec::new();
        for (number, (_, object)) in (0u32..).zip(self.config_maps()) {
            if number % PER_FILE == 0 {
                files.push((format!("{}/items-{:02}.yaml", self.path(), number / PER_FILE), String::new()));
            }
            if let Some((_, file)) = files.last_mut() {
                // JSON is YAML as well.
                file.push_str("---\n");
                file.push_str(&object.to_string());
                file.push('\n');
            }
        }
        files
    }
}

/// Words that differ from object to object, as long as is asked for.
fn text(number: u32) -> String {
    const WORDS: [&str; 8] = ["amber", "birch", "coral", "delta", "ember", "fjord", "grove", "heron"];
    let mut text = String::with_capacity(SIZE + 8);
    let mut state = u64::from(number) + 1;
    while text.len() < SIZE {
        // Knuth's multiplier; only its upper bits are any good.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(WORDS.get((state >> 61) as usize).copied().unwrap_or_default());
        text.push(' ');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_spread_evenly() {
        let apps: Vec<LoadApp> = Load::new(10, 3).unwrap().apps().collect();
        let sizes: Vec<(&str, u32)> = apps.iter().map(|app| (app.name.as_str(), app.objects)).collect();
        assert_eq!(sizes, [("load-0001", 4), ("load-0002", 3), ("load-0003", 3)]);
        assert_eq!(Load::new(0, 1).unwrap().apps().count(), 0);
    }

    #[test]
    fn what_no_agent_would_take_is_refused() {
        assert!(Load::new(2, 3).is_err());
        assert!(Load::new(20_001, 1).is_err());
        assert!(Load::new(20_000, 1).is_ok());
    }

    #[test]
    fn files_hold_every_object_once() {
        let app = LoadApp { name: "load-0001".to_owned(), objects: 2_500 };
        let files = app.files();
        let counts: Vec<usize> = files.iter().map(|(_, text)| text.matches("---\n").count()).collect();
        assert_eq!(counts, [1_000, 1_000, 500]);
        assert_eq!(files[2].0, "load/load-0001/items-02.yaml");
        let object: Value = serde_json::from_str(files[2].1.lines().nth(1).unwrap()).unwrap();
        assert_eq!(object["metadata"]["name"], "item-02000");
        let size = object.to_string().len();
        assert!((850..1100).contains(&size), "{size}");
    }
}
