//! A repository whose commits say what each application desires.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use driftless::engine::desired::{DesiredObject, DesiredSet, RenderInputs};
use driftless::engine::effect::Render;
use driftless::engine::event::{RenderFailure, RenderFailureReason, Rendered};
use driftless::engine::hash::Hash;
use driftless::engine::ids::{AppKey, ObjectKey, Revision, TrackingId};
use driftless::engine::manifest::stage;
use driftless::engine::revision::{Ancestry, Refs};
use driftless::engine::tracking::instance_name;
use driftless::engine::wave::Wave;

use super::cluster::{Body, Cluster};

/// What a manifest says beside its key.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Content {
    pub(crate) text: String,
    pub(crate) version: Option<String>,
    pub(crate) no_prune: bool,
    pub(crate) wave: i32,
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}

/// The folder of one application.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Folder {
    /// Its manifests.
    Manifests(BTreeMap<ObjectKey, Content>),
    /// A file of it does not parse, or it is not there.
    Broken,
}

/// One commit: folder by path.
pub(crate) type Commit = BTreeMap<String, Folder>;

/// The repository.
#[derive(Debug)]
pub(crate) struct Git {
    pub(crate) commits: BTreeMap<Revision, Commit>,
    /// What the branch named when a commit was made, and what else was merged.
    pub(crate) parents: BTreeMap<Revision, Vec<Revision>>,
    /// How many commits before another one are at hand.
    pub(crate) at_hand: usize,
    /// How far the history is followed.
    pub(crate) depth: usize,
    pub(crate) main: Option<Revision>,
    /// Tags by their full names.
    pub(crate) tags: BTreeMap<Arc<str>, Revision>,
    pub(crate) down: bool,
    /// Manifests by their hashes.
    pub(crate) bodies: BTreeMap<Hash, Body>,
    next: u64,
}

impl Default for Git {
    fn default() -> Self {
        Self {
            commits: BTreeMap::new(),
            parents: BTreeMap::new(),
            at_hand: 1,
            depth: 1000,
            main: None,
            tags: BTreeMap::new(),
            down: false,
            bodies: BTreeMap::new(),
            next: 0,
        }
    }
}

impl Git {
    /// Commits, and has the branch point to it.
    pub(crate) fn commit(&mut self, commit: Commit) -> Revision {
        self.next += 1;
        let revision = Revision::parse(&format!("{:07x}{:033x}", 0x00ab_c000 + self.next, self.next)).unwrap();
        self.commits.insert(revision.clone(), commit);
        if let Some(parent) = self.main.replace(revision.clone()) {
            self.parents.insert(revision.clone(), vec![parent]);
        }
        revision
    }

    /// How a commit stands to an older one, as far as `depth` commits tell.
    pub(crate) fn ancestry(&self, old: &Revision, new: &Revision, depth: usize) -> Ancestry {
        let mut before = self.ancestors(old, depth, &BTreeSet::new());
        before.remove(old);
        let after = self.ancestors(new, depth, &before);
        let cut = |commit: &Revision| {
            let mut parents = self.parents.get(commit).into_iter().flatten();
            !before.contains(commit) && parents.any(|parent| !after.contains(parent))
        };
        match () {
            () if after.contains(old) => Ancestry::Follows,
            () if after.iter().any(cut) => Ancestry::Unknown,
            () => Ancestry::Rewritten,
        }
    }

    /// A commit and those before it, at most `depth` back, and not beyond any of `met`.
    fn ancestors(&self, from: &Revision, depth: usize, met: &BTreeSet<Revision>) -> BTreeSet<Revision> {
        let (mut found, mut next) = (BTreeSet::from([from.clone()]), vec![from.clone()]);
        for _ in 0..depth {
            next.retain(|commit| !met.contains(commit));
            next = next.iter().filter_map(|commit| self.parents.get(commit)).flatten().cloned().collect();
            found.extend(next.iter().cloned());
        }
        found
    }

    pub(crate) fn refs(&self) -> Refs {
        let main = self.main.iter().map(|revision| (Arc::from("refs/heads/main"), revision.clone()));
        Refs { head: self.main.clone(), refs: main.chain(self.tags.clone()).collect() }
    }

    /// What a commit desires of an application; `None`: its folder can't be rendered.
    pub(crate) fn desired(&mut self, revision: &Revision, app: &AppKey, path: &str) -> Option<DesiredSet> {
        let Folder::Manifests(manifests) = self.commits.get(revision)?.get(path)? else { return None };
        let manifests = manifests.clone();
        let instance = instance_name(app, "argocd");
        let mut set = DesiredSet::default();
        for (key, content) in manifests {
            let version = content.version.clone().unwrap_or_else(|| "v1".into());
            let tracking = TrackingId { instance: instance.as_str().into(), object: key.clone() };
            let hash = Hash::of(format!("{tracking} {version} {content:?}").as_bytes());
            self.bodies
                .insert(hash, Body { key: key.clone(), tracking, no_prune: content.no_prune, wave: content.wave });
            let stage = stage(&key.group, &key.kind);
            set.objects.push(DesiredObject {
                key,
                version: version.as_str().into(),
                hash,
                stage,
                wave: Wave { number: content.wave, ..Wave::default() },
                no_prune: content.no_prune,
            });
        }
        Some(set)
    }

    /// What a commit wants in a folder; nothing if that can't be rendered.
    pub(crate) fn keys(&self, revision: &Revision, path: &str) -> BTreeSet<ObjectKey> {
        match self.commits.get(revision).and_then(|commit| commit.get(path)) {
            Some(Folder::Manifests(manifests)) => manifests.keys().cloned().collect(),
            _ => BTreeSet::new(),
        }
    }

    /// Answers a render request.
    pub(crate) fn render(&mut self, job: &Render, cluster: &Cluster) -> Result<Rendered, RenderFailure> {
        let failure = |reason, message: &str| Err(RenderFailure { reason, message: message.into() });
        if self.down || !self.commits.contains_key(&job.revision) {
            return failure(RenderFailureReason::Source, "the repository can't be reached");
        }
        let path = job.source.path.clone().unwrap_or_default();
        let Some(set) = self.desired(&job.revision, &job.app, &path) else {
            return failure(RenderFailureReason::Content, "it does not parse");
        };
        let defined = set.objects.iter().any(|object| &*object.key.kind == "CustomResourceDefinition");
        if set.objects.iter().any(|object| !cluster.serves(&object.key) && !defined) {
            return failure(RenderFailureReason::UnknownKind, "the API server does not serve Widget");
        }
        let options = Some(Hash::of(format!("{:?}", set.objects).as_bytes()));
        let inputs = Arc::new(RenderInputs { options, renderer: Some("Directory".into()), ..RenderInputs::default() });
        let known = job.previous.as_ref().is_some_and(|previous| previous.options == options);
        let desired = (!known).then(|| Arc::new(set));
        let told = |since: &Revision| (since.clone(), self.ancestry(since, &job.revision, self.at_hand));
        Ok(Rendered { revision: job.revision.clone(), desired, inputs, since: job.since.as_ref().map(told) })
    }
}
