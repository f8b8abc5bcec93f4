//! History that is rewritten: telling a force-push from a push, and holding what it would delete.
//!
//! A branch that moves is followed wherever it goes (DESIGN section 7). But what a rewritten history leaves out was not
//! taken out of Git by a commit, so nothing of it is pruned before a person has let it through, or the branch is back on its
//! way. What tells the two apart is whether the new commit has the one that was synced before among its ancestors. For a
//! push of one commit the mirror knows; the server is asked only where an application has something to prune.
//!
//! What was synced before stands in `status.history`, and while a prune is held in the condition, so that a restart, a new
//! leader and an agent without its store know it, too.

use super::application::ALLOW_PRUNE;
use super::effect::{Effect, Trace};
use super::event::SourceError;
use super::ids::{AppKey, Revision};
use super::prune::{Spared, spared};
use super::repository::repo_key;
use super::revision::{Ancestry, BRANCHES};
use super::state::{App, Owner, Timer, Verdict, watch_of};
use super::step::{Engine, Step};
use super::time::Instant;

/// Type of the condition.
pub(super) const REWRITTEN: &str = "RepositoryRewrittenWarning";
/// Stands in its message before the older commit, and between the two: they are read back from there.
const FROM: &str = " went from ";
const TO: &str = " to ";

/// How the installed revision came about.
#[derive(Debug, Default)]
pub(super) struct Descent {
    /// The older commit and the newer one.
    pair: Option<(Revision, Revision)>,
    /// How they stand to each other; `None`: nobody has said it yet.
    known: Option<Ancestry>,
    /// The repository is being asked.
    asked: bool,
    /// Why it could not be asked, how often in a row, and when it is again.
    error: Option<String>,
    failures: u32,
    again: Option<Instant>,
}

impl Descent {
    /// What the rendering of `revision` told. That it does not know is not worth keeping: a server may.
    pub(super) fn told(since: Revision, revision: Revision, ancestry: Ancestry) -> Self {
        let known = Some(ancestry).filter(|ancestry| *ancestry != Ancestry::Unknown);
        Self { pair: Some((since, revision)), known, ..Self::default() }
    }

    fn is_of(&self, since: &Revision, revision: &Revision) -> bool {
        self.pair.as_ref().is_some_and(|(old, new)| (old, new) == (since, revision))
    }
}

/// Why a prune is held because of the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// The repository is being asked.
    Asking,
    /// Until a person lets it through; the condition says so.
    Person,
}

impl App {
    /// The commit at which the application was last synced without leaving a held prune behind, if a branch is followed and it
    /// is the one that was followed then: what a person points somewhere else is not rewritten.
    pub(super) fn synced_from(&self) -> Option<Revision> {
        let plan = self.plan.as_ref().ok()?;
        self.reference.as_deref().filter(|name| *name == "HEAD" || name.starts_with(BRANCHES))?;
        let last = self.history.last()?;
        let source = last.source.as_ref()?;
        if repo_key(&source.repo_url).ok()? != plan.repo || source.target() != plan.target() {
            return None;
        }
        match self.rewritten().filter(|_| self.is_held()) {
            Some((since, _)) => Some(since),
            None => Revision::parse(&last.revision),
        }
    }

    /// The two commits that the condition names.
    fn rewritten(&self) -> Option<(Revision, Revision)> {
        let (_, commits) = self.conditions.get(REWRITTEN)?.message.split_once(FROM)?;
        let (since, rest) = commits.split_once(TO)?;
        let end = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
        Some((Revision::parse(since)?, Revision::parse(rest.get(..end)?)?))
    }

    /// Whether the condition asks a person for something.
    fn is_held(&self) -> bool {
        self.conditions.get(REWRITTEN).is_some_and(|condition| condition.message.contains(ALLOW_PRUNE))
    }

    fn wants_prune(&self) -> bool {
        self.plan.as_ref().is_ok_and(|plan| plan.prune()) || self.sync.as_ref().is_some_and(|sync| sync.prune)
    }
}

