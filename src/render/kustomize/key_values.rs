//! Keys and values of generated ConfigMaps and Secrets: literals, files, and files of lines.

use std::collections::BTreeMap;

use super::error::KustomizeError;
use super::kustomization::GeneratorArgs;
use super::load::{Loader, resolve};

/// Length of a line at which kustomize stops to read a file of lines, without a word.
const MAX_LINE: usize = 64 << 10;

/// Everything that a generator names, by key. No key may be given twice.
pub(super) fn key_values(
    args: &GeneratorArgs,
    root: &str,
    loader: &mut Loader<'_, '_>,
) -> Result<BTreeMap<String, Vec<u8>>, KustomizeError> {
    let mut all = BTreeMap::new();
    let mut add = |key: String, value: Vec<u8>| {
        if all.contains_key(&key) {
            return Err(KustomizeError::new(format!("the key {key:?} is given twice; remove one of them")));
        }
        all.insert(key, value);
        Ok(())
    };
    for (index, path) in args.envs.iter().enumerate() {
        let field = format!("envs[{index}]");
        let content = loader.load(root, path).map_err(|error| error.in_field(&field))?;
        let pairs = lines(&content)
            .map_err(|error| error.in_file(&resolve(root, path).unwrap_or_default()).in_field(&field))?;
        for (key, value) in pairs {
            // The key isn't shown: a line without `=` is one, and may be a piece of a Secret.
            let again = "a line has a key that was given before; remove one of them";
            add(key, value).map_err(|_| KustomizeError::new(again).in_field(&field))?;
        }
    }
    for (index, literal) in args.literals.iter().enumerate() {
        let pair = split_literal(literal).and_then(|(key, value)| add(key.to_owned(), value.as_bytes().to_vec()));
        pair.map_err(|error| error.in_field(&format!("literals[{index}]")))?;
    }
    for (index, source) in args.files.iter().enumerate() {
        let pair = split_file(source).and_then(|(key, path)| add(key.to_owned(), loader.load(root, path)?));
        pair.map_err(|error| error.in_field(&format!("files[{index}]")))?;
    }
    Ok(all)
}

/// `key=value`, with one pair of quotes around the value taken off.
fn split_literal(literal: &str) -> Result<(&str, &str), KustomizeError> {
    match literal.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key, unquoted(value))),
        // The literal itself isn't shown: it may be meant for a Secret.
        _ => Err(KustomizeError::new("a literal must have the form `key=value`")),
    }
}

fn unquoted(value: &str) -> &str {
    let strip = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    strip('"').or_else(|| strip('\'')).unwrap_or(value)
}

/// `path`, whose last part is the key, or `key=path`.
fn split_file(source: &str) -> Result<(&str, &str), KustomizeError> {
    match source.split_once('=') {
        None => {
            let name = source.trim_end_matches('/').rsplit('/').next().unwrap_or(source);
            Ok((name, source))
        }
        Some((_, path)) if path.contains('=') => {
            Err(KustomizeError::new(format!("`{source}` has more than one `=`; rename the file or the key")))
        }
        Some(("", _)) => Err(KustomizeError::new(format!("`{source}` lacks the key in front of `=`"))),
        Some((_, "")) => Err(KustomizeError::new(format!("`{source}` lacks the path behind `=`"))),
        Some(pair) => Ok(pair),
    }
}

/// The pairs of a file with lines of `key=value` or `key`, comments and empty lines.
fn lines(content: &[u8]) -> Result<Vec<(String, Vec<u8>)>, KustomizeError> {
    let mut pairs = Vec::new();
    for (index, bytes) in content.split(|byte| *byte == b'\n').enumerate() {
        if bytes.len() >= MAX_LINE {
            break;
        }
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        let line = std::str::from_utf8(bytes).map_err(|_| KustomizeError {
            line: Some(index + 1),
            ..KustomizeError::new("the line is no UTF-8 text")
        })?;
        let line = if index == 0 { line.strip_prefix('\u{feff}').unwrap_or(line) } else { line };
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        if !key.is_empty() {
            pairs.push((key.to_owned(), value.as_bytes().to_vec()));
        }
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_lose_one_pair_of_quotes() {
        let cases =
            [("a=b", "b"), ("a=\"b c\"", "b c"), ("a='x'", "x"), ("a=\"x'", "\"x'"), ("a=\"", "\""), ("a=b=c", "b=c")];
        for (literal, expected) in cases {
            assert_eq!(split_literal(literal).unwrap(), ("a", expected), "{literal}");
        }
        for literal in ["a", "=b", ""] {
            assert!(split_literal(literal).is_err(), "{literal}");
        }
    }

    #[test]
    fn a_line_without_a_key_is_not_shown_when_it_is_there_twice() {
        use crate::render::limits::RenderLimits;
        use crate::render::memory::MemoryTree;
        use crate::render::recorder::Recorder;
        let tree = MemoryTree::of([
            ("kustomization.yaml", "secretGenerator: [{name: s, envs: [s.env]}]\n"),
            ("s.env", "hunter2secret\nhunter2secret\n"),
        ]);
        let options = super::super::BuildOptions::default();
        let built = super::super::build(&mut Recorder::new(&tree), "", &options, &RenderLimits::default());
        let error = built.unwrap_err().to_string();
        assert!(error.contains("envs[0]") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn files_are_named_by_their_key_or_their_last_part() {
        assert_eq!(split_file("x/y.txt").unwrap(), ("y.txt", "x/y.txt"));
        assert_eq!(split_file("k=x/y.txt").unwrap(), ("k", "x/y.txt"));
        for source in ["=x", "k=", "k=a=b"] {
            assert!(split_file(source).is_err(), "{source}");
        }
    }

    #[test]
    fn lines_are_pairs_comments_or_nothing() {
        let content = "\u{feff}A=1\r\n# c\n\n  B = x = y \nC\n=z\nD='q'".as_bytes();
        let pairs: Vec<_> =
            lines(content).unwrap().into_iter().map(|(k, v)| (k, String::from_utf8(v).unwrap())).collect();
        let expected = [("A", "1"), ("B ", " x = y "), ("C", ""), ("D", "'q'")];
        assert_eq!(pairs, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
        assert_eq!(lines(b"a=1\n\xff").unwrap_err().line, Some(2));
    }
}
