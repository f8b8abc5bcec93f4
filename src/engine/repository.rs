//! Repository URLs, as Argo CD compares them.

use super::ids::RepoKey;

/// The key of the repository at `url`: spellings of one repository get one key. The error says what is wrong with the URL;
/// it never holds a password.
///
/// Close to Argo CD's `NormalizeGitURL`: `git@host:path` is ssh, and a trailing `.git` or `/` and the case of the host don't
/// matter. Credentials in a URL are refused: they belong into a repository Secret.
pub fn repo_key(url: &str) -> Result<RepoKey, String> {
    let url = url.trim();
    if url.is_empty() {
        return Err("it is empty: name a repository".into());
    }
    if url.starts_with('/') || url.starts_with("file://") {
        return Ok(RepoKey(url.trim_end_matches('/').into()));
    }
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest.to_owned()),
        None => match url.split_once(':') {
            Some((host, path)) if host.contains('@') && !host.contains('/') => {
                ("ssh".to_owned(), format!("{host}/{}", path.trim_start_matches('/')))
            }
            _ => {
                return Err(
                    "it has no scheme: write https://, http://, ssh://, user@host:path or an absolute path".into()
                );
            }
        },
    };
    if !matches!(scheme.as_str(), "https" | "http" | "ssh") {
        return Err(format!("the scheme {scheme} is not supported: use https, http, ssh or a local path"));
    }
    let (authority, path) = rest.split_once('/').unwrap_or((&rest, ""));
    let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    if user.is_some_and(|user| user.contains(':')) || (scheme != "ssh" && user.is_some()) {
        return Err("it holds credentials: put them into a repository Secret and remove them from the URL".into());
    }
    if host.is_empty() || host.starts_with('-') || user.is_some_and(|user| user.starts_with('-')) {
        return Err("it names no valid host".into());
    }
    // Some servers tell repositories apart by the case of their path.
    let path = path.trim_matches('/').trim_end_matches(".git").trim_end_matches('/');
    let user = user.map(|user| format!("{user}@")).unwrap_or_default();
    Ok(RepoKey(format!("{scheme}://{user}{}/{path}", host.to_ascii_lowercase()).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_repository_share_a_key() {
        let cases = [
            ("https://Git.example.com/Org/Repo.git", "https://git.example.com/Org/Repo"),
            ("https://git.example.com/org/repo/", "https://git.example.com/org/repo"),
            ("git@git.example.com:org/repo.git", "ssh://git@git.example.com/org/repo"),
            ("ssh://git@git.example.com/org/repo", "ssh://git@git.example.com/org/repo"),
            ("http://127.0.0.1:8080/x", "http://127.0.0.1:8080/x"),
            ("/srv/Git/Repo", "/srv/Git/Repo"),
            ("file:///srv/Git/Repo/", "file:///srv/Git/Repo"),
        ];
        for (url, key) in cases {
            assert_eq!(repo_key(url).map(|key| key.to_string()).as_deref(), Ok(key), "{url}");
        }
    }

    #[test]
    fn bad_urls_say_what_to_do_and_no_password() {
        for url in
            ["", "repo", "ftp://x/y", "https://user:hunter2@x/y", "https://token@x/y", "ssh://-oProxy/x", "oci://x/y"]
        {
            let error = repo_key(url).unwrap_err();
            assert!(!error.contains("hunter2") && !error.contains("token"), "{error}");
        }
    }
}
