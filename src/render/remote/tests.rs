//! Which URLs are understood, and which are followed.

use super::*;

const ID: &str = "0123456789abcdef0123456789abcdef01234567";

fn allowed() -> RemoteBases {
    "https://github.com/org, ssh://git@github.com, https://git.example:8443, http://git.example/a/b, file:///srv, \
     https://dev.azure.com"
        .parse()
        .unwrap()
}

fn parse(url: &str) -> Result<RemoteFolder, String> {
    RemoteFolder::parse(url, &allowed())
}

#[test]
fn urls_are_split_as_kustomize_splits_them() {
    let cases = [
        ("https://github.com/org/repo//a/b", "https://github.com/org/repo", "a/b"),
        ("https://github.com/org/repo/a/b", "https://github.com/org/repo", "a/b"),
        ("https://github.com/org/repo", "https://github.com/org/repo", ""),
        ("https://github.com/org/repo.git/a", "https://github.com/org/repo.git", "a"),
        ("HTTPS://GitHub.com/org/repo.git", "https://github.com/org/repo.git", ""),
        ("https://github.com/org/repo//", "https://github.com/org/repo", ""),
        ("github.com/org/repo/a", "https://github.com/org/repo", "a"),
        ("git::https://github.com/org/repo//a", "https://github.com/org/repo", "a"),
        ("git@github.com:org/repo.git//a", "git@github.com:org/repo.git", "a"),
        ("git@github.com:org/repo/a", "git@github.com:org/repo", "a"),
        ("ssh://git@github.com/org/repo//a", "git@github.com:org/repo", "a"),
        ("https://git.example:8443/one/two/three//a/../b/./c", "https://git.example:8443/one/two/three", "b/c"),
        ("http://user@git.example/a/b/c//d", "http://git.example/a/b/c", "d"),
        ("https://me@dev.azure.com/org/project/_git/repo/a/b", "https://dev.azure.com/org/project/_git/repo", "a/b"),
        ("file:///srv/git/repo.git//a", "file:///srv/git/repo.git", "a"),
        ("file:///srv/git/repo", "file:///srv/git/repo", ""),
    ];
    for (url, repository, folder) in cases {
        for query in [format!("?ref={ID}"), format!("?timeout=90s&version={ID}&submodules=0")] {
            let found = parse(&format!("{url}{query}")).unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!((found.remote.clone_url().as_str(), found.folder.as_str()), (repository, folder), "{url}");
            assert_eq!(found.remote.revision.as_str(), ID);
            assert_eq!(split_path(&found.path()), Some((found.remote.clone(), folder)), "{url}");
            assert!(is_remote(&format!("{url}{query}")), "{url}");
        }
    }
}

#[test]
fn only_what_is_allowed_is_read() {
    for url in [
        "https://github.com/organisation/repo",
        "https://github.com.evil.example/org/repo",
        "https://git.example/one/two",
        "http://git.example:8443/one/two",
        "http://git.example/a//b",
        "http://git.example/a/bc//d",
        "git@git.example:org/repo",
        "file:///srv2/repo",
        "file:///etc",
    ] {
        let error = parse(&format!("{url}?ref={ID}")).unwrap_err();
        assert!(error.contains("kustomize-remote-bases"), "{url}: {error}");
    }
    let error = RemoteFolder::parse(&format!("https://github.com/org/repo?ref={ID}"), &RemoteBases::default());
    assert!(error.unwrap_err().contains("switched off"));
    let whole: RemoteBases = "git@github.com:,https://a.example/x.git/".parse().unwrap();
    assert_eq!(whole.urls(), ["ssh://git@github.com", "https://a.example/x"]);
}

#[test]
fn only_commits_are_followed() {
    for (query, part) in [
        ("", "doesn't say which commit"),
        ("?ref=", "doesn't say which commit"),
        ("?submodules=false", "doesn't say which commit"),
        ("?ref=v1.2.3", "git ls-remote https://github.com/org/repo v1.2.3"),
        ("?ref=main&timeout=5", "`main` can be moved"),
        ("?ref=0123456", "`0123456` can be moved"),
        ("?ref=$(x)", "doesn't say which commit"),
    ] {
        let error = parse(&format!("https://github.com/org/repo//a{query}")).unwrap_err();
        assert!(error.contains(part), "{query}: {error}");
    }
    let error = parse("https://github.com/org/repo/v1/file.yaml").unwrap_err();
    assert!(error.contains("names a file"), "{error}");
}

#[test]
fn urls_that_mislead_are_refused_without_showing_passwords() {
    for url in [
        "https://user:hunter2@github.com/org/repo",
        "https://github.com@evil.example/org/repo",
        "https://github.com:x@evil.example/org/repo",
        "https://github.com\\@evil.example/org/repo",
        "https://github.com/org/../evil/repo//a",
        "https://github.com/org/%2e%2e/evil//a",
        "https://github.com/org/./repo//a",
        "https://github.com/org/repo//../../x",
        "https://github.com/org/repo//a/../..",
        "https:///org/repo",
        "https://github.com/org",
        "ssh://-oProxyCommand=x/org/repo",
        "git@-oProxyCommand=x:org/repo",
        "file://host/org/repo",
        "file:///srv/../etc//a",
        "ftp://github.com/org/repo",
        "gh:org/repo",
        "https://github.com/or\ng/repo",
        "https://git.example:99999/one/two",
    ] {
        let error = parse(&format!("{url}?ref={ID}")).expect_err(url);
        assert!(!error.contains("hunter2"), "{error}");
    }
    for bad in ["", "github", "https://", "https://a/b?c", "https://u:p@a/b", "https://a/../b", "x,,y", "/srv"] {
        assert!(bad.parse::<RemoteBases>().is_err(), "{bad:?}");
    }
}

#[test]
fn paths_of_the_tree_itself_are_in_no_other_one() {
    for path in ["", "a/b", "a?ref=b", "https:", "a:/b"] {
        assert_eq!(split_path(path), None, "{path:?}");
    }
    for path in ["a/b", "../github.com/a", "a@b", "a:b", "a@b/c:d"] {
        assert!(!is_remote(path), "{path}");
    }
}
