//! Credentials of repositories, from Argo CD's Secrets (label `argocd.argoproj.io/secret-type`).

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;

use super::fault::Fault;
use super::location;
use crate::engine::event::SourceError;

/// A value that must not be shown: `Debug` masks it, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value, for the one place that uses it.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// What is used to read one repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// User of basic authentication; with a password but no user, `git` is sent, as any will do for a token.
    pub username: Option<String>,
    /// Password or token of basic authentication.
    pub password: Option<Secret>,
    /// Token of bearer authentication; wins over basic authentication.
    pub bearer_token: Option<Secret>,
    /// Private key of ssh, in any format that the ssh program reads.
    pub ssh_private_key: Option<Secret>,
    /// Certificates (PEM) that are trusted beside those of the system.
    pub ca: Option<String>,
    /// Client certificate and its key (PEM).
    pub client_certificate: Option<(String, Secret)>,
    /// Don't verify the server's certificate or host key.
    pub insecure: bool,
    /// Proxy of http and https; may hold a password.
    pub proxy: Option<Secret>,
    /// Hosts that are reached without the proxy, separated by commas.
    pub no_proxy: Option<String>,
}

impl Credentials {
    /// Value of the `Authorization` header, if there is one to send.
    pub(super) fn authorization(&self) -> Option<Secret> {
        if let Some(token) = &self.bearer_token {
            return Some(Secret::new(format!("Bearer {}", token.expose())));
        }
        if self.username.is_none() && self.password.is_none() {
            return None;
        }
        let user = self.username.as_deref().unwrap_or("git");
        let password = self.password.as_ref().map_or("", Secret::expose);
        let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        Some(Secret::new(format!("Basic {encoded}")))
    }

    /// Masks the credentials in text of a server, which may repeat what it was sent.
    pub(super) fn scrub(&self, mut text: String) -> String {
        let authorization = self.authorization();
        let header = authorization.as_ref().and_then(|value| value.expose().split_once(' ')).map(|(_, value)| value);
        let proxy = self.proxy.as_ref().map(Secret::expose);
        let secrets = [self.password.as_ref(), self.bearer_token.as_ref()].into_iter().flatten().map(Secret::expose);
        for secret in secrets.chain(header).chain(proxy).filter(|secret| !secret.is_empty()) {
            text = text.replace(secret, "<redacted>");
        }
        text
    }

    /// Argo CD's rule for when a `repository` Secret takes its credentials from a `repo-creds` Secret: when it has none.
    fn is_empty(&self) -> bool {
        self.username.is_none()
            && self.password.is_none()
            && self.bearer_token.is_none()
            && self.ssh_private_key.is_none()
            && self.client_certificate.is_none()
    }
}

/// What a Secret is for, by its label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    /// One repository: `repository`.
    Repository,
    /// Credentials for all repositories whose URL begins with this one: `repo-creds`.
    RepoCreds,
}

impl SecretKind {
    /// Reads the value of the label `argocd.argoproj.io/secret-type`. `None` for what is not read here (`cluster`,
    /// `repository-write`, …).
    pub fn from_label(value: &str) -> Option<Self> {
        match value {
            "repository" => Some(Self::Repository),
            "repo-creds" => Some(Self::RepoCreds),
            _ => None,
        }
    }
}

/// One repository Secret of Argo CD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositorySecret {
    name: String,
    kind: SecretKind,
    /// Normalised as [`normalise`] does.
    url: String,
    credentials: Credentials,
    /// Why it can't be used for Git; told only when a URL needs it.
    unusable: Option<String>,
}

impl RepositorySecret {
    /// Reads the data of the Secret `name`. Keys that are not understood are ignored, like in Argo CD; errors name the key,
    /// never its value. Beside Argo CD's keys, `ca.crt` holds certificates (PEM) to trust.
    pub fn parse(name: &str, kind: SecretKind, data: &BTreeMap<String, Vec<u8>>) -> Result<Self, SourceError> {
        let bad = |what: String| SourceError { message: format!("repository Secret {name}: {what}") };
        let text = |key: &str| -> Result<Option<String>, SourceError> {
            let Some(bytes) = data.get(key).filter(|bytes| !bytes.is_empty()) else { return Ok(None) };
            match std::str::from_utf8(bytes) {
                Ok(text) => Ok(Some(text.to_owned())),
                Err(_) => Err(bad(format!("key {key} is not UTF-8"))),
            }
        };
        let flag = |key: &str| -> Result<bool, SourceError> {
            match text(key)?.as_deref().map(str::trim) {
                None | Some("" | "0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
                Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
                Some(_) => Err(bad(format!("key {key} is neither \"true\" nor \"false\""))),
            }
        };
        let secret = |key: &str| -> Result<Option<Secret>, SourceError> { Ok(text(key)?.map(Secret)) };
        let url = text("url")?.ok_or_else(|| bad("key url is missing or empty".into()))?;
        let client_certificate = match (text("tlsClientCertData")?, secret("tlsClientCertKey")?) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err(bad("tlsClientCertData and tlsClientCertKey need each other".into())),
        };
        let credentials = Credentials {
            // A trailing line break comes from `echo` and is never meant.
            username: text("username")?.map(|user| user.trim_end_matches(['\r', '\n']).to_owned()),
            password: text("password")?.map(|value| Secret::new(value.trim_end_matches(['\r', '\n']))),
            bearer_token: text("bearerToken")?.map(|value| Secret::new(value.trim())),
            ssh_private_key: secret("sshPrivateKey")?,
            ca: text("ca.crt")?,
            client_certificate,
            // Argo CD reads these two of `repository` Secrets only.
            insecure: kind == SecretKind::Repository && (flag("insecure")? || flag("insecureIgnoreHostKey")?),
            proxy: text("proxy")?.map(|value| Secret::new(value.trim())),
            no_proxy: text("noProxy")?,
        };
        let unusable =
            unusable(kind, &text("type")?.unwrap_or_default(), |key| data.get(key).is_some_and(|v| !v.is_empty()));
        let unusable = match unusable {
            None if flag("useAzureWorkloadIdentity")? => Some("Azure workload identity"),
            unusable => unusable,
        };
        Ok(Self {
            name: name.to_owned(),
            kind,
            url: normalise(&url),
            credentials,
            unusable: unusable.map(ToOwned::to_owned),
        })
    }
}

