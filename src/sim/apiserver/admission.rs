//! Admission: what webhooks of a cluster do to objects on their way in.
//!
//! As with the real server they see an object after its fields have got their owners, so that what they change is nobody's
//! (kube-apiserver's create and update handlers), and are asked about dry runs as well (`sideEffects: None`).

use serde_json::Value;

use super::status::Status;
use super::{ApiServer, Call};

/// A webhook.
#[derive(Clone, Debug, PartialEq)]
pub struct Admission {
    /// Its name, as errors tell it.
    pub name: String,
    /// Resource whose objects it sees, as `configmaps` or `deployments.apps`; writes of subresources pass it by.
    pub resource: String,
    /// Names that it sees begin so; empty: all.
    pub prefix: String,
    /// What it does.
    pub verdict: Verdict,
}

/// What a webhook does to what it sees.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It changes the object by this JSON merge patch.
    Change(Value),
    /// It refuses the write.
    Refuse(String),
}

impl ApiServer {
    /// The webhooks, in the order in which they are asked, to be changed.
    pub const fn admissions(&mut self) -> &mut Vec<Admission> {
        &mut self.admissions
    }

    /// Asks the webhooks about an object that is made or changed.
    pub(super) fn admit(&self, call: &Call<'_>, name: &str, object: &mut Value) -> Result<(), Status> {
        if self.admissions.is_empty() || call.address.subresource.is_some() {
            return Ok(());
        }
        let resource = call.resource.qualified();
        let concerned = |admission: &&Admission| admission.resource == resource && name.starts_with(&admission.prefix);
        for admission in self.admissions.iter().filter(concerned) {
            match &admission.verdict {
                Verdict::Change(change) => json_patch::merge(object, change),
                Verdict::Refuse(message) => {
                    let why = format!("admission webhook {:?} denied the request: {message}", admission.name);
                    return Err(Status::refused(why));
                }
            }
        }
        Ok(())
    }
}
