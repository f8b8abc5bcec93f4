//! Bodies of manifests in memory.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::engine::hash::Hash;

/// Memory for the bodies of manifests that the store does not have (Secrets), in bytes.
const BODY_CACHE: usize = 8 << 20;

/// Bodies in memory, oldest out first.
#[derive(Default)]
pub(super) struct Bodies {
    by_hash: HashMap<Hash, Arc<[u8]>>,
    order: VecDeque<Hash>,
    bytes: usize,
}

impl Bodies {
    /// The body with this hash.
    pub(super) fn get(&self, hash: Hash) -> Option<Arc<[u8]>> {
        self.by_hash.get(&hash).cloned()
    }

    /// Keeps a body, and forgets the oldest ones that it leaves no room for.
    pub(super) fn put(&mut self, hash: Hash, body: Arc<[u8]>) {
        if body.len() > BODY_CACHE || self.by_hash.contains_key(&hash) {
            return;
        }
        self.bytes += body.len();
        self.by_hash.insert(hash, body);
        self.order.push_back(hash);
        while self.bytes > BODY_CACHE
            && let Some(oldest) = self.order.pop_front()
        {
            self.bytes -= self.by_hash.remove(&oldest).map_or(0, |body| body.len());
        }
    }
}
