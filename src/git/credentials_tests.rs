use super::*;

fn secret(name: &str, kind: SecretKind, data: &[(&str, &str)]) -> RepositorySecret {
    let data = data.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect();
    RepositorySecret::parse(name, kind, &data).unwrap()
}

fn parse_error(kind: SecretKind, data: &[(&str, &[u8])]) -> String {
    let data = data.iter().map(|(key, value)| ((*key).to_owned(), value.to_vec())).collect();
    RepositorySecret::parse("bad", kind, &data).unwrap_err().message
}

/// Whether a `repo-creds` Secret of `prefix` covers `url`: (prefix, url, covered).
const PREFIXES: &[(&str, &str, bool)] = &[
    ("https://github.com/org/repo", "https://github.com/org/repo", true),
    ("https://github.com/org/repo", "https://github.com/org/repo.git", true),
    ("https://github.com/org/repo.git", "https://github.com/org/repo", true),
    ("  https://GitHub.com/org ", "https://github.com/Org/Repo", true),
    ("https://github.com/org", "https://github.com/org/repo", true),
    ("https://github.com/org", "https://github.com/organisation/repo", true),
    ("https://github.com/org/", "https://github.com/organisation/repo", false),
    ("https://github.com/org/", "https://github.com/org@evil.com/x", false),
    ("https://github.com/org/", "https://github.com/org", false),
    ("https://charts.example.com/team-", "https://charts.example.com/team-pay/x", true),
    ("https://charts.example.com/team-", "https://charts.example.com/team/x", false),
    ("https://", "https://github.com/org/repo", true),
    ("https://", "http://github.com/org/repo", false),
    ("https://git.example.com", "https://git.example.com/org/repo", true),
    ("https://git.example.com", "https://git.example.com:8443/org/repo", true),
    ("https://git.example.com:8443/org", "https://git.example.com:9443/org/repo", false),
    ("https://git.example.com:8443/org", "https://git.example.com/org/repo", false),
    ("https://token@github.com/org/", "https://github.com/org/app", false),
    ("git@github.com:org", "git@github.com:org/repo.git", true),
    ("git@github.com:org", "ssh://git@github.com/org/repo", true),
    ("git@github.com:org/", "git@github.com:org-labs/x", false),
    ("git@github.com:org", "https://github.com/org/repo", false),
    ("git@github.com", "git@github.com:org/repo", true),
    ("ssh://git@github.com:org", "ssh://git@github.com:evil/other", false),
    ("/srv/git/team", "/srv/git/team/app", true),
    ("https://[::1]:8443/repo", "https://[::1]:8443/repo/app", true),
    // Stricter than Argo CD: never within a host name.
    ("https://git.example", "https://git.example.evil.org/x", false),
    ("https://git.example.com", "https://git.example.com@evil.org/x", false),
    ("https://git.example.com", "https://git.example.com:x@evil.org/x", false),
    ("https://git.example.com", "https://git.example.com:8443@evil.org/x", false),
    ("https://git.example.com:84", "https://git.example.com:8443/x", false),
    ("git@host", "git@hostile:x", false),
];

#[test]
fn prefixes_cover_what_argo_cd_covers() {
    for (prefix, url, covered) in PREFIXES {
        let store = CredentialStore::new([secret("t", SecretKind::RepoCreds, &[("url", prefix), ("password", "p")])]);
        assert_eq!(store.find(url).unwrap().is_some(), *covered, "{prefix} {url}");
    }
}

#[test]
fn the_repository_wins_then_the_longest_prefix() {
    let store = CredentialStore::new([
        secret("z-short", SecretKind::RepoCreds, &[("url", "https://h/org"), ("username", "short")]),
        secret(
            "a-long",
            SecretKind::RepoCreds,
            &[("url", "https://h/org/team"), ("username", "long"), ("insecure", "true")],
        ),
        secret("exact", SecretKind::Repository, &[("url", "https://h/org/team/own.git"), ("username", "exact")]),
        secret(
            "bare",
            SecretKind::Repository,
            &[("url", "https://h/org/team/bare"), ("insecure", "true"), ("type", "git")],
        ),
        secret("lonely", SecretKind::Repository, &[("url", "https://other/x"), ("ca.crt", "PEM")]),
    ]);
    let user = |url: &str| store.find(url).unwrap().and_then(|found| found.username);
    assert_eq!(user("https://h/org/team/own").as_deref(), Some("exact"));
    assert_eq!(user("https://H/Org/Team/Own.git").as_deref(), Some("exact"));
    assert_eq!(user("https://h/org/team/other").as_deref(), Some("long"));
    assert_eq!(user("https://h/org/x").as_deref(), Some("short"));
    assert_eq!(store.find("https://h/else").unwrap(), None);
    // A repository without credentials keeps its settings and takes those of the template, whose `insecure` is not read.
    let bare = store.find("https://h/org/team/bare").unwrap().unwrap();
    assert_eq!((bare.username.as_deref(), bare.insecure), (Some("long"), true));
    assert!(!store.find("https://h/org/team/other").unwrap().unwrap().insecure);
    assert_eq!(store.find("https://other/x").unwrap().unwrap().ca.as_deref(), Some("PEM"));
}

