//! Requests, taken apart: what a path names, what the query asks for.

use http::Method;

use super::status::{FieldError, Status};

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target<'r> {
    /// A resource, or something of it.
    Resource(Address<'r>),
    /// Anything else, as `/version`.
    Other(&'r str),
}

/// The parts of a resource's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address<'r> {
    /// Group; empty: the core group.
    pub group: &'r str,
    /// Version.
    pub version: &'r str,
    /// Plural name.
    pub plural: &'r str,
    /// Namespace, if the path has one.
    pub namespace: Option<&'r str>,
    /// Name of an object, if the path has one.
    pub name: Option<&'r str>,
    /// Subresource, if the path has one.
    pub subresource: Option<&'r str>,
}

impl<'r> Target<'r> {
    /// Reads a path.
    pub fn parse(path: &'r str) -> Self {
        Self::resource(path).map_or(Self::Other(path), Self::Resource)
    }

    fn resource(path: &'r str) -> Option<Address<'r>> {
        let mut parts = path.strip_prefix('/')?.split('/');
        let (group, version) = match parts.next()? {
            "api" => ("", parts.next()?),
            "apis" => (parts.next()?, parts.next()?),
            _ => return None,
        };
        let mut rest: Vec<&str> = parts.collect();
        if is_old_watch(&rest) {
            rest.remove(0);
        }
        let (namespace, rest) = match rest.as_slice() {
            // The namespace itself, or a part of it.
            ["namespaces", _] | ["namespaces", _, "status" | "finalize"] => (None, rest.as_slice()),
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(*namespace), rest),
            rest => (None, rest),
        };
        let (plural, name, subresource) = match rest {
            [plural] => (*plural, None, None),
            [plural, name] => (*plural, Some(*name), None),
            [plural, name, subresource] => (*plural, Some(*name), Some(*subresource)),
            _ => return None,
        };
        let named = [Some(plural), namespace, name, subresource];
        let whole = named.into_iter().flatten().all(|part| !part.is_empty());
        whole.then_some(Address { group, version, plural, namespace, name, subresource })
    }
}

/// Watches once had paths of their own: `watch` in front of the resource.
fn is_old_watch(parts: &[&str]) -> bool {
    matches!(parts, ["watch", _, ..])
}

/// What the query asks for. Members that the server does not know are ignored, as it does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

/// How far a write goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldValidation {
    /// Unknown and repeated fields are dropped.
    Ignore,
    /// They are dropped, and told in headers.
    Warn,
    /// They are refused.
    Strict,
}

impl Query {
    /// Reads a query.
    pub fn parse(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// Reads the query of a path, which may itself ask for a watch.
    pub fn of(path: &str, query: &str) -> Self {
        let mut read = Self::parse(query);
        let skipped = if path.starts_with("/api/") { 3 } else { 4 };
        let parts: Vec<&str> = path.split('/').skip(skipped).collect();
        if is_old_watch(&parts) {
            read.0.push(("watch".to_owned(), "true".to_owned()));
        }
        read
    }

    /// A member; empty ones count as absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(known, _)| known == name)?;
        (!value.is_empty()).then_some(value)
    }

    /// A yes or no. Anything but a no is a yes, as the server reads it.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| !matches!(value, "0" | "false" | "False" | "FALSE" | "f" | "F"))
    }

    /// A number.
    pub fn number(&self, name: &str) -> Result<Option<i64>, Status> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(Status::bad_request(format!("strconv.ParseInt: parsing {value:?}: invalid syntax"))),
        }
    }

    /// Whether nothing shall be kept. `options` names the kind of options, for the error.
    pub fn dry_run(&self, options: &str) -> Result<bool, Status> {
        match self.get("dryRun") {
            None => Ok(false),
            Some("All") => Ok(true),
            Some(other) => {
                let error = FieldError::not_supported("dryRun", &serde_json::json!([other]), &["All"]);
                Err(Status::invalid_options(options, &[error]))
            }
        }
    }

    /// What becomes of unknown and repeated fields.
    pub fn field_validation(&self, options: &str) -> Result<FieldValidation, Status> {
        match self.get("fieldValidation") {
            None | Some("Warn") => Ok(FieldValidation::Warn),
            Some("Ignore") => Ok(FieldValidation::Ignore),
            Some("Strict") => Ok(FieldValidation::Strict),
            Some(other) => {
                let known = ["", "Ignore", "Strict", "Warn"];
                let error = FieldError::not_supported("fieldValidation", &other.into(), &known);
                Err(Status::invalid_options(options, &[error]))
            }
        }
    }
}

/// The verb of a request, by its method and by what it names.
pub fn verb(method: &Method, address: &Address<'_>, query: &Query) -> &'static str {
    let whole = address.name.is_none();
    match (method.as_str(), whole) {
        ("GET" | "HEAD", _) if query.flag("watch") => "watch",
        ("GET" | "HEAD", true) => "list",
        ("GET" | "HEAD", false) => "get",
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        ("DELETE", true) => "deletecollection",
        ("DELETE", false) => "delete",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Path; group, version, plural, namespace, name, subresource, `-` where there is none.
    const PATHS: &[(&str, &str)] = &[
        ("/api/v1/configmaps", " v1 configmaps - - -"),
        ("/api/v1/namespaces", " v1 namespaces - - -"),
        ("/api/v1/namespaces/shop", " v1 namespaces - shop -"),
        ("/api/v1/namespaces/shop/finalize", " v1 namespaces - shop finalize"),
        ("/api/v1/namespaces/shop/configmaps", " v1 configmaps shop - -"),
        ("/apis/apps/v1/namespaces/shop/deployments/web/scale", "apps v1 deployments shop web scale"),
        ("/apis/apps/v1", "no resource"),
        ("/apis/apps/v1/namespaces//deployments", "no resource"),
        ("/api/v1/namespaces/a/configmaps/b/c/d", "no resource"),
        ("/version", "no resource"),
    ];

    #[test]
    fn paths_are_taken_apart() {
        for (path, expected) in PATHS {
            let told = match Target::parse(path) {
                Target::Resource(Address { group, version, plural, namespace, name, subresource }) => {
                    let [a, b, c] = [namespace, name, subresource].map(|part| part.unwrap_or("-"));
                    format!("{group} {version} {plural} {a} {b} {c}")
                }
                Target::Other(_) => "no resource".to_owned(),
            };
            assert_eq!(told, *expected, "{path}");
        }
    }

    #[test]
    fn queries_are_read() {
        let query = Query::parse("limit=7&labelSelector=a%3Db%2Cc&watch=0&dryRun=Some&empty=");
        assert_eq!(query.number("limit"), Ok(Some(7)));
        assert_eq!(query.get("labelSelector"), Some("a=b,c"));
        assert!(!query.flag("watch") && query.get("empty").is_none());
        assert_eq!(query.dry_run("CreateOptions").unwrap_err().code, 422);
    }
}
