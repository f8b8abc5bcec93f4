//! Repository URLs: which are understood, what names the mirror, and what may be shown.

use std::path::PathBuf;
use std::sync::Arc;

use reqwest::Url;

use super::credentials::Secret;
use super::fault::Fault;
use crate::engine::ids::RepoKey;

/// Longest URL that is accepted, in bytes.
const MAX_URL: usize = 2048;

/// Where a repository is.
#[derive(Clone, Debug)]
pub(super) enum Location {
    /// Smart HTTP. The URL has no user information; what it had is beside it.
    Http { url: Url, user: Option<Secret>, password: Option<Secret> },
    /// The `ssh` program.
    Ssh { user: String, host: String, port: Option<u16>, path: String },
    /// A folder of this machine.
    Local(PathBuf),
}

impl Location {
    /// Reads a URL as Applications write it: `https://`, `http://`, `ssh://`, `user@host:path`, `file:///path` or an absolute
    /// path. No error repeats user information of the URL.
    pub(super) fn parse(url: &str) -> Result<Self, Fault> {
        let url = url.trim();
        if url.is_empty() || url.len() > MAX_URL || url.chars().any(char::is_control) {
            return Err(Fault::Url(format!("it is empty, longer than {MAX_URL} bytes, or has control characters")));
        }
        if url.starts_with('/') {
            return Ok(Self::Local(PathBuf::from(url)));
        }
        if let Some((scheme, _)) = url.split_once("://") {
            return Self::parse_url(&scheme.to_ascii_lowercase(), url);
        }
        match url.split_once(':') {
            // `helper::address` would name a program in Git.
            Some((authority, path)) if !authority.contains('/') && !path.starts_with(':') => {
                let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
                let user = user.split_once(':').map_or(user, |(user, _)| user);
                ssh(user, host, None, path)
            }
            _ => Err(Fault::Url(
                "it is neither a URL (https, http, ssh, file, user@host:path) nor an absolute path; write https://host/path".into(),
            )),
        }
    }

    fn parse_url(scheme: &str, url: &str) -> Result<Self, Fault> {
        if !matches!(scheme, "http" | "https" | "ssh" | "file") {
            let hint = if scheme == "oci" { " (OCI registries are not Git repositories)" } else { "" };
            return Err(Fault::Url(format!("scheme {scheme:?} is not one of https, http, ssh and file{hint}")));
        }
        // The parser would read these as something else than what credentials are chosen by.
        let after = url.get(scheme.len() + "://".len()..).unwrap_or_default();
        let lower = after.to_ascii_lowercase();
        if scheme != "file"
            && (after.starts_with(['/', '\\'])
                || after.contains("/..")
                || lower.contains("%2e")
                || after.contains('\\'))
        {
            return Err(Fault::Url(format!("it has no host, a backslash, or a .. part; write {scheme}://host/path")));
        }
        let mut parsed = Url::parse(url).map_err(|error| Fault::Url(format!("{error}; write {scheme}://host/path")))?;
        match scheme {
            "file" => match parsed.to_file_path() {
                Ok(path) => Ok(Self::Local(path)),
                Err(()) => Err(Fault::Url("a file URL has the form file:///path".into())),
            },
            "ssh" => {
                let host = parsed.host_str().unwrap_or_default();
                let path = decode(parsed.path())?;
                // `ssh://host/~user/x` is relative to a home folder; the slash belongs to the URL.
                let path = path.strip_prefix('/').filter(|path| path.starts_with('~')).unwrap_or(&path);
                ssh(&decode(parsed.username())?, host, parsed.port(), path)
            }
            _ => {
                let user = Some(decode(parsed.username())?).filter(|user| !user.is_empty()).map(Secret::new);
                let password = parsed.password().map(decode).transpose()?.map(Secret::new);
                let cleared = parsed.set_username("").and_then(|()| parsed.set_password(None));
                if cleared.is_err() || parsed.host_str().is_none_or(str::is_empty) {
                    return Err(Fault::Url(format!("it names no host; write {scheme}://host/path")));
                }
                // A query can't belong to a repository, but may hold a token.
                parsed.set_query(None);
                parsed.set_fragment(None);
                Ok(Self::Http { url: parsed, user, password })
            }
        }
    }

    /// What names the repository's mirror: no credentials, host in lower case, no trailing `/` or `.git`; ssh in its URL
    /// form. The path keeps its case, unlike in Argo CD: on some servers it tells repositories apart.
    pub(super) fn key(&self) -> RepoKey {
        let text = match self {
            Self::Http { url, .. } => trim_suffixes(url.as_str()).to_owned(),
            Self::Ssh { user, host, port, path } => {
                let user = if user.is_empty() { String::new() } else { format!("{user}@") };
                let port = port.filter(|port| *port != 22).map(|port| format!(":{port}")).unwrap_or_default();
                let path = path.trim_start_matches('/');
                trim_suffixes(&format!("ssh://{user}{host}{port}/{path}")).to_owned()
            }
            Self::Local(path) => path.to_string_lossy().into_owned(),
        };
        RepoKey(Arc::from(text))
    }
}

