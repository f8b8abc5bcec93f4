//! How values are written: CBOR. The only place that knows, so that it can be replaced together with a migration.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::StoreError;

/// The bytes of `value`; `table` is named if it has no form in CBOR.
pub(super) fn encode<T: Serialize>(table: &'static str, value: &T) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::with_capacity(256);
    match ciborium::into_writer(value, &mut bytes) {
        Ok(()) => Ok(bytes),
        Err(error) => Err(StoreError::Unencodable { table, reason: error.to_string() }),
    }
}

/// Reads what [`encode`] wrote. The reason of a failure names no value, so that nothing stored can get into a log.
pub(super) fn decode<T: DeserializeOwned>(table: &'static str, mut bytes: &[u8]) -> Result<T, StoreError> {
    let damaged = |reason: &str| StoreError::Damaged(format!("table {table}: {reason}"));
    match ciborium::from_reader(&mut bytes) {
        Ok(value) if bytes.is_empty() => Ok(value),
        Ok(_) => Err(damaged("a value has bytes behind its end")),
        Err(ciborium::de::Error::Io(_)) => Err(damaged("a value ends too early")),
        Err(_) => Err(damaged("a value is not what this version writes")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_were_not_written_here_are_damage() {
        let written = encode("meta", &(1u32, "one")).unwrap();
        assert_eq!(decode::<(u32, String)>("meta", &written).unwrap(), (1, "one".to_owned()));
        let longer = [&written[..], b"\0"].concat();
        let cases: [&[u8]; 4] = [&written[..3], &longer, b"", b"\xff\xff\xff"];
        for bytes in cases {
            let error = decode::<(u32, String)>("meta", bytes).unwrap_err();
            assert!(matches!(error, StoreError::Damaged(_)), "{bytes:?}: {error}");
        }
    }
}
