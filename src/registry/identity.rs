//! What lets a request in: a name and a password as they are, or a token for one repository, which the registry's token
//! service gives for them or for nothing (<https://distribution.github.io/distribution/spec/auth/token/>).
//!
//! What an identity service gave to `docker login` opens no repository by itself. The token service exchanges it for a
//! token that does, by the refresh grant of OAuth 2 as Docker's own client asks for it
//! (<https://distribution.github.io/distribution/spec/auth/oauth/>).

use http_auth::ParamValue;
use http_auth::parser::ChallengeParser;
use reqwest::header::{CONTENT_TYPE, HeaderMap, WWW_AUTHENTICATE};
use serde::Deserialize;
use url::form_urlencoded;

use super::RegistryError;
use super::refusal::broken;
use crate::engine::Credentials;
use crate::fault::Trouble;

/// What a token is to allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Access {
    Pull,
    Push,
}

impl Access {
    fn actions(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "pull,push",
        }
    }
}

/// What a token is to be for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Scope {
    /// The repository.
    pub repository: String,
    /// What is done there.
    pub access: Access,
    /// Another repository, which something is taken from.
    pub source: Option<String>,
}

impl Scope {
    /// The scopes, in the words of the specification.
    fn words(&self) -> Vec<String> {
        let own = (&self.repository, self.access);
        let source = self.source.as_ref().map(|source| (source, Access::Pull));
        let all = std::iter::once(own).chain(source);
        all.map(|(repository, access)| format!("repository:{repository}:{}", access.actions()))
            .collect()
    }
}

/// What a request shows to be let in.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Pass {
    Basic { username: String, password: String },
    Bearer(String),
}

/// What a registry wants to be shown.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Basic,
    Token(Service),
}

/// The token service that a registry names, and the name of the registry there.
#[derive(Debug, PartialEq, Eq)]
struct Service {
    realm: String,
    service: Option<String>,
}

/// Services give a token by one of two names.
#[derive(Deserialize)]
struct Answer {
    access_token: Option<String>,
    token: Option<String>,
}

/// What lets a request in that needs `scope`, by what the registry says that it wants. `None` where nothing would.
pub(super) async fn pass(
    http: &reqwest::Client,
    image: &str,
    scope: &Scope,
    credentials: Option<&Credentials>,
    headers: &HeaderMap,
) -> Result<Option<Pass>, RegistryError> {
    let failed = |reason: String, trouble: Trouble| RegistryError {
        image: image.to_owned(),
        reason,
        trouble,
    };
    let lost = |error: reqwest::Error| {
        let (reason, trouble) = broken(&error);
        failed(reason, trouble)
    };
    let Service { realm, service } = match challenged(headers) {
        None => return Ok(None),
        Some(Wanted::Basic) => {
            return Ok(match credentials {
                Some(Credentials::Password { username, password }) => Some(Pass::Basic {
                    username: username.clone(),
                    password: password.clone(),
                }),
                _ => None,
            });
        }
        Some(Wanted::Token(service)) => service,
    };
    let service = service.map(|service| ("service", service));
    let scopes = scope.words();
    let request = if let Some(Credentials::IdentityToken(token)) = credentials {
        let refresh = [
            ("grant_type", "refresh_token".to_owned()),
            ("client_id", "floe".to_owned()),
            ("refresh_token", token.clone()),
            ("scope", scopes.join(" ")),
        ];
        let request = http.post(realm);
        request
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(encoded(refresh.into_iter().chain(service)))
    } else {
        let scopes = scopes.into_iter().map(|scope| ("scope", scope));
        let query = encoded(service.into_iter().chain(scopes));
        let separator = if realm.contains('?') { '&' } else { '?' };
        let request = http.get(format!("{realm}{separator}{query}"));
        match credentials {
            Some(Credentials::Password { username, password }) => request.basic_auth(username, Some(password)),
            _ => request,
        }
    };
    let answer = request.timeout(TOKEN_TIMEOUT).send().await.map_err(lost)?;
    let status = answer.status();
    if !status.is_success() {
        let reason = format!("its token service refuses what it is shown ({status})");
        // The refresh grant of OAuth answers 400 where it refuses.
        let trouble = Trouble::of_status(status.as_u16()).unwrap_or(Trouble::Unauthorized);
        return Err(failed(reason, trouble));
    }
    let text = answer.text().await.map_err(lost)?;
    let answer = serde_json::from_str::<Answer>(&text).map_err(|error| {
        let reason = format!("what its token service answers makes no sense: {error}");
        failed(reason, Trouble::of(&text).unwrap_or(Trouble::Foreign))
    })?;
    let token = answer.access_token.or(answer.token);
    let token = token.ok_or_else(|| failed("its token service gives no token".to_owned(), Trouble::Foreign))?;
    Ok(Some(Pass::Bearer(token)))
}

