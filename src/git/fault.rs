//! What can go wrong with a repository, in words for the person who has to mend it.

use std::time::Duration;

use crate::engine::event::SourceError;
use crate::engine::redact;

/// Longest text of a server or of the ssh program that is passed on, in characters.
const MAX_DETAIL: usize = 300;

/// Why an operation on a repository failed. Holds no credentials: text that comes from outside goes through
/// [`detail`] and is scrubbed by the caller that knows the credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("the repository URL is not usable: {0}")]
    Url(String),
    #[error("not supported: {0}")]
    Unsupported(String),
    #[error("authentication failed: {0}")]
    Authentication(String),
    #[error("the repository was not found: {0}; check the URL, and that its credentials may read it")]
    NotFound(String),
    #[error(
        "commit {0} was not found: the server does not have it (any more) or does not hand it out; check targetRevision, or push it \
         again"
    )]
    CommitMissing(String),
    /// Becomes [`Self::CommitMissing`] where the commit is known.
    #[error("the server does not have the commit")]
    NotThere,
    #[error("object {0} is not a commit; set targetRevision to a branch, a tag of a commit, or a commit id")]
    NotACommit(String),
    #[error("the server can't be reached: {0}; it is tried again")]
    Unreachable(String),
    #[error("the server's certificate was refused: {0}; put its CA as ca.crt into the repository's Secret")]
    Certificate(String),
    #[error("no complete answer within {} s; it is tried again; raise the Git time-out if the repository is that slow", .0.as_secs())]
    Timeout(Duration),
    #[error("interrupted, because the agent stops")]
    Cancelled,
    #[error("limit exceeded: {0}")]
    Limit(String),
    #[error("the server answered {0}")]
    Server(String),
    #[error("the answer is not understood: {0}; check that the URL is that of a Git repository")]
    Protocol(String),
    #[error("the local mirror failed: {0}")]
    Disk(String),
    #[error("the local mirror is damaged: {0}; it is set aside and fetched anew")]
    Corrupt(String),
}

impl Fault {
    /// Whether another way of asking the same server (a branch instead of a commit id) may succeed.
    pub(super) const fn is_refusal(&self) -> bool {
        matches!(self, Self::Protocol(_))
    }

    /// The fault as the engine sees it. `repository` is a URL without credentials.
    pub(super) fn of(self, repository: &str) -> SourceError {
        SourceError { message: redact::truncate(format!("repository {repository}: {self}")) }
    }
}

/// Makes text from outside fit for a message: one line, no control characters, cut at [`MAX_DETAIL`].
pub(super) fn detail(text: &str) -> String {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut shown: String = one_line.chars().filter(|c| !c.is_control()).take(MAX_DETAIL).collect();
    if one_line.chars().count() > MAX_DETAIL {
        shown.push('…');
    }
    shown
}

/// An error with all its causes, each once.
pub(super) fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_becomes_one_short_line() {
        assert_eq!(detail("a\r\n b\u{1b}[31m\tc"), "a b[31m c");
        assert!(detail(&"x".repeat(1000)).chars().count() <= MAX_DETAIL + 1);
    }

    #[test]
    fn errors_name_the_repository_and_what_to_do() {
        let error = Fault::Timeout(Duration::from_secs(120)).of("https://example.com/a");
        assert!(error.message.starts_with("repository https://example.com/a: no complete answer within 120 s"));
    }
}
