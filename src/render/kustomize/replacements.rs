//! Values copied from field to field.

use super::accumulate::{Builder, Target};
use super::decode::Decode;
use super::error::KustomizeError;
use super::field_path::{Create, Step, lookup, parse, visit};
use super::json_patch::yaml_1_1;
use super::kustomization::{FieldOptions, Replacement, ReplacementSource, ReplacementTarget};
use super::read;
use super::resource::{Gvk, Id, Resource, Resources};
use super::scalar;
use super::schema::Schema;
use super::selector::Matcher;
use super::structured;
use super::value::{Kind, Value};

/// The field that counts where none is named.
const DEFAULT_FIELD: &str = "metadata.name";
const DEFAULT_NAMESPACE: &str = "default";

/// Applies `replacements`.
pub(super) fn apply(
    builder: &mut Builder<'_, '_>,
    target: &Target,
    replacements: &[Replacement],
    resources: &mut Resources,
) -> Result<(), KustomizeError> {
    // Files are read first: none of them may be missing.
    let mut all = Vec::new();
    for (index, replacement) in replacements.iter().enumerate() {
        let field = format!("replacements[{index}]");
        if replacement.path.is_empty() {
            all.push((field, replacement.clone()));
            continue;
        }
        let read = from_file(builder, target, replacement).map_err(|error| error.in_field(&field))?;
        all.extend(read.into_iter().map(|replacement| (field.clone(), replacement)));
    }
    for (field, replacement) in &all {
        replace(replacement, resources, &builder.schema).map_err(|error| error.in_field(field))?;
    }
    Ok(())
}

/// The replacements of a file: one of them, or a list.
fn from_file(
    builder: &mut Builder<'_, '_>,
    target: &Target,
    replacement: &Replacement,
) -> Result<Vec<Replacement>, KustomizeError> {
    if replacement.source.is_some() || !replacement.targets.is_empty() {
        return Err(KustomizeError::new("it may have a path or a replacement, not both; remove one of them"));
    }
    let text = builder.loader.text(&target.root, &replacement.path).map_err(|error| error.in_field("path"))?;
    let in_file = |error: KustomizeError| {
        error.in_file(&super::load::resolve(&target.root, &replacement.path).unwrap_or_default())
    };
    let value = read::settings(&text).map_err(|error| in_file(error.into()))?.map(yaml_1_1);
    let decoded = match value {
        Some(value @ Value::Seq(_)) => Vec::<Replacement>::decode(&value),
        Some(value @ Value::Map(_)) => Replacement::decode(&value).map(|replacement| vec![replacement]),
        _ => return Err(in_file(KustomizeError::new("the file needs a replacement, or a list of them"))),
    };
    decoded.map_err(|error| in_file(error.into()))
}

fn replace(replacement: &Replacement, resources: &mut Resources, schema: &Schema) -> Result<(), KustomizeError> {
    if replacement.targets.is_empty() {
        return Err(KustomizeError::new("it needs at least one target").in_field("targets"));
    }
    let mut value = match (&replacement.source, &replacement.source_value) {
        (None, None) => return Err(KustomizeError::new("it needs a source, or a value in `sourceValue`")),
        (Some(_), Some(_)) => {
            return Err(KustomizeError::new("it may have a source or a value, not both; remove one of them"));
        }
        (None, Some(text)) => Copied::fixed(Value::plain(text)),
        (Some(source), None) => source_value(source, resources).map_err(|error| error.in_field("source"))?,
    };
    for (index, target) in replacement.targets.iter().enumerate() {
        let field = format!("targets[{index}]");
        write(&mut value, target, resources, schema).map_err(|error| error.in_field(&field))?;
    }
    Ok(())
}

/// What a resource was and is called, with namespaces as they are written: none for its present name if it has none.
fn ids(resource: &Resource) -> impl Iterator<Item = Id<'_>> {
    let now = Id { gvk: resource.gvk(), name: resource.name(), namespace: resource.namespace() };
    std::iter::once(now).chain(resource.previous_ids())
}

/// A value on its way from its source to its targets.
struct Copied {
    value: Value,
    /// Where it still stands: a target that writes there changes what the later targets get. `None` if it was made.
    source: Option<Place>,
}

/// A field of a resource.
struct Place {
    /// Position of the resource.
    resource: usize,
    path: Vec<Step>,
}

impl Copied {
    const fn fixed(value: Value) -> Self {
        Self { value, source: None }
    }

    /// Where it stands in the resource at `index`.
    fn place_in(&self, index: usize, object: &Value) -> Option<*const Value> {
        let place = self.source.as_ref().filter(|place| place.resource == index)?;
        lookup(object, &place.path).ok().flatten().map(std::ptr::from_ref)
    }

