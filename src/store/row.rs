//! The stored form of an object's record.
//!
//! An object that is in sync repeats itself: its stamp is what is desired, its footprint is what is expected. The row
//! writes such a hash once, and a uid as the 16 bytes that it nearly always is.

use std::fmt;
use std::sync::Arc;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::engine::desired::Stage;
use crate::engine::hash::Hash;
use crate::engine::health::HealthCode;
use crate::engine::ids::AppKey;
use crate::engine::record::{Expected, LiveRecord, ObjectRecord};
use crate::engine::wave::Wave;

/// An [`ObjectRecord`], field by field.
#[derive(Serialize, Deserialize)]
pub(super) struct Row {
    #[serde(rename = "a")]
    app: (Arc<str>, Arc<str>),
    #[serde(rename = "v")]
    version: Arc<str>,
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    desired: Option<Hash>,
    #[serde(rename = "s", default)]
    stage: Stage,
    #[serde(rename = "w", default, skip_serializing_if = "Wave::is_default")]
    wave: Wave,
    #[serde(rename = "n", default, skip_serializing_if = "std::ops::Not::not")]
    no_prune: bool,
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    expected: Option<ExpectedRow>,
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    live: Option<LiveRow>,
}

/// Footprint, and the desired hash unless it is the record's.
#[derive(Serialize, Deserialize)]
struct ExpectedRow(Hash, Said);

#[derive(Serialize, Deserialize)]
struct LiveRow {
    #[serde(rename = "u")]
    uid: Uid,
    #[serde(rename = "r")]
    resource_version: u64,
    /// Relative to the expected footprint.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    footprint: Option<Said>,
    /// Relative to the desired hash.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    stamp: Option<Said>,
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    health: Option<HealthCode>,
    #[serde(rename = "o", default, skip_serializing_if = "std::ops::Not::not")]
    ours: bool,
    #[serde(rename = "p", default, skip_serializing_if = "is_zero")]
    protection: u8,
}

fn is_zero(value: &u8) -> bool {
    *value == 0
}

impl From<&ObjectRecord> for Row {
    fn from(record: &ObjectRecord) -> Self {
        // Taken apart in full, so that a new field can't be forgotten here.
        let ObjectRecord { app, version, desired, stage, wave, no_prune, expected, live } = record;
        let footprint = expected.map(|expected| expected.footprint);
        Self {
            app: (app.namespace.clone(), app.name.clone()),
            version: version.clone(),
            desired: *desired,
            stage: *stage,
            wave: *wave,
            no_prune: *no_prune,
            expected: expected
                .map(|Expected { desired: of, footprint }| ExpectedRow(footprint, Said::new(of, *desired))),
            live: live.as_ref().map(|live| LiveRow::new(live, *desired, footprint)),
        }
    }
}

impl LiveRow {
    fn new(live: &LiveRecord, desired: Option<Hash>, expected: Option<Hash>) -> Self {
        let LiveRecord { uid, resource_version, footprint, stamp, health, ours, protection } = live;
        Self {
            uid: Uid::new(uid),
            resource_version: *resource_version,
            footprint: footprint.map(|footprint| Said::new(footprint, expected)),
            stamp: stamp.map(|stamp| Said::new(stamp, desired)),
            health: *health,
            ours: *ours,
            protection: *protection,
        }
    }

    fn read(self, desired: Option<Hash>, expected: Option<Hash>) -> Option<LiveRecord> {
        let footprint = match self.footprint {
            Some(said) => Some(said.hash(expected)?),
            None => None,
        };
        let stamp = match self.stamp {
            Some(said) => Some(said.hash(desired)?),
            None => None,
        };
        Some(LiveRecord {
            uid: self.uid.text(),
            resource_version: self.resource_version,
            footprint,
            stamp,
            health: self.health,
            ours: self.ours,
            protection: self.protection,
        })
    }
}

impl Row {
    /// The record; `None` if the row refers to a hash that is not in it.
    pub(super) fn record(self) -> Option<ObjectRecord> {
        let desired = self.desired;
        let expected = match self.expected {
            Some(ExpectedRow(footprint, of)) => Some(Expected { desired: of.hash(desired)?, footprint }),
            None => None,
        };
        let live = match self.live {
            Some(live) => Some(live.read(desired, expected.map(|expected| expected.footprint))?),
            None => None,
        };
        Some(ObjectRecord {
            app: AppKey { namespace: self.app.0, name: self.app.1 },
            version: self.version,
            desired,
            stage: self.stage,
            wave: self.wave,
            no_prune: self.no_prune,
            expected,
            live,
        })
    }
}