#[test]
fn unsupported_credentials_are_told_only_to_who_needs_them() {
    let cases = [
        (SecretKind::Repository, "githubAppID", "1", "GitHub App"),
        (SecretKind::RepoCreds, "githubAppPrivateKey", "hunter2", "GitHub App"),
        (SecretKind::Repository, "gcpServiceAccountKey", "hunter2", "Google Cloud"),
        (SecretKind::Repository, "useAzureWorkloadIdentity", "true", "Azure"),
        (SecretKind::Repository, "type", "helm", "Helm"),
        (SecretKind::Repository, "type", "OCI", "OCI"),
    ];
    for (kind, key, value, expected) in cases {
        let store = CredentialStore::new([secret("s", kind, &[("url", "https://h/x"), (key, value)])]);
        let message = store.find("https://user:hunter2@h/x").map_or_else(|e| e.message, |_| String::new());
        let direct = store.find("https://h/x").unwrap_err().message;
        assert!(direct.contains(expected) && direct.contains("Secret s"), "{direct}");
        assert!(!direct.contains("hunter2") && !message.contains("hunter2"), "{direct}");
        assert_eq!(store.find("https://other/y"), Ok(None));
    }
    // Argo CD's own examples label templates of Git repositories as helm.
    let store = CredentialStore::new([secret(
        "t",
        SecretKind::RepoCreds,
        &[("url", "https://h"), ("type", "helm"), ("username", "u")],
    )]);
    assert!(store.find("https://h/x").unwrap().is_some());
}

#[test]
fn broken_secrets_are_named_without_their_values() {
    type Data<'a> = &'a [(&'a str, &'a [u8])];
    let cases: [(Data<'_>, &str); 5] = [
        (&[("password", b"hunter2")], "url"),
        (&[("url", b"")], "url"),
        (&[("url", b"https://h"), ("password", &[0xff, 0xfe])], "password"),
        (&[("url", b"https://h"), ("insecure", b"hunter2")], "insecure"),
        (&[("url", b"https://h"), ("tlsClientCertData", b"hunter2")], "tlsClientCertKey"),
    ];
    for (data, key) in cases {
        let message = parse_error(SecretKind::Repository, data);
        assert!(message.contains(key) && message.contains("Secret bad") && !message.contains("hunter2"), "{message}");
    }
}

#[test]
fn secrets_never_show_in_debug_output_or_scrubbed_text() {
    let secret = secret(
        "s",
        SecretKind::Repository,
        &[
            ("url", "https://h/x"),
            ("username", "me"),
            ("password", "hunter2\n"),
            ("bearerToken", "hunter3"),
            ("sshPrivateKey", "hunter4"),
            ("tlsClientCertData", "PEM"),
            ("tlsClientCertKey", "hunter5"),
            ("proxy", "http://u:hunter6@proxy"),
        ],
    );
    let shown = format!("{secret:?} {:?}", CredentialStore::new([secret.clone()]));
    assert!(!shown.contains("hunter"), "{shown}");
    let mut credentials = secret.credentials;
    assert_eq!(credentials.authorization().unwrap().expose(), "Bearer hunter3");
    let scrubbed = credentials.scrub("bad token hunter3 or hunter2".into());
    assert_eq!(scrubbed, "bad token <redacted> or <redacted>");
    credentials.bearer_token = None;
    assert_eq!(credentials.authorization().unwrap().expose(), "Basic bWU6aHVudGVyMg==");
    assert_eq!(credentials.scrub("got Basic bWU6aHVudGVyMg==".into()), "got Basic <redacted>");
}

#[test]
fn labels_say_what_a_secret_is_for() {
    assert_eq!(SecretKind::from_label("repository"), Some(SecretKind::Repository));
    assert_eq!(SecretKind::from_label("repo-creds"), Some(SecretKind::RepoCreds));
    for other in ["cluster", "repository-write", "repo-write-creds", ""] {
        assert_eq!(SecretKind::from_label(other), None);
    }
}
