//! Table `manifests`: hash → canonical manifest, by its content. Never a Secret's.

use std::collections::BTreeSet;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use serde::Deserialize;

use crate::engine::hash::Hash;

use super::error::StoreError;
use super::objects;

pub(super) const TABLE: TableDefinition<'static, &[u8; 16], &[u8]> = TableDefinition::new("manifests");

/// Bodies that one call of [`super::Store::collect_manifests`] removes at most.
pub const MAX_COLLECTED: usize = 1_000;

/// What [`super::Store::collect_manifests`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Bodies removed.
    pub removed: usize,
    /// There are more to remove: call again.
    pub more: bool,
}

/// Checks that `body` may be stored under `hash`: an object, no Secret, and its own hash.
pub(super) fn check(hash: Hash, body: &[u8]) -> Result<(), StoreError> {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(rename = "apiVersion", borrow)]
        api_version: std::borrow::Cow<'a, str>,
        #[serde(borrow)]
        kind: std::borrow::Cow<'a, str>,
    }
    let Ok(head) = serde_json::from_slice::<Head<'_>>(body) else {
        return Err(StoreError::NotAManifest(hash));
    };
    if head.kind == "Secret" && !head.api_version.contains('/') {
        return Err(StoreError::SecretManifest(hash));
    }
    if Hash::of(body) != hash {
        return Err(StoreError::WrongHash(hash));
    }
    Ok(())
}

/// Which of `bodies` are not in the table yet.
pub(super) fn missing<'a>(
    db: &Database,
    bodies: impl Iterator<Item = (Hash, &'a [u8])>,
) -> Result<Vec<(Hash, &'a [u8])>, StoreError> {
    let txn = db.begin_read()?;
    let table = txn.open_table(TABLE)?;
    let mut missing = Vec::new();
    for (hash, body) in bodies {
        if table.get(hash.as_bytes())?.is_none() {
            check(hash, body)?;
            missing.push((hash, body));
        }
    }
    Ok(missing)
}

pub(super) fn write(txn: &WriteTransaction, bodies: &[(Hash, &[u8])]) -> Result<(), StoreError> {
    let mut table = txn.open_table(TABLE)?;
    for (hash, body) in bodies {
        table.insert(hash.as_bytes(), body)?;
    }
    Ok(())
}

pub(super) fn read(db: &Database, hash: Hash) -> Result<Option<Vec<u8>>, StoreError> {
    let txn = db.begin_read()?;
    let table = txn.open_table(TABLE)?;
    let Some(body) = table.get(hash.as_bytes())? else { return Ok(None) };
    let body = body.value().to_vec();
    // The file is verified when it is opened, not at every read: what is applied to a cluster is.
    if Hash::of(&body) != hash {
        return Err(StoreError::Damaged(format!("manifest {hash} has another content than its hash says")));
    }
    Ok(Some(body))
}

/// Removes bodies that neither `keep` nor any object record (as desired or as last applied) names.
pub(super) fn collect(txn: &WriteTransaction, keep: &BTreeSet<Hash>) -> Result<Collected, StoreError> {
    let mut live = keep.clone();
    objects::scan_for_write(txn, |record| {
        live.extend(record.desired);
        live.extend(record.expected.map(|expected| expected.desired));
    })?;
    let mut table = txn.open_table(TABLE)?;
    let mut dead = Vec::new();
    for entry in table.iter()? {
        let (hash, _) = entry?;
        if !live.contains(&Hash::from_bytes(*hash.value())) {
            dead.push(*hash.value());
            if dead.len() > MAX_COLLECTED {
                break;
            }
        }
    }
    let more = dead.len() > MAX_COLLECTED;
    dead.truncate(MAX_COLLECTED);
    for hash in &dead {
        table.remove(hash)?;
    }
    Ok(Collected { removed: dead.len(), more })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bodies_under_their_own_hash_and_no_secrets_pass() {
        let verdict = |body: &str| check(Hash::of(body.as_bytes()), body.as_bytes());
        verdict(r#"{"apiVersion":"v1","data":{},"kind":"ConfigMap"}"#).unwrap();
        // Another group's kind of that name is no Secret.
        verdict(r#"{"apiVersion":"example.com/v1","kind":"Secret"}"#).unwrap();
        let secrets = [
            r#"{"apiVersion":"v1","data":{"a":"eA=="},"kind":"Secret"}"#,
            r#"{"apiVersion":"v1","kind":"\u0053ecret"}"#,
            r#"{"apiVersion":"v2","kind":"Secret"}"#,
        ];
        for body in secrets {
            let error = verdict(body).unwrap_err();
            assert!(matches!(error, StoreError::SecretManifest(_)), "{body}: {error}");
        }
        for body in ["", "[]", "{}", r#"{"kind":"ConfigMap","kind":"Secret","apiVersion":"v1"}"#, r#"{"kind":1}"#] {
            let error = verdict(body).unwrap_err();
            assert!(matches!(error, StoreError::NotAManifest(_)), "{body}: {error}");
        }
        let error = check(Hash::of(b"x"), br#"{"apiVersion":"v1","kind":"ConfigMap"}"#).unwrap_err();
        assert!(matches!(error, StoreError::WrongHash(_)), "{error}");
    }
}
