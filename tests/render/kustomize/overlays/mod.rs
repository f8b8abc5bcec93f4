//! Random overlays: trees of bases, overlays and components, the same for the same seed, built by kustomize's Go API and
//! by us. Most of them build; of the others both must say that they don't.

mod fields;
mod objects;
mod patches;
mod random;
mod runs;
mod settings;
mod transformers;

use fields::Seen;
use objects::Made;
use random::Random;

pub(super) use runs::difference;

/// A tree, and the folder to build.
#[derive(Debug)]
pub(super) struct Overlay {
    /// Path and content.
    pub(super) files: Vec<(String, String)>,
    /// The folder to build.
    pub(super) build: String,
}

/// A kustomization that was written, for those that use it.
#[derive(Clone, Debug, Default)]
struct Layer {
    folder: String,
    objects: Vec<Made>,
    generated: Vec<String>,
}

impl Overlay {
    /// The tree of a seed.
    pub(super) fn of(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let random = &mut random;
        let mut overlay = Self { files: Vec::new(), build: String::new() };
        let component = random.chance(35).then(|| overlay.component(random, 0));
        let mut layers: Vec<Layer> = Vec::new();
        let depth = 1 + random.below(4);
        for level in 0..depth {
            let folder = format!("layer{level}");
            // Mostly one base; sometimes two that were made apart.
            let mut bases: Vec<Layer> = layers.pop().into_iter().collect();
            if level > 0 && random.chance(20) {
                bases.push(overlay.layer(random, &format!("beside{level}"), &[], None, false));
            }
            let component = component.as_ref().filter(|_| level + 1 == depth);
            let layer = overlay.layer(random, &folder, &bases, component, level + 1 == depth);
            overlay.build.clone_from(&layer.folder);
            layers.push(layer);
        }
        overlay
    }

    /// As a case's file, so that what was found can be kept.
    pub(super) fn as_case(&self) -> String {
        let files: String = self.files.iter().map(|(path, content)| format!("-- {path} --\n{content}")).collect();
        format!("build: {}\n{files}", self.build)
    }

    fn layer(
        &mut self,
        random: &mut Random,
        folder: &str,
        bases: &[Layer],
        component: Option<&Layer>,
        last: bool,
    ) -> Layer {
        let mut layer = Layer { folder: folder.to_owned(), ..Layer::default() };
        layer.objects.extend(bases.iter().flat_map(|base| base.objects.clone()));
        let mut resources: Vec<String> = bases.iter().map(|base| format!("../{}", base.folder)).collect();
        resources.extend(self.resources(random, &mut layer, if bases.is_empty() { 2 } else { 0 }));
        let inherited: Vec<String> = bases.iter().flat_map(|base| base.generated.clone()).collect();
        let mut text = format!("resources: [{}]\n", resources.join(", "));
        if let Some(component) = component {
            text += &format!("components: [../{}]\n", component.folder);
        }
        text += &self.fields(random, &mut layer, &inherited);
        if last {
            text += &fields::outermost(random);
        }
        layer.generated.extend(inherited);
        self.files.push((format!("{folder}/kustomization.yaml"), text));
        layer
    }

    /// Writes some objects, in one file or several.
    fn resources(&mut self, random: &mut Random, layer: &mut Layer, least: usize) -> Vec<String> {
        let mut texts = Vec::new();
        for _ in 0..least + random.below(5) {
            if let Some((made, text)) = objects::object(random, &layer.objects) {
                layer.objects.push(made);
                texts.push(text);
            }
        }
        if texts.is_empty() {
            return Vec::new();
        }
        if random.chance(30) {
            self.files.push((format!("{}/all.yaml", layer.folder), texts.join("---\n")));
            return vec!["all.yaml".to_owned()];
        }
        let mut names = Vec::new();
        for (at, text) in texts.into_iter().enumerate() {
            self.files.push((format!("{}/r{at}.yaml", layer.folder), text));
            names.push(format!("r{at}.yaml"));
        }
        names
    }

    fn fields(&mut self, random: &mut Random, layer: &mut Layer, inherited: &[String]) -> String {
        let seen = Seen { folder: &layer.folder, objects: &layer.objects, generated: inherited };
        let mut text = fields::simple(random, &seen);
        text += &patches::patches(random, &seen, &mut self.files);
        let mut generated = Vec::new();
        let generators = fields::generators(random, &seen, &mut generated);
        text += &generators;
        if random.chance(25) {
            text += &fields::replacements(random, &seen);
        }
        if random.chance(10) {
            text += &fields::variables(random, &seen);
        }
        if random.chance(10) {
            text += &transformers::transformers(random, &seen, &mut self.files);
        }
        text += &self.settings(random, &layer.folder);
        if generators.contains("file.txt") {
            let content: String = serde_json::from_str(&random.value()).unwrap();
            self.files.push((format!("{}/file.txt", layer.folder), format!("first\n{content}\n")));
        }
        if generators.contains("file.env") {
            self.files.push((format!("{}/file.env", layer.folder), "# comment\nENV=1\nOTHER=a b\n".to_owned()));
        }
        layer.generated.extend(generated);
        text
    }

    /// What says which fields there are.
    fn settings(&mut self, random: &mut Random, folder: &str) -> String {
        let mut text = String::new();
        if random.chance(25) {
            text += "configurations: [refs.yaml]\n";
            self.files.push((format!("{folder}/refs.yaml"), settings::configuration(random)));
        }
        if random.chance(8) {
            text += "crds: [definition.json]\n";
            self.files.push((format!("{folder}/definition.json"), settings::definition(random).to_owned()));
        }
        if random.chance(5) {
            text += "openapi: {path: schema.json}\n";
            self.files.push((format!("{folder}/schema.json"), settings::schema(random)));
        }
        text
    }

    /// A component, and sometimes others that it has.
    fn component(&mut self, random: &mut Random, depth: usize) -> Layer {
        let name = if depth == 0 { "component".to_owned() } else { format!("component{depth}") };
        let mut layer = Layer { folder: name.clone(), ..Layer::default() };
        let inner = (depth < 3 && random.chance(30)).then(|| self.component(random, depth + 1));
        let mut text = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n".to_owned();
        // Of names that no layer has.
        text += "resources: [extra.yaml]\n";
        let extra = format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData: {{a: b}}\n");
        self.files.push((format!("{name}/extra.yaml"), extra));
        layer.objects.push(Made { api_version: "v1", kind: "Secret", name: name.clone(), namespace: None });
        if let Some(inner) = inner {
            text += &format!("components: [../{}]\n", inner.folder);
            layer.objects.extend(inner.objects);
        }
        let seen = Seen { folder: &layer.folder, objects: &layer.objects, generated: &[] };
        text += &fields::simple(random, &seen);
        text += &patches::patches(random, &seen, &mut self.files);
        text += &fields::replacements(random, &seen);
        if random.chance(30) {
            text += &format!("configMapGenerator:\n- {{name: {name}-map, literals: [a={}]}}\n", random.below(9));
        }
        text += &self.settings(random, &layer.folder);
        self.files.push((format!("{name}/kustomization.yaml"), text));
        layer
    }
}
