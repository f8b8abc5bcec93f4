//! Labels and annotations that one transformer adds to several fields of an object are one node in kustomize, and remain
//! it through all layers: whoever sets one of them later sets them all. So an overlay that gives a label of its base
//! another value in the metadata alone changes the selectors, too, where the base added it.
//!
//! Here each such string carries the number of its node, and what was written over one of them is copied to the others.

use super::resource::Resource;
use super::value::{Text, Value};

impl Resource {
    /// The number of a new node, which says `text`.
    pub(super) fn share(&mut self, text: &str) -> u32 {
        self.shared.push(Text::from(text.to_owned()));
        u32::try_from(self.shared.len()).unwrap_or_default()
    }

    /// Copies what was written over a shared string to the others of its node.
    pub(super) fn settle_shared(&mut self) {
        if self.shared.is_empty() {
            return;
        }
        let mut now = self.shared.clone();
        let mut changed = false;
        walk(&mut self.value, &mut |text| {
            let at = text.shared() as usize;
            if let (Some(old), Some(new)) = (self.shared.get(at.wrapping_sub(1)), now.get_mut(at.wrapping_sub(1)))
                && old != text
            {
                new.clone_from(text);
                changed = true;
            }
        });
        if changed {
            walk(&mut self.value, &mut |text| {
                if let Some(new) = now.get((text.shared() as usize).wrapping_sub(1)) {
                    let shared = text.shared();
                    text.clone_from(new);
                    text.set_shared(shared);
                }
            });
            self.shared = now;
        }
    }

    /// Makes each string a node of its own, as JSON patches do.
    pub(super) fn unshare(&mut self) {
        if !self.shared.is_empty() {
            self.shared.clear();
            self.value.unshare();
        }
    }
}

impl Value {
    /// Makes each string a node of its own.
    pub(super) fn unshare(&mut self) {
        walk(self, &mut |text| text.set_shared(0));
    }

    /// The node that a string belongs to; 0 if it is one by itself.
    pub(super) const fn shared(&self) -> u32 {
        match self {
            Self::Str(text) => text.shared(),
            _ => 0,
        }
    }

    /// Writes `value` over it, which takes its place in its node.
    pub(super) fn put(&mut self, value: Self) {
        let node = self.shared();
        *self = value;
        self.set_shared(node);
    }

    /// Puts a string into a node.
    pub(super) const fn set_shared(&mut self, node: u32) {
        if let Self::Str(text) = self {
            text.set_shared(node);
        }
    }
}

/// Visits all strings.
fn walk(value: &mut Value, visit: &mut dyn FnMut(&mut Text)) {
    match value {
        Value::Str(text) => visit(text),
        Value::Seq(items) => items.iter_mut().for_each(|item| walk(item, visit)),
        Value::Map(map) => map.iter_mut().for_each(|(_, value)| walk(value, visit)),
        Value::Plain(_) => {}
    }
}
