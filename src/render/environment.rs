//! Argo CD's build environment: variables that stand for the application in some texts of its source. For kustomize these
//! are `images`, `commonLabels` and, where `commonAnnotationsEnvsubst` says so, `commonAnnotations`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::desired::RenderInputs;

/// What the variables stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// The application, as it is called in tracking ids.
    pub name: Arc<str>,
    /// Namespace of its destination.
    pub namespace: Arc<str>,
    /// Its project.
    pub project: Arc<str>,
    /// The commit.
    pub revision: Arc<str>,
    /// `spec.source.repoURL`, without a password.
    pub repo_url: Arc<str>,
    /// `spec.source.path`.
    pub path: Arc<str>,
    /// `spec.source.targetRevision`.
    pub target_revision: Arc<str>,
}

/// The variables that a rendering used, with what they stood for.
pub type Used = BTreeMap<Arc<str>, Arc<str>>;

impl Environment {
    /// Replaces `$NAME` and `${NAME}`; `$$` stands for a dollar sign. As in Argo CD, which uses Go's `os.Expand`, an unknown
    /// variable stands for nothing.
    pub fn expand(&self, text: &str, used: &mut Used) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            out.push_str(before);
            let (name, width) = name(after);
            match name {
                // Nothing that can be a name: the sign stays, and of an unfinished brace nothing does.
                "" if width == 0 => out.push('$'),
                "" => {}
                "$" => out.push('$'),
                name => {
                    if let Some(value) = self.value(name) {
                        out.push_str(value);
                        used.insert(name.into(), value.into());
                    }
                }
            }
            rest = after.get(width..).unwrap_or_default();
        }
        out.push_str(rest);
        out
    }

    /// Whether everything that was used stands for the same now.
    pub fn unchanged(&self, inputs: &RenderInputs) -> bool {
        inputs.environment.iter().all(|(name, value)| self.value(name) == Some(&**value))
    }

    fn value(&self, name: &str) -> Option<&str> {
        let short = |length| self.revision.get(..length).unwrap_or(&self.revision);
        Some(match name {
            "ARGOCD_APP_NAME" => &self.name,
            "ARGOCD_APP_NAMESPACE" => &self.namespace,
            "ARGOCD_APP_PROJECT_NAME" => &self.project,
            "ARGOCD_APP_REVISION" => &self.revision,
            "ARGOCD_APP_REVISION_SHORT" => short(7),
            "ARGOCD_APP_REVISION_SHORT_8" => short(8),
            "ARGOCD_APP_SOURCE_REPO_URL" => &self.repo_url,
            "ARGOCD_APP_SOURCE_PATH" => &self.path,
            "ARGOCD_APP_SOURCE_TARGET_REVISION" => &self.target_revision,
            _ => return None,
        })
    }
}

/// The name of the variable that a text behind a dollar sign begins with, and how many bytes of the text are part of it.
fn name(text: &str) -> (&str, usize) {
    let special = |c: char| "*#$@!?-".contains(c) || c.is_ascii_digit();
    if let Some(braced) = text.strip_prefix('{') {
        return match braced.split_once('}') {
            Some((name, _)) => (name, name.len() + 2),
            None => ("", 1),
        };
    }
    if text.starts_with(special) {
        return (text.get(..1).unwrap_or_default(), 1);
    }
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    (text.get(..end).unwrap_or_default(), end)
}

/// A URL without the password that it may hold, with which it must not get into a manifest.
pub fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    match authority.rsplit_once('@') {
        Some((user, host)) if user.contains(':') => format!("{scheme}://{host}{path}"),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment {
        Environment {
            name: "web".into(),
            revision: "0123456789abcdef0123456789abcdef01234567".into(),
            target_revision: "main".into(),
            ..Environment::default()
        }
    }

    #[test]
    fn texts_are_expanded_as_go_expands_them() {
        let cases = [
            ("", ""),
            ("plain", "plain"),
            ("$ARGOCD_APP_NAME", "web"),
            ("a-${ARGOCD_APP_NAME}-b", "a-web-b"),
            ("$ARGOCD_APP_NAME-b", "web-b"),
            ("$ARGOCD_APP_NAMEb", ""),
            ("$ARGOCD_APP_NAME$ARGOCD_APP_NAME", "webweb"),
            ("${ARGOCD_APP_REVISION_SHORT}/${ARGOCD_APP_REVISION_SHORT_8}", "0123456/01234567"),
            ("$ARGOCD_APP_REVISION", "0123456789abcdef0123456789abcdef01234567"),
            ("$$ARGOCD_APP_NAME", "$ARGOCD_APP_NAME"),
            ("$$$ARGOCD_APP_NAME", "$web"),
            ("${$}x", "$x"),
            ("5$", "5$"),
            ("$ x", "$ x"),
            ("$/x", "$/x"),
            ("$1x", "x"),
            ("$UNKNOWN.x", ".x"),
            ("${}x", "x"),
            ("${ARGOCD_APP_NAME", "ARGOCD_APP_NAME"),
            ("ä$ä", "ä$ä"),
        ];
        for (text, expected) in cases {
            assert_eq!(environment().expand(text, &mut Used::new()), expected, "{text:?}");
        }
    }

    #[test]
    fn what_was_used_tells_whether_anything_changed() {
        let mut used = Used::new();
        environment().expand("$ARGOCD_APP_NAME ${ARGOCD_APP_SOURCE_TARGET_REVISION} $OTHER", &mut used);
        let inputs = RenderInputs { environment: used.into_iter().collect(), ..RenderInputs::default() };
        assert_eq!(inputs.environment.len(), 2);
        assert!(environment().unchanged(&inputs));
        assert!(Environment { revision: "9".into(), ..environment() }.unchanged(&inputs));
        assert!(!Environment { target_revision: "v1".into(), ..environment() }.unchanged(&inputs));
    }

    #[test]
    fn passwords_do_not_get_out() {
        let cases = [
            ("https://a:hunter2@example.com/x", "https://example.com/x"),
            ("https://a@example.com/x", "https://a@example.com/x"),
            ("https://example.com/x@y:z", "https://example.com/x@y:z"),
            ("git@example.com:x", "git@example.com:x"),
        ];
        for (url, expected) in cases {
            assert_eq!(without_password(url), expected);
        }
    }
}
