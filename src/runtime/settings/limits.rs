//! The settings as the parts of the agent want them.

use super::Settings;
use crate::engine::contest::ContestLimits;
use crate::git::{GitLimits, SshSettings};
use crate::render::{RenderLimits, RenderOptions};

impl Settings {
    /// Limits of everything that is done with repositories.
    pub fn git_limits(&self) -> GitLimits {
        let git = &self.git;
        GitLimits {
            timeout: git.git_timeout,
            max_transfer: git.git_max_transfer.0,
            max_file: git.git_max_file_size.0,
            max_entries: size(git.git_max_entries.into()),
            max_depth: size(git.git_max_depth.into()),
            max_packs: size(git.git_max_packs.into()),
            max_mirrors: size(git.git_max_mirrors.into()),
            history_depth: git.git_history_depth,
            local_repositories: self.allow_local_repositories(),
        }
    }

    /// How the ssh program is called.
    pub fn ssh(&self) -> SshSettings {
        SshSettings { known_hosts: self.git.known_hosts.clone(), ..SshSettings::default() }
    }

    /// How renderings are done.
    pub fn render_options(&self) -> RenderOptions {
        let remote_bases = self.render.kustomize_remote_bases.clone().unwrap_or_default();
        let load_restriction = self.render.kustomize_load_restrictor.into();
        RenderOptions { limits: self.render_limits(), load_restriction, remote_bases, ..RenderOptions::default() }
    }

    /// Bounds of one rendering.
    pub fn render_limits(&self) -> RenderLimits {
        let render = &self.render;
        RenderLimits {
            max_file_size: render.render_max_file_size.0,
            max_files: size(render.render_max_files.into()),
            max_total_size: render.render_max_total_size.0,
            max_folder_depth: size(render.render_max_folder_depth.into()),
            max_objects: size(render.render_max_objects.into()),
            max_object_size: size(render.render_max_object_size.0),
        }
    }

    /// How often one object may be healed.
    pub fn contest_limits(&self) -> ContestLimits {
        let sync = &self.sync;
        ContestLimits {
            burst: sync.contest_heals,
            window: sync.contest_window,
            interval: sync.contest_min_pause,
            max_interval: sync.contest_max_pause,
            calm: sync.contest_calm,
        }
    }
}

/// A number of things or bytes in memory.
fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