fn ssh(user: &str, host: &str, port: Option<u16>, path: &str) -> Result<Location, Fault> {
    let host = host.to_ascii_lowercase();
    // What begins with a dash would be an option of the ssh program or of git-upload-pack.
    if [user, &host, path].iter().any(|part| part.starts_with('-')) {
        return Err(Fault::Url("user, host and path must not begin with a dash".into()));
    }
    let strange = |text: &str| text.chars().any(|c| c.is_control() || c.is_whitespace());
    if host.is_empty() || path.trim_matches('/').is_empty() || strange(&host) || strange(user) || path.contains('\0') {
        return Err(Fault::Url("an ssh URL has the form ssh://user@host/path or user@host:path".into()));
    }
    Ok(Location::Ssh { user: user.to_owned(), host, port, path: path.to_owned() })
}

/// Undoes percent-encoding.
fn decode(text: &str) -> Result<String, Fault> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = rest.next().zip(rest.next());
        let value = digits
            .and_then(|(high, low)| Some((char::from(high).to_digit(16)? * 16 + char::from(low).to_digit(16)?) as u8));
        bytes.push(value.ok_or_else(|| Fault::Url("a % in it is not followed by two hexadecimal digits".into()))?);
    }
    String::from_utf8(bytes).map_err(|_| Fault::Url("it is not UTF-8 after percent-decoding".into()))
}

/// Without trailing slashes and without `.git`.
fn trim_suffixes(text: &str) -> &str {
    let text = text.trim_end_matches('/');
    text.strip_suffix(".git").unwrap_or(text)
}

/// A URL fit to be shown, also when [`Location::parse`] refuses it: without user information.
pub(super) fn shown(url: &str) -> String {
    match Location::parse(url) {
        Ok(location) => location.key().to_string(),
        Err(_) => {
            let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
            let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
            let rest = rest.split_once(['?', '#']).map_or(rest, |(rest, _)| rest);
            let separator = if scheme.is_empty() { "" } else { "://" };
            super::fault::detail(&format!("{scheme}{separator}{rest}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_repository_share_a_key() {
        let cases = [
            ("https://Example.com/Org/Repo.git", "https://example.com/Org/Repo"),
            ("https://example.com/Org/Repo/", "https://example.com/Org/Repo"),
            ("HTTPS://example.com:443/Org/Repo", "https://example.com/Org/Repo"),
            ("https://example.com:8443/Org/Repo.git/", "https://example.com:8443/Org/Repo"),
            ("https://user:hunter2@example.com/a", "https://example.com/a"),
            ("https://hunter2@example.com/a", "https://example.com/a"),
            (" http://example.com/a?token=hunter2#x ", "http://example.com/a"),
            ("git@github.com:org/repo.git", "ssh://git@github.com/org/repo"),
            ("ssh://git@GitHub.com/org/repo", "ssh://git@github.com/org/repo"),
            ("ssh://git@github.com:22/org/repo.git", "ssh://git@github.com/org/repo"),
            ("ssh://git@github.com:2222/org/repo", "ssh://git@github.com:2222/org/repo"),
            ("ssh://git:hunter2@github.com/org/repo", "ssh://git@github.com/org/repo"),
            ("host:org/repo", "ssh://host/org/repo"),
            ("git@host:/srv/repo.git", "ssh://git@host/srv/repo"),
            ("ssh://git@[::1]:2222/repo", "ssh://git@[::1]:2222/repo"),
            ("/srv/git/repo.git", "/srv/git/repo.git"),
            ("file:///srv/git/repo.git", "/srv/git/repo.git"),
            ("file:///srv/my%20repo", "/srv/my repo"),
        ];
        for (url, key) in cases {
            assert_eq!(&*Location::parse(url).unwrap_or_else(|e| panic!("{url}: {e}")).key().0, key, "{url}");
        }
    }

    #[test]
    fn what_is_no_repository_is_refused_without_showing_credentials() {
        for url in [
            "",
            "  ",
            "repo",
            "./repo",
            "../repo",
            "org/repo:x",
            "git://user:hunter2@host/repo",
            "oci://hunter2@registry/x",
            "ftp://host/x",
            "https://user:hunter2@",
            "https:///x",
            "ext::sh -c hunter2@x",
            "ssh://-oProxyCommand=hunter2@/x",
            "-oProxyCommand=x:repo",
            "ssh://-x@host/repo",
            "ssh://host/",
            "git@host:-repo",
            "git@:repo",
            "git@host:",
            "file://other/repo",
            "https://host/org/../other/repo",
            "https://host/org/%2E%2e/other/repo",
            "https://host\\@hunter2@x/y",
            "ssh://git@host/org/../other",
            "https://user:%zz@host/hunter2",
            "https://a\nb/c",
        ] {
            let error = Location::parse(url).expect_err(url).of(&shown(url));
            assert!(!error.message.contains("hunter2@") && !error.message.contains(":hunter2"), "{}", error.message);
        }
    }

    #[test]
    fn parts_of_ssh_urls() {
        let Location::Ssh { user, host, port, path } = Location::parse("ssh://git@Host:2222/~me/my%20repo").unwrap()
        else {
            panic!("an ssh URL");
        };
        assert_eq!((user.as_str(), host.as_str(), port, path.as_str()), ("git", "host", Some(2222), "~me/my repo"));
    }
}
