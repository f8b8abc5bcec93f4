//! Ownership that was written down under another type.

use crate::sim::fields::{Element, FieldSet};
use crate::sim::schema::{ListKind, Type};

/// The set as it is under this type: of what became one value since, only the value itself is owned. `None`: nothing changed.
pub fn reconcile(of: Type<'_>, set: &FieldSet) -> Option<FieldSet> {
    let mut atomic = FieldSet::default();
    collect(of, set, &mut Vec::new(), &mut atomic);
    (!atomic.is_empty()).then(|| set.recursive_difference(&atomic).union(&atomic))
}

/// Finds the values that are atomic now, and of which the set tells parts apart.
fn collect(of: Type<'_>, set: &FieldSet, path: &mut Vec<Element>, atomic: &mut FieldSet) {
    for (element, member, below) in set.steps() {
        let child = match (of.map(), of.list(), element) {
            (Some(map), _, Element::Field(name)) => map.member(name),
            (Some(map), _, _) => map.elements(),
            (None, Some(list), _) => Some(list.items),
            (None, None, _) => None,
        };
        let Some(child) = child else { continue };
        path.push(element.clone());
        let leaf = member && below.is_empty();
        let is_one = match (child.map(), child.scalar(), child.list()) {
            (Some(_), ..) if child.is_free_form() => None,
            (Some(map), ..) => Some(map.is_atomic() && !below.is_empty()),
            (None, None, Some(list)) => Some(*list.kind == ListKind::Atomic && !leaf),
            _ => None,
        };
        match is_one {
            Some(true) => atomic.insert(path),
            Some(false) => collect(child, below, path, atomic),
            None => {}
        }
        path.pop();
    }
}
