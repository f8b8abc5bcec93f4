//! Names, tags and digests of images.

use regex::Regex;

use super::error::KustomizeError;
use super::field_spec::{FieldSpec, Missing, set_plain, visit};
use super::kustomization::Image;
use super::pattern::{is_simple, strip_simple};
use super::resource::Resources;
use super::value::Value;

/// Fields whose items have images, wherever they are.
const CONTAINERS: [&str; 2] = ["containers", "initContainers"];

/// Changes the images that `image` names, in containers wherever they are and in what else `specs` says.
pub fn set_image(resources: &mut Resources, image: &Image, specs: &[FieldSpec]) -> Result<(), KustomizeError> {
    let matcher = Matcher::new(&image.name);
    let others = || |resource: &&mut super::resource::Resource| resource.kind() != "CustomResourceDefinition";
    for resource in resources.list.iter_mut().filter(others()) {
        let described = resource.describe();
        in_containers(&mut resource.value, &matcher, image)
            .map_err(|reason| KustomizeError::new(format!("{described}: {reason}")))?;
    }
    for resource in resources.list.iter_mut().filter(others()) {
        for spec in specs {
            visit(resource, spec, Missing::Skip, &mut |value| update(value, &matcher, image))?;
        }
    }
    Ok(())
}

fn in_containers(value: &mut Value, matcher: &Matcher<'_>, image: &Image) -> Result<(), String> {
    match value {
        Value::Map(map) => {
            for (key, value) in map.iter_mut() {
                in_containers(value, matcher, image)?;
                if let Some(items) = value.as_seq_mut().filter(|_| CONTAINERS.contains(&key)) {
                    for item in items.iter_mut().filter(|item| !item.is_null()) {
                        let described = item.describe();
                        let container = item
                            .as_map_mut()
                            .ok_or_else(|| format!("`{key}`: a mapping is needed, and {described} is there"))?;
                        if let Some(value) = container.get_mut("image") {
                            update(value, matcher, image).map_err(|reason| format!("`{key}`: `image`: {reason}"))?;
                        }
                    }
                }
            }
            Ok(())
        }
        Value::Seq(items) => items.iter_mut().try_for_each(|item| in_containers(item, matcher, image)),
        _ => Ok(()),
    }
}

fn update(value: &mut Value, matcher: &Matcher<'_>, image: &Image) -> Result<(), String> {
    let Some(text) = value.text() else {
        return Err(format!("the name of an image is needed, and {} is there", value.describe()));
    };
    if !matcher.matches(text) {
        return Ok(());
    }
    let updated = replace(text, image);
    set_plain(value, &updated)
}

/// `text` with what `image` says.
fn replace(text: &str, image: &Image) -> String {
    let (name, mut tag, mut digest) = split(text);
    let name = if image.new_name.is_empty() { name } else { &image.new_name };
    let suffixed = format!("{tag}{}", image.tag_suffix);
    if !image.new_tag.is_empty() || !image.digest.is_empty() {
        (tag, digest) = (&image.new_tag, &image.digest);
    } else if !image.tag_suffix.is_empty() {
        (tag, digest) = (&suffixed, "");
    }
    let mut replaced = name.to_owned();
    for (separator, part) in [(':', tag), ('@', digest)] {
        if !part.is_empty() {
            replaced.push(separator);
            replaced.push_str(part);
        }
    }
    replaced
}

/// Name, tag and digest of an image. A colon in front of the first slash belongs to a port.
pub(super) fn split(image: &str) -> (&str, &str, &str) {
    let start = image.find('/').unwrap_or(0);
    let at = |separator| image.get(start..).and_then(|rest| rest.find(separator)).map(|at| at + start);
    let cut = |at: usize| (image.get(..at).unwrap_or_default(), image.get(at + 1..).unwrap_or_default());
    match (at(':'), at('@')) {
        (None, None) => (image, "", ""),
        (Some(colon), None) => {
            let (name, tag) = cut(colon);
            (name, tag, "")
        }
        (Some(colon), Some(sign)) if colon < sign => {
            let (rest, digest) = cut(sign);
            (rest.get(..colon).unwrap_or_default(), rest.get(colon + 1..).unwrap_or_default(), digest)
        }
        (_, Some(sign)) => {
            let (name, digest) = cut(sign);
            (name, "", digest)
        }
    }
}

