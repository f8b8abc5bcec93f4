//! The set itself.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::{Element, Path};
use crate::sim::schema::Type;

/// A set of paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSet {
    nodes: BTreeMap<Element, Node>,
}

/// One step: in the set itself, on the way to paths that are, or both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Node {
    member: bool,
    below: FieldSet,
}

impl FieldSet {
    /// The set of these paths.
    pub fn of(paths: impl IntoIterator<Item = Path>) -> Self {
        let mut set = Self::default();
        paths.into_iter().for_each(|path| set.insert(&path.0));
        set
    }

    /// Whether there is no path in it.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// How many paths are in it.
    pub fn len(&self) -> usize {
        self.nodes.values().map(|node| usize::from(node.member) + node.below.len()).sum()
    }

    /// Adds a path, without those above it. The root is never in a set.
    pub fn insert(&mut self, path: &[Element]) {
        if let Some((first, rest)) = path.split_first() {
            let node = self.nodes.entry(first.clone()).or_default();
            if rest.is_empty() {
                node.member = true;
            } else {
                node.below.insert(rest);
            }
        }
    }

    /// Adds a step from the root, and what is below it.
    pub(crate) fn put(&mut self, element: Element, member: bool, below: Self) {
        if !member && below.is_empty() {
            return;
        }
        match self.nodes.entry(element) {
            Entry::Vacant(place) => {
                place.insert(Node { member, below });
            }
            Entry::Occupied(mut place) => {
                let node = place.get_mut();
                node.member |= member;
                node.below = node.below.union(&below);
            }
        }
    }

    /// Whether the path itself is in it.
    pub fn has(&self, path: &[Element]) -> bool {
        let Some((first, rest)) = path.split_first() else { return false };
        let node = self.nodes.get(first);
        node.is_some_and(|node| if rest.is_empty() { node.member } else { node.below.has(rest) })
    }

    /// Whether a step from the root is in it.
    pub fn has_step(&self, element: &Element) -> bool {
        self.nodes.get(element).is_some_and(|node| node.member)
    }

    /// What is below a step.
    pub fn below(&self, element: &Element) -> Option<&Self> {
        self.nodes.get(element).map(|node| &node.below).filter(|below| !below.is_empty())
    }

    /// The first steps, whether they are in it, and what is below them.
    pub fn steps(&self) -> impl Iterator<Item = (&Element, bool, &Self)> {
        self.nodes.iter().map(|(element, node)| (element, node.member, &node.below))
    }

    /// All paths, in the order in which the server goes through them: those of one step, then what is below each.
    pub fn paths(&self) -> Vec<Path> {
        let mut found = Vec::new();
        self.collect(&mut Vec::new(), &mut found);
        found
    }

    fn collect(&self, prefix: &mut Vec<Element>, found: &mut Vec<Path>) {
        for (element, _) in self.nodes.iter().filter(|(_, node)| node.member) {
            let mut path = prefix.clone();
            path.push(element.clone());
            found.push(Path(path));
        }
        for (element, node) in &self.nodes {
            prefix.push(element.clone());
            node.below.collect(prefix, found);
            prefix.pop();
        }
    }

    /// What is in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut union = self.clone();
        for (element, node) in &other.nodes {
            union.put(element.clone(), node.member, node.below.clone());
        }
        union
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.map(|element, node| {
            let theirs = other.nodes.get(element)?;
            Some(Node { member: node.member && theirs.member, below: node.below.intersection(&theirs.below) })
        })
    }

    /// What is in this one and not in the other. What is below a path of the other stays.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.map(|element, node| {
            let Some(theirs) = other.nodes.get(element) else { return Some(node.clone()) };
            Some(Node { member: node.member && !theirs.member, below: node.below.difference(&theirs.below) })
        })
    }

    /// What is in this one and neither in the other nor below a path of the other.
    #[must_use]
    pub fn recursive_difference(&self, other: &Self) -> Self {
        self.map(|element, node| match other.nodes.get(element) {
            None => Some(node.clone()),
            Some(theirs) if theirs.member => None,
            Some(theirs) => Some(Node { member: node.member, below: node.below.recursive_difference(&theirs.below) }),
        })
    }

    /// The paths that have no path below them.
    #[must_use]
    pub fn leaves(&self) -> Self {
        self.map(|_, node| Some(Node { member: node.below.is_empty(), below: node.below.leaves() }))
    }

    /// With the declared fields that lead to paths as well. Members of maps and items of lists are told apart from them: they
    /// are in a set when they are owned themselves.
    #[must_use]
    pub fn with_named_fields(&self, of: Option<Type<'_>>) -> Self {
        self.map(|element, node| {
            let (named, below) = match element {
                Element::Field(name) => {
                    let map = of.and_then(Type::map);
                    (map.is_some_and(|map| map.field(name).is_some()), map.and_then(|map| map.member(name)))
                }
                Element::Key(_) => (false, of.and_then(Type::list).map(|list| list.items)),
                Element::Value(_) | Element::Index(_) => (false, None),
            };
            let leads = named && !node.below.is_empty();
            Some(Node { member: node.member || leads, below: node.below.with_named_fields(below) })
        })
    }

    /// What each node becomes, without those that nothing is left of.
    fn map(&self, f: impl Fn(&Element, &Node) -> Option<Node>) -> Self {
        let kept = self.nodes.iter().filter_map(|(element, node)| Some((element.clone(), f(element, node)?)));
        Self { nodes: kept.filter(|(_, node)| node.member || !node.below.is_empty()).collect() }
    }
}
