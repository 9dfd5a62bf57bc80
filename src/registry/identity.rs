//! Identity tokens: what an identity service gave to `docker login` opens no repository by itself. The registry's token
//! service exchanges it for a token that does, by the refresh grant of OAuth 2 as Docker's own client asks for it
//! (<https://distribution.github.io/distribution/spec/auth/oauth/>).

use http_auth::ParamValue;
use http_auth::parser::ChallengeParser;
use oci_client::secrets::RegistryAuth;
use reqwest::header::{CONTENT_TYPE, HeaderMap, WWW_AUTHENTICATE};
use serde::Deserialize;
use url::form_urlencoded;

use super::RegistryError;
use crate::fault::Trouble;
use crate::reference::RegistryHost;

/// What a token is to allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// The token service that a registry names, and the name of the registry there.
#[derive(Debug, PartialEq, Eq)]
struct Service {
    realm: String,
    service: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
}

/// Exchanges an identity token for one that opens `repository`. A registry that asks for nothing gets nothing.
pub(super) async fn exchange(
    http: &reqwest::Client,
    host: &RegistryHost,
    repository: &str,
    access: Access,
    token: &str,
) -> Result<RegistryAuth, RegistryError> {
    let image = format!("{host}/{repository}");
    let refused = |reason: String, trouble: Trouble| RegistryError {
        image: image.clone(),
        reason,
        trouble,
    };
    let broken = |error: reqwest::Error| {
        let (reason, trouble) = super::remote::broken(&error);
        refused(reason, trouble)
    };
    let scheme = if host.is_local() { "http" } else { "https" };
    let asked = http
        .get(format!("{scheme}://{host}/v2/"))
        .send()
        .await
        .map_err(broken)?;
    let Some(Service { realm, service }) = challenged(asked.headers()) else {
        return Ok(RegistryAuth::Anonymous);
    };
    let scope = format!("repository:{repository}:{}", access.actions());
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "refresh_token")
        .append_pair("client_id", "floe")
        .append_pair("refresh_token", token)
        .append_pair("scope", &scope)
        .extend_pairs(service.map(|service| ("service", service)))
        .finish();
    let request = http
        .post(realm)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let answer = request.body(form).send().await.map_err(broken)?;
    let status = answer.status();
    if !status.is_success() {
        let reason = format!("its token service refuses the identity token ({status})");
        // The refresh grant of OAuth answers 400 where it refuses.
        let trouble = Trouble::of_status(status.as_u16()).unwrap_or(Trouble::Unauthorized);
        return Err(refused(reason, trouble));
    }
    let text = answer.text().await.map_err(broken)?;
    let answer: Answer = serde_json::from_str(&text).map_err(|error| {
        let reason = format!("what its token service answers makes no sense: {error}");
        refused(reason, Trouble::of(&text).unwrap_or(Trouble::Foreign))
    })?;
    Ok(RegistryAuth::Bearer(answer.access_token))
}

/// The token service that an answer's challenges name.
fn challenged(headers: &HeaderMap) -> Option<Service> {
    let challenges = headers.get_all(WWW_AUTHENTICATE).iter();
    challenges.filter_map(|header| header.to_str().ok()).find_map(named)
}

/// The token service that a challenge names.
fn named(header: &str) -> Option<Service> {
    let challenges = ChallengeParser::new(header).filter_map(Result::ok);
    let bearer = challenges
        .into_iter()
        .find(|challenge| challenge.scheme.eq_ignore_ascii_case("bearer"))?;
    let value = |name: &str| {
        let found = bearer.params.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value): &(&str, ParamValue<'_>)| value.to_unescaped())
    };
    Some(Service {
        realm: value("realm")?,
        service: value("service"),
    })
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn the_token_service_is_read_from_the_challenge() {
        let read = |header: &str| named(header);
        assert_eq!(
            read("Bearer realm=\"https://id.example/oauth2/token\",service=\"r.example\""),
            Some(Service {
                realm: "https://id.example/oauth2/token".to_owned(),
                service: Some("r.example".to_owned()),
            })
        );
        assert_eq!(read("Basic realm=\"r.example\""), None);
    }

    #[tokio::test]
    async fn an_identity_token_is_exchanged_for_one_that_opens_the_repository() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serve = async {
            let mut asked = Vec::new();
            for turn in 0..2 {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 4096];
                let length = stream.read(&mut request).await.unwrap();
                asked.push(String::from_utf8_lossy(&request[..length]).into_owned());
                let answer = if turn == 0 {
                    format!(
                        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"http://{address}/token\",service=\"s\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                    )
                } else {
                    let body = "{\"access_token\": \"opens\"}";
                    format!(
                        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                        body.len()
                    )
                };
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            asked
        };
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::new();
        let host = address.to_string().parse().unwrap();
        let (exchanged, asked) = tokio::join!(exchange(&http, &host, "hub/m", Access::Push, "id token"), serve);
        assert_eq!(exchanged.unwrap(), RegistryAuth::Bearer("opens".to_owned()));
        assert!(asked[0].starts_with("GET /v2/ "), "{}", asked[0]);
        let form = asked[1].rsplit("\r\n\r\n").next().unwrap();
        assert_eq!(
            form,
            "grant_type=refresh_token&client_id=floe&refresh_token=id+token&scope=repository%3Ahub%2Fm%3Apull%2Cpush&service=s"
        );
    }
}