/// Which images a name is for. Kustomize takes the name for a regular expression.
enum Matcher<'n> {
    /// The name [`is_simple`].
    Simple(&'n str),
    /// It has characters that mean something in a regular expression.
    Pattern(Regex),
    /// It can't be read as a regular expression, so it is for none.
    Nothing,
}

impl<'n> Matcher<'n> {
    fn new(name: &'n str) -> Self {
        if is_simple(name) {
            return Self::Simple(name);
        }
        let pattern =
            format!("^{name}(:[a-zA-Z0-9_.{{}}-]*)?(@[a-zA-Z0-9]+([.+_-][a-zA-Z0-9]+)*:[a-zA-Z0-9_.{{}}-]*)?$");
        Regex::new(&pattern).map_or(Self::Nothing, Self::Pattern)
    }

    fn matches(&self, image: &str) -> bool {
        match self {
            Self::Simple(name) => strip_simple(name, image).is_some_and(is_tag_and_digest),
            Self::Pattern(pattern) => pattern.is_match(image),
            Self::Nothing => false,
        }
    }
}

/// Whether `text` is an optional tag and an optional digest.
fn is_tag_and_digest(text: &str) -> bool {
    let tag = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.{}-".contains(&byte));
    let algorithm = |text: &str| {
        let parts = text.split(['.', '+', '_', '-']);
        parts.into_iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    };
    let digest = |text: &str| text.split_once(':').is_some_and(|(name, hex)| algorithm(name) && tag(hex));
    let (front, digested) = match text.split_once('@') {
        Some((front, rest)) => (front, digest(rest)),
        None => (text, true),
    };
    digested && (front.is_empty() || front.strip_prefix(':').is_some_and(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_matched_as_by_kustomize() {
        let cases = [
            ("nginx", "nginx", true),
            ("nginx", "nginx:1.2", true),
            ("nginx", "nginx@sha256:ab", true),
            ("nginx", "nginx:1@sha512+b58:ab", true),
            ("nginx", "nginx:", true),
            ("nginx", "nginx2", false),
            ("nginx", "my/nginx", false),
            ("nginx", "nginx:a/b", false),
            ("nginx", "nginx@sha256", false),
            ("a.b/c", "axb/c:1", true),
            ("a.b/c", "ab/c:1", false),
            ("a.*c", "abbc:1", true),
            ("foo|bar", "foox", true),
            ("[", "[", false),
            ("", ":1", true),
        ];
        for (name, image, expected) in cases {
            assert_eq!(Matcher::new(name).matches(image), expected, "{name} {image}");
        }
    }

    #[test]
    fn images_are_changed_as_by_kustomize() {
        let image = |new_name: &str, new_tag: &str, digest: &str, tag_suffix: &str| Image {
            name: String::new(),
            new_name: new_name.to_owned(),
            new_tag: new_tag.to_owned(),
            digest: digest.to_owned(),
            tag_suffix: tag_suffix.to_owned(),
        };
        let cases = [
            ("a:1", image("b", "", "", ""), "b:1"),
            ("r:80/a:1@sha256:x", image("", "2", "", ""), "r:80/a:2"),
            ("r:80/a", image("", "2", "", ""), "r:80/a:2"),
            ("a:1", image("", "", "sha256:y", ""), "a@sha256:y"),
            ("a:1", image("", "2", "sha256:y", "-x"), "a:2@sha256:y"),
            ("a:1@sha256:x", image("", "", "", "-x"), "a:1-x"),
            ("a@sha256:x", image("b", "", "", ""), "b@sha256:x"),
        ];
        for (text, image, expected) in cases {
            assert_eq!(replace(text, &image), expected, "{text}");
        }
    }
}