/// Which kind of credentials a Secret holds that are not supported.
fn unusable(kind: SecretKind, repository_type: &str, has: impl Fn(&str) -> bool) -> Option<&'static str> {
    if has("githubAppPrivateKey") || has("githubAppID") {
        return Some("a GitHub App");
    }
    if has("gcpServiceAccountKey") {
        return Some("a Google Cloud service account");
    }
    // Argo CD ignores the type of `repo-creds` Secrets when it looks for those of a Git repository.
    match repository_type.trim().to_ascii_lowercase().as_str() {
        "helm" if kind == SecretKind::Repository => Some("a Helm repository"),
        "oci" if kind == SecretKind::Repository => Some("an OCI registry"),
        _ => None,
    }
}

/// All repository Secrets, and the choice among them.
#[derive(Clone, Debug, Default)]
pub struct CredentialStore {
    /// Ordered by name, so that the choice does not depend on the order of a list.
    secrets: Vec<RepositorySecret>,
}

impl CredentialStore {
    /// A store of these Secrets.
    pub fn new(secrets: impl IntoIterator<Item = RepositorySecret>) -> Self {
        let mut secrets: Vec<_> = secrets.into_iter().collect();
        secrets.sort_by(|a, b| a.name.cmp(&b.name));
        Self { secrets }
    }

    /// The credentials for `url`, as Argo CD finds them: those of the `repository` Secret with the same URL; if it has none,
    /// or there is none, those of the `repo-creds` Secret with the longest URL that is a prefix. `None`: anonymous.
    ///
    /// Stricter than Argo CD in one point: a prefix never ends within a host name, so that `https://git.example` is not
    /// sent to `https://git.example.evil.org`.
    pub fn find(&self, url: &str) -> Result<Option<Credentials>, SourceError> {
        let wanted = normalise(url);
        let of_kind = |kind: SecretKind| self.secrets.iter().filter(move |secret| secret.kind == kind);
        let repository = of_kind(SecretKind::Repository).find(|secret| secret.url == wanted);
        let template = of_kind(SecretKind::RepoCreds)
            .filter(|secret| covers(&secret.url, &wanted))
            .reduce(|best, next| if next.url.len() > best.url.len() { next } else { best });
        let chosen = match (repository, template) {
            (Some(repository), _) if !repository.credentials.is_empty() || repository.unusable.is_some() => repository,
            (Some(repository), Some(template)) => {
                usable(template, url)?;
                return Ok(Some(merge(&repository.credentials, &template.credentials)));
            }
            (Some(secret), None) | (None, Some(secret)) => secret,
            (None, None) => return Ok(None),
        };
        usable(chosen, url)?;
        Ok(Some(chosen.credentials.clone()))
    }
}

fn usable(secret: &RepositorySecret, url: &str) -> Result<(), SourceError> {
    match &secret.unusable {
        None => Ok(()),
        Some(what) => Err(Fault::Unsupported(format!(
            "Secret {} holds credentials of {what}; use username and password, bearerToken or sshPrivateKey",
            secret.name
        ))
        .of(&location::shown(url))),
    }
}

/// The settings of a `repository` Secret with the credentials of a `repo-creds` Secret.
fn merge(repository: &Credentials, template: &Credentials) -> Credentials {
    Credentials {
        ca: repository.ca.clone().or_else(|| template.ca.clone()),
        insecure: repository.insecure,
        proxy: repository.proxy.clone().or_else(|| template.proxy.clone()),
        no_proxy: repository.no_proxy.clone().or_else(|| template.no_proxy.clone()),
        ..template.clone()
    }
}

/// A URL in the form in which Argo CD compares them: lower case, no `.git`, `user@host:path` as `user@host/path`, no
/// `ssh://`.
fn normalise(url: &str) -> String {
    let url = url.trim().to_lowercase();
    let url = match url.strip_prefix("ssh://") {
        Some(rest) => rest.to_owned(),
        None if !url.contains("://") && url.contains('@') => url.replacen(':', "/", 1),
        None => url,
    };
    url.strip_suffix(".git").unwrap_or(&url).to_owned()
}

/// Whether `prefix` (normalised) covers `url` (normalised).
fn covers(prefix: &str, url: &str) -> bool {
    let Some(rest) = url.strip_prefix(prefix) else { return false };
    let authority = prefix.split_once("://").map_or(prefix, |(_, authority)| authority);
    if authority.is_empty() || authority.contains('/') || rest.is_empty() || rest.starts_with('/') {
        return true;
    }
    // The prefix ends within the authority: only a port may follow.
    let port = rest.strip_prefix(':').map(|rest| rest.split_once('/').map_or(rest, |(port, _)| port));
    port.is_some_and(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
#[path = "credentials_tests.rs"]
mod tests;
