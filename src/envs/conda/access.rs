//! Where channels really are: a mirror, credentials, tokens.
//!
//! Everything that is kept or shown names the public address of a channel. The real one is put in its place at the
//! moment of a request, and taken out of whatever an error says.

use std::collections::BTreeSet;

use url::Url;

use crate::address::{decoded, without_user};

/// Where channels are that are known by a name alone.
pub(super) const ANACONDA: &str = "https://conda.anaconda.org/";

/// Which addresses stand for which.
#[derive(Debug, Clone, Default)]
pub(super) struct Access {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    /// The address without credentials, with a slash at its end.
    public: String,
    /// The address that answers, with a slash at its end.
    actual: Url,
}

impl Access {
    /// The addresses where a mirror takes the place of [`ANACONDA`].
    pub(super) fn new(alias: Option<&Url>) -> Self {
        let rules = alias.map(|alias| Rule {
            public: ANACONDA.to_owned(),
            actual: with_slash(alias.clone()),
        });
        Self {
            rules: rules.into_iter().collect(),
        }
    }

    /// The public address of the channel that someone gave the address `written`, which is remembered.
    pub(super) fn publish(&mut self, written: &Url) -> Url {
        let written = with_slash(written.clone());
        let public = bare(&written);
        if let Some(mirror) = self.rules.iter().find(|rule| rule.public == ANACONDA) {
            let rest = public.as_str().strip_prefix(bare(&mirror.actual).as_str());
            if let Some(url) = rest.and_then(|rest| Url::parse(ANACONDA).ok()?.join(rest).ok()) {
                return url;
            }
        }
        let rule = Rule {
            public: public.to_string(),
            actual: written,
        };
        if rule.actual != public && !self.rules.contains(&rule) {
            self.rules.push(rule);
        }
        public
    }

    /// The address to ask for what is publicly at `url`, where that is another one.
    pub(super) fn actual(&self, url: &Url) -> Option<Url> {
        let rules = self.rules.iter().filter(|rule| url.as_str().starts_with(&rule.public));
        let rule = rules.max_by_key(|rule| rule.public.len())?;
        // Joined as text: a name such as `x:1` would be taken for an address of its own.
        let mut actual = rule.actual.clone();
        let rest = &url.as_str()[rule.public.len()..];
        let (path, query) = rest
            .split_once('?')
            .map_or((rest, None), |(path, query)| (path, Some(query)));
        actual.set_path(&format!("{}{path}", rule.actual.path()));
        actual.set_query(query);
        Some(actual)
    }

    /// The address that answers for `url`, as it can be shown.
    pub(super) fn shown(&self, url: &Url) -> Option<String> {
        let actual = self.actual(url)?;
        let shown = bare(&actual);
        (shown != *url).then(|| shown.to_string())
    }

    /// `text` with public addresses, and without any credential.
    pub(super) fn hide(&self, text: &str) -> String {
        let mut hidden = text.to_owned();
        for Rule { public, actual } in &self.rules {
            let bare = bare(actual);
            let mut forms = vec![
                actual.clone(),
                without_user(actual.clone()),
                without_password(actual.clone()),
            ];
            if !bare.as_str().is_empty() && bare.as_str() != public {
                forms.push(bare);
            }
            for form in forms {
                hidden = hidden.replace(form.as_str(), public);
                let (form, public) = (form.as_str().trim_end_matches('/'), public.trim_end_matches('/'));
                if form != public {
                    hidden = hidden.replace(form, public);
                }
            }
            for secret in secrets(actual) {
                hidden = hidden.replace(&secret, "***");
            }
        }
        hidden
    }
}

/// The address without user, password and `/t/TOKEN`.
pub(super) fn bare(url: &Url) -> Url {
    let mut bare = without_user(url.clone());
    if let Some((_, rest)) = token(url) {
        let rest = rest.to_owned();
        bare.set_path(&rest);
    }
    bare
}

/// The token of an address such as `https://host/t/TOKEN/channel/`, and the path without it.
fn token(url: &Url) -> Option<(&str, &str)> {
    let rest = url.path().strip_prefix("/t/")?;
    let end = rest.find('/')?;
    Some((&rest[..end], &rest[end..]))
}

fn secrets(url: &Url) -> BTreeSet<String> {
    let words = [url.password(), token(url).map(|(token, _)| token)];
    let words = words.into_iter().flatten().filter(|word| word.len() > 3);
    words.flat_map(|word| [word.to_owned(), decoded(word)]).collect()
}

/// The user and the password of an address as they are sent.
pub(super) fn credentials(url: &Url) -> Option<(String, Option<String>)> {
    let named = !url.username().is_empty() || url.password().is_some();
    named.then(|| (decoded(url.username()), url.password().map(decoded)))
}

fn without_password(mut url: Url) -> Url {
    // Fails for addresses that have no host alone, and so no password either.
    let _ = url.set_password(None);
    url
}

fn with_slash(mut url: Url) -> Url {
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn a_mirror_answers_for_anaconda_and_is_never_named() {
        let mut access = Access::new(Some(&url("https://me:pass%40word@mirror.example.org/t/token1/conda")));
        let public = url("https://conda.anaconda.org/conda-forge/noarch/x-1-0.conda");
        let actual = access.actual(&public).unwrap();
        assert_eq!(
            actual.as_str(),
            "https://me:pass%40word@mirror.example.org/t/token1/conda/conda-forge/noarch/x-1-0.conda"
        );
        assert_eq!(
            credentials(&actual),
            Some(("me".to_owned(), Some("pass@word".to_owned())))
        );
        assert_eq!(
            access.shown(&public).unwrap(),
            "https://mirror.example.org/conda/conda-forge/noarch/x-1-0.conda"
        );
        assert_eq!(
            access
                .publish(&url("https://mirror.example.org/conda/bioconda"))
                .as_str(),
            "https://conda.anaconda.org/bioconda/"
        );
        for said in [
            actual.to_string(),
            without_user(actual.clone()).to_string(),
            format!("{} and pass@word and token1", bare(&actual)),
        ] {
            let hidden = access.hide(&said);
            assert!(hidden.starts_with(public.as_str()), "{hidden}");
            for secret in ["mirror", "pass", "token1"] {
                assert!(!hidden.contains(secret), "{hidden}");
            }
        }
    }

    #[test]
    fn a_channel_with_credentials_is_known_without_them() {
        let mut access = Access::default();
        assert_eq!(
            access.publish(&url("https://me:password@example.org/c")).as_str(),
            "https://example.org/c/"
        );
        assert_eq!(
            access.publish(&url("https://example.org/t/tk-1234/private")).as_str(),
            "https://example.org/private/"
        );
        assert_eq!(access.publish(&url("file:///srv/c")).as_str(), "file:///srv/c/");
        let file = access.actual(&url("https://example.org/private/noarch/repodata.json"));
        assert_eq!(
            file.unwrap().as_str(),
            "https://example.org/t/tk-1234/private/noarch/repodata.json"
        );
        assert_eq!(
            access.actual(&url("https://example.org/other/noarch/repodata.json")),
            None
        );
        assert_eq!(
            access.hide("password at https://example.org/c"),
            "*** at https://example.org/c"
        );
    }
}