    /// Reads it again where it stands.
    fn refresh(&mut self, index: usize, object: &Value) {
        if let Some(place) = self.source.as_ref().filter(|place| place.resource == index)
            && let Ok(Some(value)) = lookup(object, &place.path)
        {
            self.value.clone_from(value);
        }
    }

    /// Writes it into `field`. `place` is where it stands, if that is in the same resource.
    fn write_to(
        &mut self,
        field: &mut Value,
        place: Option<*const Value>,
        options: &FieldOptions,
    ) -> Result<(), String> {
        let is_place = place.is_some_and(|place| std::ptr::eq(field, place));
        if !is_place && place.is_some_and(|place| holds(field, place)) {
            // What it stood in is replaced; the value itself is none of the resource's any more.
            self.source = None;
        }
        set_field(field, &self.value, options)?;
        if is_place {
            self.value.clone_from(field);
        }
        Ok(())
    }
}

/// Whether `place` is in `value`.
fn holds(value: &Value, place: *const Value) -> bool {
    std::ptr::eq(value, place)
        || match value {
            Value::Seq(items) => items.iter().any(|item| holds(item, place)),
            Value::Map(map) => map.values().any(|value| holds(value, place)),
            Value::Plain(_) | Value::Str(_) => false,
        }
}

fn source_value(source: &ReplacementSource, resources: &Resources) -> Result<Copied, KustomizeError> {
    let gvk = Gvk { group: &source.group, version: &source.version, kind: &source.kind };
    let namespace = |text: &str| if text.is_empty() { DEFAULT_NAMESPACE } else { text }.to_owned();
    let selects = |id: Id<'_>| {
        (source.name.is_empty() || source.name == id.name)
            && (source.namespace.is_empty() || namespace(&source.namespace) == namespace(id.namespace))
            && id.gvk.is_selected_by(gvk)
    };
    let all = resources.list.iter().enumerate();
    let found: Vec<_> = all.filter(|(_, resource)| ids(resource).any(&selects)).collect();
    let (index, resource) = match found.as_slice() {
        [(index, resource)] => (*index, *resource),
        [] => return Err(KustomizeError::new("there is no such resource; correct kind, name or namespace")),
        _ => {
            return Err(KustomizeError::new(
                "there are several such resources; say which one by kind, name and namespace",
            ));
        }
    };
    let path = if source.field_path.is_empty() { DEFAULT_FIELD } else { &source.field_path };
    let in_path = |reason: String| KustomizeError::new(reason).in_field("fieldPath");
    let steps = parse(path).map_err(in_path)?;
    let value = lookup(&resource.value, &steps).map_err(in_path)?;
    let value = value
        .filter(|value| super::field_spec::is_given(value))
        .ok_or_else(|| in_path(format!("{} has nothing at `{path}`", resource.describe())))?;
    let options = source.options.clone().unwrap_or_default();
    if options.delimiter.is_empty() {
        let source = Some(Place { resource: index, path: steps });
        return Ok(Copied { value: value.clone(), source });
    }
    let part = part_of(value, &options).map_err(|reason| KustomizeError::new(reason).in_field("options"))?;
    Ok(Copied::fixed(part))
}

/// The part of a scalar between two delimiters.
fn part_of(value: &Value, options: &FieldOptions) -> Result<Value, String> {
    let text = value.text().ok_or_else(|| format!("a delimiter needs a scalar, and {} is there", value.describe()))?;
    let part = usize::try_from(options.index).ok().and_then(|index| text.split(&options.delimiter).nth(index));
    let part = part.ok_or_else(|| format!("the value has no part {} between its delimiters", options.index))?;
    Ok(value.with_its_quotes(part))
}

