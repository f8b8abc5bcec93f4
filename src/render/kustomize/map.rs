//! Mappings of YAML documents.

use super::value::Value;

/// A mapping whose entries keep the order in which they were inserted. Two mappings are equal if they have the same
/// entries in the same order.
#[derive(Clone, Debug, Default)]
pub struct Map {
    entries: Vec<(String, Value)>,
    flow: bool,
    /// Whether its keys had quotes, or its document comments.
    decorated: bool,
}

impl PartialEq for Map {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl Eq for Map {}

impl Map {
    /// A mapping without entries.
    pub const fn new() -> Self {
        Self { entries: Vec::new(), flow: false, decorated: false }
    }

    /// Takes entries whose keys are known to differ. `flow` if they stand in braces, or in anything that does.
    pub(super) const fn from_unique(entries: Vec<(String, Value)>, flow: bool) -> Self {
        Self { entries, flow, decorated: false }
    }

    /// Whether it was read from braces: an empty text that a replacement puts into it gets quotes.
    pub(super) const fn is_flow(&self) -> bool {
        self.flow
    }

    /// Whether more was written in it than is kept: a key in quotes, or what seems to be a comment, anywhere in its document.
    pub(super) const fn is_decorated(&self) -> bool {
        self.decorated
    }

    /// Notes that more was written in it than is kept.
    pub(super) const fn decorate(&mut self) {
        self.decorated = true;
    }

    /// Number of entries.
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has no entries.
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn position(&self, key: &str) -> Option<usize> {
        self.entries.iter().position(|(found, _)| found == key)
    }

    /// Whether there is an entry for `key`.
    pub fn contains_key(&self, key: &str) -> bool {
        self.position(key).is_some()
    }

    /// The value for `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries.iter().find(|(found, _)| found == key).map(|(_, value)| value)
    }

    /// The value for `key`, to change.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        self.entries.iter_mut().find(|(found, _)| found == key).map(|(_, value)| value)
    }

    /// Sets the value for `key`, in place or at the end. Returns the value that was there.
    pub fn insert(&mut self, key: impl Into<String>, value: Value) -> Option<Value> {
        let key = key.into();
        match self.get_mut(&key) {
            Some(slot) => Some(std::mem::replace(slot, value)),
            None => {
                self.entries.push((key, value));
                None
            }
        }
    }

    /// The value for `key`, which is first set to what `default` makes if there is none.
    pub fn get_or_insert_with(&mut self, key: &str, default: impl FnOnce() -> Value) -> &mut Value {
        let at = self.position(key).unwrap_or_else(|| {
            self.entries.push((key.to_owned(), default()));
            self.entries.len() - 1
        });
        #[allow(clippy::indexing_slicing)] // `at` is a position in it.
        &mut self.entries[at].1
    }

    /// Takes the entry for `key` out. The order of the others stays.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        self.position(key).map(|at| self.entries.remove(at).1)
    }

    /// Keeps the entries for which `keep` is true.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &mut Value) -> bool) {
        self.entries.retain_mut(|(key, value)| keep(key, value));
    }

    /// The entries in their order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &Value)> + ExactSizeIterator {
        self.entries.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The entries in their order, values to change.
    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = (&str, &mut Value)> + ExactSizeIterator {
        self.entries.iter_mut().map(|(key, value)| (key.as_str(), value))
    }

    /// The keys in their order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &str> + ExactSizeIterator {
        self.entries.iter().map(|(key, _)| key.as_str())
    }

    /// The values in the order of their entries.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &Value> + ExactSizeIterator {
        self.entries.iter().map(|(_, value)| value)
    }

    /// Takes the mapping apart.
    pub fn into_entries(self) -> Vec<(String, Value)> {
        self.entries
    }
}

impl<K: Into<String>> FromIterator<(K, Value)> for Map {
    fn from_iter<T: IntoIterator<Item = (K, Value)>>(entries: T) -> Self {
        let mut map = Self::new();
        for (key, value) in entries {
            map.insert(key, value);
        }
        map
    }
}
