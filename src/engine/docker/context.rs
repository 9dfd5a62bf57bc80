//! The contexts of Docker's own client: named engines, of which one may be the current one.
//!
//! Its directory holds `config.json` (`currentContext`) and, for each context, `contexts/meta/ID/meta.json` and
//! `contexts/tls/ID/docker/{ca,cert,key}.pem`, where ID is the SHA-256 of the context's name.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::engine::EngineError;
use crate::reference::Digest;

/// The name of no context: what applies without any.
const DEFAULT: &str = "default";

/// A context's engine.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// Where the context stands, for messages.
    pub place: String,
    /// Its address.
    pub host: String,
    /// Whether its certificate is taken as it comes.
    pub unverified: bool,
    /// The directory of the certificates with which it is spoken to, where there is any.
    pub certificates: Option<PathBuf>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Config {
    #[serde(default)]
    current_context: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Meta {
    name: String,
    #[serde(default)]
    endpoints: Endpoints,
}

#[derive(Deserialize, Default)]
struct Endpoints {
    docker: Option<MetaEndpoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MetaEndpoint {
    host: Option<String>,
    #[serde(default, rename = "SkipTLSVerify")]
    skip_tls_verify: bool,
}

/// The engine of the context `named` or, without one, of the current one; `None` where neither is any.
pub(super) fn find(client: &Path, named: Option<&str>) -> Result<Option<Endpoint>, EngineError> {
    let config = client.join("config.json");
    let (name, place) = if let Some(name) = named {
        (name.to_owned(), "DOCKER_CONTEXT".to_owned())
    } else {
        let current = read::<Config>(&config)?.unwrap_or_default().current_context;
        (current, format!("{}: currentContext", config.display()))
    };
    if name.is_empty() || name == DEFAULT {
        return Ok(None);
    }
    let contexts = client.join("contexts");
    let id = id(&name);
    let meta = contexts.join("meta").join(&id).join("meta.json");
    let wrong = |place: String, reason: String| EngineError::Directions { place, reason };
    let Some(found) = read::<Meta>(&meta)? else {
        let known = known(&contexts);
        let known = if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        };
        return Err(wrong(
            place,
            format!("there is no context {name:?}; those there are: {known}"),
        ));
    };
    let no_host = || {
        wrong(
            meta.display().to_string(),
            "the context names no Docker engine".to_owned(),
        )
    };
    let endpoint = found.endpoints.docker.ok_or_else(no_host)?;
    let certificates = contexts.join("tls").join(id).join("docker");
    Ok(Some(Endpoint {
        place: format!("the context {name:?}"),
        host: endpoint.host.filter(|host| !host.is_empty()).ok_or_else(no_host)?,
        unverified: endpoint.skip_tls_verify,
        certificates: certificates.is_dir().then_some(certificates),
    }))
}

/// The directory of what is kept of a context.
fn id(name: &str) -> String {
    Digest::of(name.as_bytes())
        .as_str()
        .trim_start_matches("sha256:")
        .to_owned()
}

/// The names of all contexts.
fn known(contexts: &Path) -> Vec<String> {
    let entries = fs::read_dir(contexts.join("meta")).into_iter().flatten().flatten();
    let metas = entries.filter_map(|entry| read::<Meta>(&entry.path().join("meta.json")).ok().flatten());
    let mut names = metas.map(|meta| meta.name).collect::<Vec<_>>();
    names.sort();
    names
}

/// What a file of JSON holds; `None` if there is no such file.
fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, EngineError> {
    let wrong = |reason: String| EngineError::Directions {
        place: path.display().to_string(),
        reason,
    };
    match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| wrong(error.to_string())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(wrong(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The directory of a client with a context `far`, as Docker's own writes it.
    fn client() -> tempfile::TempDir {
        let client = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = client.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(
            &format!("contexts/meta/{}/meta.json", id("far")),
            r#"{"Name":"far","Metadata":{},"Endpoints":{"docker":{"Host":"tcp://far.example:2376","SkipTLSVerify":false}}}"#,
        );
        write(&format!("contexts/tls/{}/docker/ca.pem", id("far")), "");
        client
    }

    #[test]
    fn a_context_is_found_by_its_name_or_as_the_current_one() {
        let client = client();
        assert_eq!(find(client.path(), None).unwrap(), None);
        assert_eq!(find(client.path(), Some("default")).unwrap(), None);
        let far = find(client.path(), Some("far")).unwrap().unwrap();
        assert_eq!((far.host.as_str(), far.unverified), ("tcp://far.example:2376", false));
        assert!(far.certificates.as_ref().unwrap().join("ca.pem").exists());
        fs::write(
            client.path().join("config.json"),
            r#"{"auths":{},"currentContext":"far"}"#,
        )
        .unwrap();
        assert_eq!(find(client.path(), None).unwrap(), Some(far));
        assert_eq!(find(client.path(), Some("default")).unwrap(), None);
    }

    #[test]
    fn a_context_that_is_not_there_is_named_with_those_that_are() {
        let client = client();
        let error = find(client.path(), Some("fra")).unwrap_err().to_string();
        assert_eq!(
            error,
            "DOCKER_CONTEXT: there is no context \"fra\"; those there are: far"
        );
        fs::write(client.path().join("config.json"), r#"{"currentContext":"gone"}"#).unwrap();
        let error = find(client.path(), None).unwrap_err().to_string();
        assert!(
            error.contains("config.json: currentContext: there is no context \"gone\""),
            "{error}"
        );
        fs::write(client.path().join("config.json"), "{").unwrap();
        let error = find(client.path(), None).unwrap_err().to_string();
        assert!(error.contains("config.json: "), "{error}");
    }
}