fn write(
    value: &mut Copied,
    target: &ReplacementTarget,
    resources: &mut Resources,
    schema: &Schema,
) -> Result<(), KustomizeError> {
    let select = target.select.as_ref().ok_or_else(|| KustomizeError::new("it needs `select`").in_field("select"))?;
    let matcher = Matcher::new(select).map_err(|error| error.in_field("select"))?;
    let mut rejects = Vec::new();
    for (index, reject) in target.reject.iter().enumerate() {
        let matcher = Matcher::new(reject).map_err(|error| error.in_field(&format!("reject[{index}]")))?;
        let named = [&reject.group, &reject.version, &reject.kind, &reject.name, &reject.namespace];
        let by_name = named.iter().any(|text| !text.is_empty());
        let by_metadata = !reject.label_selector.is_empty() || !reject.annotation_selector.is_empty();
        rejects.push((matcher, by_name, by_metadata));
    }
    let default = [DEFAULT_FIELD.to_owned()];
    let paths = if target.field_paths.is_empty() { &default[..] } else { &target.field_paths };
    let options = target.options.clone().unwrap_or_default();
    for (position, resource) in resources.list.iter_mut().enumerate() {
        let rejected = rejects.iter().any(|(matcher, by_name, by_metadata)| {
            (*by_metadata && matcher.selects_metadata(resource))
                || (*by_name && ids(resource).any(|id| matcher.selects_id(id)))
        });
        let selected = matcher.selects_metadata(resource) && ids(resource).any(|id| matcher.selects_id(id));
        if rejected || !selected {
            continue;
        }
        for (index, path) in paths.iter().enumerate() {
            write_field(resource, position, path, value, &options).map_err(|reason| {
                let reason = format!("{}: `{path}`: {reason}", resource.describe());
                KustomizeError::new(reason).in_field(&format!("fieldPaths[{index}]"))
            })?;
        }
        resource.rescope(schema);
    }
    Ok(())
}

fn write_field(
    resource: &mut Resource,
    position: usize,
    path: &str,
    value: &mut Copied,
    options: &FieldOptions,
) -> Result<(), String> {
    let steps = parse(path)?;
    let create = options.create.then(|| Create::like(&value.value));
    // Annotations become strings in the end, whatever they were.
    let annotation =
        steps.get(..2) == Some(&[Step::Field("metadata".to_owned()), Step::Field("annotations".to_owned())]);
    let set = |field: &mut Value, value: &mut Copied, place: Option<*const Value>| {
        if let Value::Plain(plain) = field
            && annotation
            && plain.kind() != Kind::Empty
        {
            *field = Value::str(plain.text());
        }
        value.write_to(field, place, options)
    };
    let object = &mut resource.value;
    let place = value.place_in(position, object);
    if !structured::write(object, &steps, create, &mut |field| set(field, value, place))? {
        if create.is_some() && place.is_some() {
            // What is made for the value is part of it where it is made inside of it.
            visit(object, &steps, create, &mut |_| Ok(()))?;
            value.refresh(position, object);
        }
        let place = value.place_in(position, object);
        match visit(object, &steps, create, &mut |field| set(field, value, place))? {
            0 if options.create => return Err("there is no such field, and it can't be made".to_owned()),
            0 => return Err("there is no such field; correct the path, or set `options.create`".to_owned()),
            _ => {}
        }
    }
    resource.settle_shared();
    value.refresh(position, &resource.value);
    Ok(())
}

/// Writes a value, or a part of it, into a field.
fn set_field(field: &mut Value, value: &Value, options: &FieldOptions) -> Result<(), String> {
    let mut text = value.text().unwrap_or_default().to_owned();
    if !options.delimiter.is_empty() {
        let old =
            field.text().ok_or_else(|| format!("a delimiter needs a scalar, and {} is there", field.describe()))?;
        let mut parts: Vec<&str> = old.split(&options.delimiter).collect();
        let new = text.as_str();
        match usize::try_from(options.index) {
            Err(_) => parts.insert(0, new),
            Ok(index) => match parts.get_mut(index) {
                Some(part) => *part = new,
                None => parts.push(new),
            },
        }
        text = parts.join(&options.delimiter);
    }
    if !field.is_scalar() {
        *field = if options.delimiter.is_empty() { value.clone() } else { Value::plain(&text) };
        // The nodes of another object are none of this one.
        field.unshare();
        return Ok(());
    }
    let shared = field.shared();
    overwrite(field, &text)?;
    field.set_shared(shared);
    Ok(())
}

/// Writes a text over a scalar, which stays of the type that it is.
fn overwrite(field: &mut Value, text: &str) -> Result<(), String> {
    if field.is_untagged() {
        *field = Value::untagged(text);
        return Ok(());
    }
    let new = Value::plain(text);
    *field = match field {
        Value::Str(_) => field.with_its_quotes(text),
        Value::Plain(old) => {
            let kind = scalar::kind(text);
            let fits = match old.kind() {
                Kind::Float => matches!(kind, Some(Kind::Float | Kind::Int)),
                same => kind == Some(same),
            };
            if !fits {
                let reason = format!("{} is there, and the new value is {}", field.describe(), new.describe());
                return Err(format!("{reason}; write the old one with quotes if it may be text"));
            }
            new
        }
        Value::Seq(_) | Value::Map(_) => new,
    };
    Ok(())
}
