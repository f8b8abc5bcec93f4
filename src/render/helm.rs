//! Calls of the `helm` program. A rendering only describes them: whoever may run programs runs one, and renders again with
//! what it printed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::engine::hash::Hash;

/// Most calls that one rendering makes.
pub const MAX_CALLS: usize = 64;

/// A call of the `helm` program.
#[derive(Clone, PartialEq, Eq)]
pub struct HelmCall {
    /// Its arguments.
    pub arguments: Vec<Argument>,
    /// The files that it reads, by their paths below a folder that is made for the call.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// An argument of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// As it is.
    Text(String),
    /// A path below the folder of the files.
    Path(String),
}

impl HelmCall {
    /// Tells calls apart: all that a call depends on.
    pub fn id(&self) -> Hash {
        let mut bytes = Vec::new();
        let mut add = |part: &[u8]| {
            bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
            bytes.extend_from_slice(part);
        };
        for argument in &self.arguments {
            match argument {
                Argument::Text(text) => add(text.as_bytes()),
                Argument::Path(path) => add(format!("\0{path}").as_bytes()),
            }
        }
        add(b"\0files");
        for (path, content) in &self.files {
            add(path.as_bytes());
            add(content);
        }
        Hash::of(&bytes)
    }
}

impl fmt::Debug for HelmCall {
    /// Without the files: values may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HelmCall").field("arguments", &self.arguments).finish_non_exhaustive()
    }
}

/// Whether a rendering may ask for calls.
#[derive(Clone, Debug, Default)]
pub enum Helm {
    /// It may not.
    #[default]
    Refused,
    /// It may. What those printed that were made so far, by their ids.
    Allowed(Arc<BTreeMap<Hash, String>>),
}
