//! The footprint of an object: a hash of what our own Apply entry holds, with the values there.
//!
//! Whatever another manager changes leaves our entry, so that the set of fields alone shows most drift; the values show
//! what is written under our own name. No manifest and no schema are needed (DESIGN section 4).

use blake3::Hasher;
use serde_json::Value;

use super::fields::{self, Element, Node};
use super::hash::{Hash, HashKey, canonical};
use super::ids::Gvk;

/// The footprint of `object`, whose `metadata.managedFields` is the JSON text `managed_fields`; `None` if we have no Apply
/// entry in the version of `gvk`. Keyed with `key` for a Secret.
///
/// It holds every path of our entry, the scalar at each leaf, and the order of the list items that are ours, which an apply
/// restores (init containers and environment variables depend on it). It does not hold: the order of sets; where foreign
/// items stand between ours; and what is in a map or list that is one leaf. Any change to an atomic one takes the leaf from
/// us, while an empty map of ours that others fill (`resources: {}`) stays ours, and no apply could empty it.
///
/// The stamp, the tracking annotation and our labels are part of it: to edit them is drift.
///
/// To change what goes in here invalidates every `expected` of every store: one dry run for each object at the upgrade.
pub fn footprint(object: &Value, managed_fields: &str, gvk: &Gvk, key: &HashKey) -> Option<Hash> {
    let set = fields::ours(managed_fields, gvk)?;
    let secret = gvk.group.is_empty() && &*gvk.kind == "Secret";
    let hasher = if secret { Hasher::new_keyed(&key.0) } else { Hasher::new() };
    let mut sink = Sink { hasher, buffer: Vec::with_capacity(2 * FLUSH), number: Vec::new() };
    sink.set(&set, Some(object));
    Some(Hash::cut(sink.hasher.update(&sink.buffer).finalize()))
}

/// How many bytes are gathered for the hasher, which takes many small pieces slowly.
const FLUSH: usize = 1024;

struct Sink {
    hasher: Hasher,
    buffer: Vec<u8>,
    number: Vec<u8>,
}

impl Sink {
    /// Every part begins with a tag byte and is of known length, so that no two sets write the same bytes.
    fn text(&mut self, tag: u8, text: &[u8]) {
        self.buffer.push(tag);
        self.buffer.extend_from_slice(&(text.len() as u64).to_le_bytes());
        self.buffer.extend_from_slice(text);
        if self.buffer.len() >= FLUSH {
            self.hasher.update(&self.buffer);
            self.buffer.clear();
        }
    }

    fn set(&mut self, set: &Node<'_>, value: Option<&Value>) {
        if set.is_leaf() {
            return self.leaf(value);
        }
        self.buffer.push(if set.member { b'.' } else { b'{' });
        for (element, below) in set.children() {
            match element {
                Element::Field(name) => {
                    self.text(b'f', name.as_bytes());
                    self.set(below, value.and_then(|value| value.get(&**name)));
                }
                Element::Item(item) => self.text(b'v', &item.text),
                Element::Index(index) => {
                    self.text(b'i', &index.to_le_bytes());
                    self.set(below, usize::try_from(*index).ok().and_then(|index| value?.get(index)));
                }
                Element::Key(_) => {}
            }
        }
        if set.keys().next().is_some() {
            self.list(set, value);
        }
        self.buffer.push(b'}');
    }

    /// The items of a list, in the order in which they stand on the object.
    fn list(&mut self, set: &Node<'_>, value: Option<&Value>) {
        let items = value.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let mut found = 0;
        for (item, assigned) in items.iter().zip(set.assign(items)) {
            if let Some((key, below)) = assigned {
                self.text(b'k', &key.text);
                self.set(below, Some(item));
                found += 1;
            }
        }
        if found < set.keys().count() {
            // A key without an item: the object contradicts its own managedFields, which only a writer of both can do.
            for (key, _) in set.keys() {
                self.text(b'!', &key.text);
            }
        }
    }

