//! URLs of repositories as kustomizations write them, taken apart.

/// Longest URL, in bytes.
const MAX_URL: usize = 2048;
/// The server that kustomize knows short forms of.
const GITHUB: &str = "github.com";
/// Scheme that `user@host:path` is given here.
const SCP: &str = "scp://";

/// How a repository is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
    Ssh,
    /// `user@host:path`, which is ssh as well; the path is relative to the user's home folder.
    Scp,
    File,
}

/// The part of a URL in front of the path.
#[derive(Clone, Debug)]
pub(super) struct Start {
    scheme: Scheme,
    user: String,
    host: String,
}

/// A URL of a repository, of which each part was checked.
#[derive(Clone, Debug)]
pub(super) struct Place {
    start: Start,
    path: String,
}

impl Start {
    /// The place at `path`. Other characters than those of plain names are refused: nobody who reads the URL afterwards can
    /// take it for another one.
    pub(super) fn at(self, path: &str) -> Result<Place, String> {
        let plain = |part: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~' | '+');
            !matches!(part, "" | "." | "..") && part.chars().all(plain)
        };
        let path = if self.scheme == Scheme::Scp { path } else { path.strip_prefix('/').unwrap_or(path) };
        if path.len() > MAX_URL || !path.is_empty() && !path.split('/').all(plain) {
            return Err("the path of the repository must consist of names of letters, digits, `-`, `_`, `.`, `~` and `+`; correct it".into());
        }
        Ok(Place { start: self, path: path.to_owned() })
    }
}

impl Place {
    /// The repository as a URL, which [`clone_url`] makes the one that is fetched. The name of a user means something to ssh alone: for http, credentials are those that are
    /// configured for the repository.
    pub(super) fn url(&self) -> String {
        let Start { scheme, user, host } = &self.start;
        let host = host.to_ascii_lowercase();
        let path = &self.path;
        match scheme {
            Scheme::Http => format!("http://{host}/{path}"),
            Scheme::Https => format!("https://{host}/{path}"),
            Scheme::Ssh => format!("ssh://{user}{host}/{path}"),
            Scheme::Scp => format!("{SCP}{user}{host}/{path}"),
            Scheme::File => format!("file:///{path}"),
        }
    }

    /// The repository as kustomize spells it.
    pub(super) fn kustomize_url(&self) -> String {
        let Start { scheme, user, host } = &self.start;
        let path = &self.path;
        match scheme {
            Scheme::Http => format!("http://{user}{host}/{path}"),
            Scheme::Https => format!("https://{user}{host}/{path}"),
            Scheme::Ssh => format!("ssh://{user}{host}/{path}"),
            Scheme::Scp => format!("{user}{host}:{path}"),
            Scheme::File => format!("file:///{path}"),
        }
    }

    /// One spelling of all that name the same repository.
    pub(super) fn name(&self) -> String {
        let url = self.url().replacen(SCP, "ssh://", 1);
        let url = url.strip_suffix(".git").unwrap_or(&url);
        url.trim_end_matches('/').to_owned()
    }
}

/// Where the repository at a URL of [`Place::url`] is cloned from.
pub(super) fn clone_url(url: &str) -> String {
    let scp = url.strip_prefix(SCP).and_then(|rest| rest.split_once('/'));
    scp.map_or_else(|| url.to_owned(), |(host, path)| format!("{host}:{path}"))
}