/// A hash that stands elsewhere in the record already, or not. Written as `true` or as the hash's bytes.
enum Said {
    Before,
    Now(Hash),
}

impl Said {
    fn new(hash: Hash, before: Option<Hash>) -> Self {
        if before == Some(hash) { Self::Before } else { Self::Now(hash) }
    }

    const fn hash(self, before: Option<Hash>) -> Option<Hash> {
        match self {
            Self::Before => before,
            Self::Now(hash) => Some(hash),
        }
    }
}

impl Serialize for Said {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Before => serializer.serialize_bool(true),
            Self::Now(hash) => hash.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Said {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl Visitor<'_> for Form {
            type Value = Said;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true or the 16 bytes of a hash")
            }
            fn visit_bool<E: Error>(self, _: bool) -> Result<Said, E> {
                Ok(Said::Before)
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Said, E> {
                let bytes = bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))?;
                Ok(Said::Now(Hash::from_bytes(bytes)))
            }
        }
        deserializer.deserialize_any(Form)
    }
}

/// A `metadata.uid`: the bytes of a UUID in its usual spelling, or any other text.
enum Uid {
    Uuid(u128),
    Other(Arc<str>),
}

/// Where the hyphens of a UUID stand.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

impl Uid {
    fn new(text: &Arc<str>) -> Self {
        let digits = text.replace('-', "");
        match u128::from_str_radix(&digits, 16).map(Self::Uuid) {
            // Only if it is the very text that will be read back.
            Ok(uuid) if *uuid.text() == **text => uuid,
            _ => Self::Other(text.clone()),
        }
    }

    fn text(&self) -> Arc<str> {
        match self {
            Self::Uuid(bits) => {
                let mut text = format!("{bits:032x}");
                HYPHENS.into_iter().for_each(|at| text.insert(at, '-'));
                text.into()
            }
            Self::Other(text) => text.clone(),
        }
    }
}

impl Serialize for Uid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Uuid(bits) => serializer.serialize_bytes(&bits.to_be_bytes()),
            Self::Other(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for Uid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl Visitor<'_> for Form {
            type Value = Uid;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text or the 16 bytes of a UUID")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Uid, E> {
                Ok(Uid::Other(text.into()))
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Uid, E> {
                let bytes = bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))?;
                Ok(Uid::Uuid(u128::from_be_bytes(bytes)))
            }
        }
        deserializer.deserialize_any(Form)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_are_read_as_they_were_written() {
        let cases = [
            ("6f1f2b6e-0f4f-4f7c-9b53-00000000002a", 17),
            ("00000000-0000-0000-0000-000000000000", 17),
            // The same UUID in another spelling is another text.
            ("6F1F2B6E-0F4F-4F7C-9B53-00000000002A", 38),
            ("6f1f2b6e0f4f4f7c9b5300000000002a", 34),
            ("+f1f2b6e-0f4f-4f7c-9b53-00000000002a", 38),
            ("", 1),
            ("x", 2),
        ];
        for (text, length) in cases {
            let text: Arc<str> = text.into();
            let mut bytes = Vec::new();
            ciborium::into_writer(&Uid::new(&text), &mut bytes).unwrap();
            assert_eq!(bytes.len(), length, "{text}");
            assert_eq!(ciborium::from_reader::<Uid, _>(&bytes[..]).unwrap().text(), text);
        }
    }

    #[test]
    fn a_row_that_refers_to_nothing_is_no_record() {
        let row = |desired, expected, live| Row {
            app: ("argocd".into(), "shop".into()),
            version: "v1".into(),
            desired,
            stage: Stage::Base,
            wave: Wave::default(),
            no_prune: false,
            expected,
            live,
        };
        let hash = Hash::of(b"x");
        assert!(row(Some(hash), Some(ExpectedRow(hash, Said::Before)), None).record().is_some());
        assert!(row(None, Some(ExpectedRow(hash, Said::Before)), None).record().is_none());
        let live = LiveRow {
            uid: Uid::Uuid(1),
            resource_version: 1,
            footprint: Some(Said::Before),
            stamp: None,
            health: None,
            ours: true,
            protection: 0,
        };
        assert!(row(Some(hash), None, Some(live)).record().is_none());
    }
}