/// How long a token service may take.
const TOKEN_TIMEOUT: std::time::Duration = std::time::Duration::from_mins(1);

fn encoded(pairs: impl IntoIterator<Item = (&'static str, String)>) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

/// What an answer's challenges want; a token where there is a choice.
fn challenged(headers: &HeaderMap) -> Option<Wanted> {
    let challenges = headers.get_all(WWW_AUTHENTICATE).iter();
    let mut wanted = challenges
        .filter_map(|header| header.to_str().ok())
        .filter_map(named)
        .collect::<Vec<_>>();
    wanted.sort_by_key(|wanted| *wanted == Wanted::Basic);
    wanted.into_iter().next()
}

/// What a challenge wants.
fn named(header: &str) -> Option<Wanted> {
    let challenges = ChallengeParser::new(header).filter_map(Result::ok).collect::<Vec<_>>();
    let of = |scheme: &str| {
        let mut challenges = challenges.iter();
        challenges.find(|challenge| challenge.scheme.eq_ignore_ascii_case(scheme))
    };
    let Some(bearer) = of("bearer") else {
        return of("basic").map(|_| Wanted::Basic);
    };
    let value = |name: &str| {
        let found = bearer.params.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value): &(&str, ParamValue<'_>)| value.to_unescaped())
    };
    Some(Wanted::Token(Service {
        realm: value("realm")?,
        service: value("service"),
    }))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn the_token_service_is_read_from_the_challenge() {
        assert_eq!(
            named("Bearer realm=\"https://id.example/oauth2/token\",service=\"r.example\""),
            Some(Wanted::Token(Service {
                realm: "https://id.example/oauth2/token".to_owned(),
                service: Some("r.example".to_owned()),
            }))
        );
        assert_eq!(named("Basic realm=\"r.example\""), Some(Wanted::Basic));
        assert_eq!(named("Negotiate"), None);
    }

    fn push(source: Option<&str>) -> Scope {
        Scope {
            repository: "hub/m".to_owned(),
            access: Access::Push,
            source: source.map(str::to_owned),
        }
    }

    /// What a token service is asked on behalf of these credentials. It gives a token by the name `field`.
    async fn asked(scope: &Scope, credentials: Option<Credentials>, field: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            let body = format!("{{\"{field}\": \"opens\"}}");
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        };
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::new();
        let mut headers = HeaderMap::new();
        let challenge = format!("Bearer realm=\"http://{address}/token\",service=\"s\"");
        headers.insert(WWW_AUTHENTICATE, challenge.parse().unwrap());
        let passed = pass(&http, "r/hub/m", scope, credentials.as_ref(), &headers);
        let (passed, asked) = tokio::join!(passed, serve);
        assert!(passed.unwrap() == Some(Pass::Bearer("opens".to_owned())));
        asked
    }

    #[tokio::test]
    async fn an_identity_token_is_exchanged_for_one_that_opens_the_repository() {
        let credentials = Some(Credentials::IdentityToken("id token".to_owned()));
        let asked = asked(&push(None), credentials, "access_token").await;
        let form = asked.rsplit("\r\n\r\n").next().unwrap();
        assert_eq!(
            form,
            "grant_type=refresh_token&client_id=floe&refresh_token=id+token&scope=repository%3Ahub%2Fm%3Apull%2Cpush&service=s"
        );
    }

    #[tokio::test]
    async fn a_token_is_asked_for_with_a_password_or_with_nothing() {
        let credentials = Credentials::Password {
            username: "me".to_owned(),
            password: "secret".to_owned(),
        };
        for (credentials, authorization) in [(Some(credentials), "authorization: basic bwu6c2vjcmv0"), (None, "")] {
            let asked = asked(&push(None), credentials, "token").await;
            let line = "GET /token?service=s&scope=repository%3Ahub%2Fm%3Apull%2Cpush ";
            assert!(asked.starts_with(line), "{asked}");
            let asked = asked.to_lowercase();
            assert_eq!(asked.contains("authorization"), !authorization.is_empty(), "{asked}");
            assert!(asked.contains(authorization), "{asked}");
        }
    }

    #[tokio::test]
    async fn what_takes_something_from_another_repository_asks_to_read_there_too() {
        let scope = push(Some("hub/n"));
        let line = "scope=repository%3Ahub%2Fm%3Apull%2Cpush&scope=repository%3Ahub%2Fn%3Apull ";
        let asked_with_nothing = asked(&scope, None, "token").await;
        assert!(asked_with_nothing.contains(line), "{asked_with_nothing}");
        let identity = Some(Credentials::IdentityToken("id".to_owned()));
        let form = asked(&scope, identity, "token").await;
        let scopes = "scope=repository%3Ahub%2Fm%3Apull%2Cpush+repository%3Ahub%2Fn%3Apull&";
        assert!(form.contains(scopes), "{form}");
    }
}