/// Splits `text` after the first part, which is in front of the path.
pub(super) fn host(text: &str) -> Result<(Start, &str), String> {
    const FORMS: &str = "write https://host/path, ssh://user@host/path, user@host:path or file:///path";
    if text.len() > MAX_URL || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(format!(
            "the URL is longer than {MAX_URL} bytes, or has spaces or control characters in it; {FORMS}"
        ));
    }
    let text = strip_ignoring_case(text, "git::").unwrap_or(text);
    let schemes =
        [("ssh://", Scheme::Ssh), ("https://", Scheme::Https), ("http://", Scheme::Http), ("file://", Scheme::File)];
    let found = schemes.into_iter().find_map(|(prefix, scheme)| Some((scheme, strip_ignoring_case(text, prefix)?)));
    let (scheme, rest) = match found {
        Some((Scheme::File, path)) if path.starts_with('/') => {
            return Ok((Start { scheme: Scheme::File, user: String::new(), host: String::new() }, path));
        }
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, text),
    };
    let (user, rest) = user(rest).unwrap_or(("", rest));
    let github = [":", "/"].iter().any(|end| strip_ignoring_case(rest, &format!("{GITHUB}{end}")).is_some());
    let scp = scheme.is_none() && (github || !user.is_empty());
    let end = rest.find(|c| c == '/' || scp && c == ':').unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    let path = path.get(1..).unwrap_or_default();
    let scheme = match scheme {
        // Whoever writes a user or ssh gets ssh, everybody else https.
        _ if github && (scheme == Some(Scheme::Ssh) || !user.is_empty()) => Scheme::Scp,
        _ if github => Scheme::Https,
        Some(scheme) => scheme,
        None if scp => Scheme::Scp,
        None => return Err(format!("it is no URL of a Git repository; {FORMS}")),
    };
    if scheme == Scheme::File || !is_host(host, scheme != Scheme::Scp && !github) {
        return Err(format!(
            "the URL names no host, or has a password or strange characters in front of its path; {FORMS}. Credentials belong into the Secret of the repository"
        ));
    }
    Ok((Start { scheme, user: user.to_owned(), host: host.to_owned() }, path))
}

/// Splits off `user@` in front, as kustomize does.
pub(super) fn user(text: &str) -> Option<(&str, &str)> {
    let at = text.find('@')?;
    let name = text.get(..at)?;
    let letters = name.starts_with(|c: char| c.is_ascii_alphabetic());
    let plain = letters && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    plain.then(|| text.split_at(at + 1))
}

/// Whether it is a host, with a port where one may stand.
fn is_host(text: &str, port: bool) -> bool {
    let (host, number) = if port { text.split_once(':').unwrap_or((text, "1")) } else { (text, "1") };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    host.starts_with(|c: char| c.is_ascii_alphanumeric()) && host.chars().all(plain) && number.parse::<u16>().is_ok()
}

/// The path of the repository, and that of the folder in it: by a mark in the path, else by kustomize's habit that a
/// repository is two folders deep.
pub(super) fn split<'p>(start: &Start, path: &'p str) -> Result<(&'p str, &'p str), String> {
    const AZURE: &str = "_git/";
    const SUFFIX: &str = ".git";
    let second_slash = |text: &str| Some(text.find('/')? + 1).and_then(|one| Some(one + text.get(one..)?.find('/')?));
    let cut = |at: usize, mark: usize| Some((path.get(..at)?, path.get(at + mark..)?));
    let found = if let Some(at) = path.find(AZURE) {
        let name = at + AZURE.len();
        let end = path.get(name..).and_then(|rest| rest.find('/')).map_or(path.len(), |end| name + end);
        cut(end, 0)
    } else if let Some(at) = path.find("//") {
        cut(at, 2)
    } else if let Some(at) = path.find(".git/") {
        cut(at + SUFFIX.len(), 1)
    } else if path.ends_with(SUFFIX) || start.scheme == Scheme::File {
        Some((path, ""))
    } else if let Some(at) = second_slash(path) {
        cut(at, 1)
    } else {
        path.contains('/').then_some((path, ""))
    };
    match found {
        Some((repository, folder)) if !repository.trim_matches('/').is_empty() => Ok((repository, folder)),
        _ => Err("the URL doesn't tell where the repository ends and the folder begins; put `//` between them".into()),
    }
}

fn strip_ignoring_case<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    text.get(..prefix.len()).filter(|start| start.eq_ignore_ascii_case(prefix))?;
    text.get(prefix.len()..)
}
