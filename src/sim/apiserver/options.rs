//! The options of a write.

use http::header::USER_AGENT;

use super::request::FieldValidation;
use super::status::{FieldError, Status};
use super::{Call, Request};

/// Longest name of a field manager.
const MAX_MANAGER: usize = 128;
/// How a write is to be done.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) dry_run: bool,
    pub(super) validation: FieldValidation,
    /// Who writes.
    pub(super) manager: String,
    /// Whether the object is replaced as a whole: then another uid is a conflict, and otherwise an error.
    pub(super) is_put: bool,
}

impl Options {
    /// The options of a write by one of the server's own parts.
    pub(super) fn internal(manager: &str) -> Self {
        Self { dry_run: false, validation: FieldValidation::Ignore, manager: manager.to_owned(), is_put: false }
    }

    /// The options of a request; `kind` names them in errors.
    pub(super) fn of(call: &Call<'_>, request: &Request, kind: &str) -> Result<Self, Status> {
        let manager = match call.query.get("fieldManager") {
            Some(manager) if manager.len() > MAX_MANAGER => {
                let error = FieldError::too_long("fieldManager", MAX_MANAGER);
                return Err(Status::invalid_options(kind, &[error]));
            }
            Some(manager) => match manager.char_indices().find(|(_, c)| c.is_control()) {
                Some((at, c)) => {
                    let detail = format!("invalid character U+{:04X} (at position {at})", u32::from(c));
                    let told = manager.replace(c, &format!("\\x{:02x}", u32::from(c)));
                    let message = format!("Invalid value: \"{told}\": {detail}");
                    let error = FieldError::told("FieldValueInvalid", "fieldManager", message);
                    return Err(Status::invalid_options(kind, &[error]));
                }
                None => manager.to_owned(),
            },
            None => {
                let agent = request.headers().get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
                agent.split('/').next().unwrap_or_default().chars().take(MAX_MANAGER).collect()
            }
        };
        let (dry_run, validation) = (call.query.dry_run(kind)?, call.query.field_validation(kind)?);
        Ok(Self { dry_run, validation, manager, is_put: kind == "UpdateOptions" })
    }
}