impl Engine {
    /// Finds out whether the history was rewritten where that matters, and says so.
    pub(super) fn advance_descent(&mut self, app: &mut App, step: &mut Step<'_>) {
        if !self.may_sync(app) {
            return;
        }
        let (Some(installed), true) = (app.record.revision.clone(), self.settings.rewrite_guard) else { return };
        let Some(since) = app.synced_from() else { return app.condition(REWRITTEN, None, step.now.wall) };
        if since == installed {
            // That this very commit rewrote the history is told until the next one.
            let told = !app.is_held() && app.rewritten().is_some_and(|(_, new)| new == installed);
            if !told {
                app.condition(REWRITTEN, None, step.now.wall);
            }
            return;
        }
        if !app.descent.is_of(&since, &installed) {
            app.descent = Descent { pair: Some((since.clone(), installed.clone())), ..Descent::default() };
        }
        let left_out = self.left_out(app);
        let back = app.is_held() && left_out == Some(0);
        if app.descent.known == Some(Ancestry::Follows) || app.is_prune_allowed() || back {
            return app.condition(REWRITTEN, None, step.now.wall);
        }
        let error = app.descent.error.clone();
        let why = match app.descent.known {
            Some(Ancestry::Rewritten) => "which does not follow it: the history was rewritten",
            _ if left_out == Some(0) || !app.wants_prune() => return,
            Some(_) => "and whether that follows it could not be found out as far back as --git-history-depth",
            None => {
                self.ask(app, step);
                if error.is_none() {
                    return;
                }
                "and whether that follows it is not known yet"
            }
        };
        let reference = app.reference.clone().unwrap_or_default();
        let went = format!("{reference}{FROM}{since}{TO}{installed}, {why}. The new commit is applied");
        let message = match left_out {
            Some(0) => format!("{went}; it leaves out nothing that would have to be deleted"),
            count => {
                let objects = count.map(|count| format!(" ({count} objects)")).unwrap_or_default();
                format!(
                    "{went}, but what it leaves out{objects} is not deleted: annotate the Application with \
                     {ALLOW_PRUNE}={} if that is meant, or bring it back with a commit",
                    installed.short()
                )
            }
        };
        // At the end, where a long one is cut off: the rest is read back.
        let error = error.map(|error| format!(". {error}")).unwrap_or_default();
        self.tell_rewritten(app, message + &error, step);
    }

    fn tell_rewritten(&self, app: &mut App, message: String, step: &mut Step<'_>) {
        let (before, held) = (app.rewritten(), app.is_held());
        app.condition(REWRITTEN, Some(super::redact::truncate(message.clone())), step.now.wall);
        if (before, held) != (app.rewritten(), app.is_held()) {
            step.emit(app.notice(true, "RepositoryRewritten", message));
        }
    }

    fn ask(&mut self, app: &mut App, step: &mut Step<'_>) {
        let (Ok(plan), Some((since, revision))) = (&app.plan, app.descent.pair.clone()) else { return };
        if app.descent.asked {
            return;
        }
        if let Some(again) = app.descent.again.filter(|again| *again > step.now.instant) {
            return self.at(again, Timer::App(app.key().clone()));
        }
        app.descent.asked = true;
        let url = plan.source.repo_url.as_str().into();
        let trace = Trace { app: app.key().clone(), url, since, revision, reference: app.reference.clone() };
        step.emit(Effect::Trace(Box::new(trace)));
    }

    /// Answer to [`Effect::Trace`].
    pub(super) fn traced(
        &mut self,
        key: &AppKey,
        since: &Revision,
        revision: &Revision,
        result: Result<Ancestry, SourceError>,
        step: &Step<'_>,
    ) {
        let now = step.now.instant;
        let Some(app) = self.apps.get(key).filter(|app| app.descent.is_of(since, revision)) else { return };
        let failures = if result.is_err() { app.descent.failures.saturating_add(1) } else { 0 };
        let again = result.is_err().then(|| now + self.retry_delay(failures));
        let Some(app) = self.apps.get_mut(key) else { return };
        let pair = app.descent.pair.take();
        let (known, error) = match result {
            Ok(ancestry) => (Some(ancestry), None),
            Err(error) => (None, Some(error.message)),
        };
        app.descent = Descent { pair, known, asked: false, error, failures, again };
        self.dirty.insert(key.clone());
    }

    /// Whether the history of the branch forbids the application to prune.
    pub(super) fn rewrite_holds(&self, app: &App) -> Option<Hold> {
        let since = app.synced_from().filter(|_| self.settings.rewrite_guard)?;
        let installed = app.record.revision.as_ref().filter(|installed| **installed != since)?;
        if app.is_prune_allowed() || self.left_out(app) == Some(0) {
            return None;
        }
        match &app.descent {
            descent if !descent.is_of(&since, installed) => Some(Hold::Asking),
            Descent { known: Some(Ancestry::Follows), .. } => None,
            Descent { known: None, error: None, .. } => Some(Hold::Asking),
            _ => Some(Hold::Person),
        }
    }

    /// How many objects left Git and are not kept for a reason of their own; `None`: there may be more than are known.
    fn left_out(&self, app: &App) -> Option<usize> {
        if !self.inventory_complete {
            return None;
        }
        if app.tally.of(Verdict::Extra) == 0 {
            return Some(0);
        }
        let uids = self.desired_uids(app);
        let no_prune = app.plan.as_ref().is_ok_and(|plan| plan.options.no_prune);
        let objects = app.inventory.iter().filter_map(|key| Some((key, self.objects.get(key)?)));
        let extras = objects.filter(|(_, object)| object.verdict == Verdict::Extra);
        let left_out = extras.filter(|(key, object)| {
            // What lost our marks may get them back.
            let ours = object.owner() == Owner::Ours && object.record.live.as_ref().is_none_or(|live| live.ours);
            let watch = self.watches.get(&watch_of(key, &object.record.version));
            !ours || !matches!(spared(key, object, watch, &uids, no_prune), Some(Spared::Kept(_)))
        });
        Some(left_out.count())
    }
}