    fn leaf(&mut self, value: Option<&Value>) {
        match value {
            Some(Value::String(text)) => self.text(b's', text.as_bytes()),
            Some(Value::Bool(true)) => self.text(b'b', b"1"),
            Some(Value::Bool(false)) => self.text(b'b', b"0"),
            Some(number @ Value::Number(_)) => {
                let mut text = std::mem::take(&mut self.number);
                text.clear();
                canonical(number, &mut text);
                self.text(b'n', &text);
                self.number = text;
            }
            // Absent counts as empty: the API server drops an empty map of ours from the object, but not from our entry.
            None | Some(Value::Null | Value::Object(_) | Value::Array(_)) => self.buffer.push(b'-'),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const KEY: HashKey = HashKey([7; 32]);

    fn of(kind: &str, fields: &str, object: Value) -> Option<Hash> {
        let text = format!(r#"[{{"manager":"driftless","operation":"Apply","apiVersion":"v1","fieldsV1":{fields}}}]"#);
        footprint(&object, &text, &Gvk::new("", "v1", kind), &KEY)
    }

    #[test]
    fn values_count_at_scalars_only() {
        let one = |value| of("Pod", r#"{"f:spec":{"f:a":{}}}"#, json!({"spec": {"a": value, "b": 1}}));
        let different = [json!("1"), json!(1), json!(true), json!(false), json!(""), json!({}), json!(1.5)];
        for (at, a) in different.iter().enumerate() {
            for (bt, b) in different.iter().enumerate() {
                assert_eq!(one(a.clone()) == one(b.clone()), at == bt, "{a} {b}");
            }
        }
        assert_eq!(one(json!({})), one(json!({"x": 1})));
        assert_eq!(one(json!([])), one(Value::Null));
        assert_eq!(one(json!(2)), one(json!(2.0)));
    }

    #[test]
    fn ownership_counts_everywhere() {
        let object = json!({"spec": {"a": {"b": "1"}, "c": ["x", "y"], "d": [{"n": 1}, {"n": 2}]}});
        let sets = [
            r#"{"f:spec":{"f:a":{}}}"#,
            r#"{"f:spec":{"f:a":{"f:b":{}}}}"#,
            r#"{"f:spec":{"f:a":{".":{},"f:b":{}}}}"#,
            r#"{"f:spec":{"f:a":{"f:b":{}},"f:c":{}}}"#,
            r#"{"f:spec":{"f:a":{"f:b":{}},"f:c":{"v:\"x\"":{}}}}"#,
            r#"{"f:spec":{"f:a":{"f:b":{}},"f:c":{"v:\"y\"":{}}}}"#,
            r#"{"f:spec":{"f:a":{"f:b":{}},"f:c":{"i:0":{}}}}"#,
            r#"{"f:spec":{"f:d":{"k:{\"n\":1}":{".":{},"f:n":{}}}}}"#,
            r#"{"f:spec":{"f:d":{"k:{\"n\":2}":{".":{},"f:n":{}}}}}"#,
            r#"{"f:spec":{"f:d":{"k:{\"n\":3}":{".":{},"f:n":{}}}}}"#,
            r#"{"f:spec":{"f:d":{"k:{\"n\":1}":{"f:n":{}}}}}"#,
            "{}",
        ];
        let hashes: std::collections::BTreeSet<_> =
            sets.iter().map(|set| of("Pod", set, object.clone()).unwrap()).collect();
        assert_eq!(hashes.len(), sets.len());
    }

    #[test]
    fn list_items_count_in_their_order_without_the_foreign_ones() {
        let set = r#"{"f:l":{"k:{\"n\":1}":{".":{},"f:v":{}},"k:{\"n\":2}":{".":{},"f:v":{}}}}"#;
        let with = |list: Value| of("Pod", set, json!({"l": list})).unwrap();
        let ours = with(json!([{"n": 1, "v": "a"}, {"n": 2, "v": "b"}]));
        assert_eq!(ours, with(json!([{"n": 9}, {"n": 1, "v": "a", "w": 1}, {"n": 8}, {"n": 2, "v": "b"}])));
        assert_ne!(ours, with(json!([{"n": 2, "v": "b"}, {"n": 1, "v": "a"}])));
        assert_ne!(ours, with(json!([{"n": 1, "v": "a"}, {"n": 2, "v": "c"}])));
        assert_ne!(ours, with(json!([{"n": 1, "v": "a"}])));
    }

    #[test]
    fn secrets_are_keyed() {
        let set = r#"{"f:data":{"f:a":{}}}"#;
        let object = json!({"data": {"a": "eA=="}});
        assert_ne!(of("Secret", set, object.clone()), of("ConfigMap", set, object.clone()));
        let text = format!(r#"[{{"manager":"driftless","operation":"Apply","apiVersion":"v1","fieldsV1":{set}}}]"#);
        let other = footprint(&object, &text, &Gvk::new("", "v1", "Secret"), &HashKey([8; 32]));
        assert_ne!(of("Secret", set, object), other);
    }
}
