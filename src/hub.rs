//! The edge to a hub that runs: whether it answers as JupyterHub does.

use std::time::Duration;

use serde::Deserialize;

use crate::fault::{Explained, Kind, Trouble, chain};

/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// More of an answer than this, in bytes, is none of a hub's.
const MOST: usize = 1 << 20;

/// Why a hub does not answer as one.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// Its address is none.
    #[error("{address:?} is no address of a hub: {reason}")]
    Address {
        /// As it is written.
        address: String,
        /// Why.
        reason: String,
    },
    /// There is no way to ask at all.
    #[error("no hub can be asked: {0}")]
    Client(String),
    /// Nothing answers.
    #[error("{address}: {reason}")]
    Unreached {
        /// What was asked.
        address: String,
        /// Why.
        reason: String,
        /// What that tells.
        trouble: Option<Trouble>,
    },
    /// What answers refuses or fails.
    #[error("{address} answers {status}")]
    Status {
        /// What was asked.
        address: String,
        /// The status.
        status: u16,
    },
    /// What answers is no hub.
    #[error("{address} answers, and not as a hub does: {reason}")]
    Strange {
        /// What was asked.
        address: String,
        /// Why.
        reason: String,
    },
}

impl Explained for HubError {
    fn kind(&self) -> Kind {
        match self {
            Self::Address { .. } => Kind::Invalid,
            Self::Client(_) => Kind::Internal,
            Self::Status { status: 401 | 403, .. } => Kind::Refused,
            _ => Kind::Temporary,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Address { .. } => Some("`check.url` is an address such as https://hub.example.org/".to_owned()),
            Self::Client(_) => None,
            Self::Unreached { trouble, .. } => trouble.and_then(Trouble::hint).map(str::to_owned),
            Self::Status { status: 401 | 403, .. } => {
                Some("something before the hub asks for a login, which will not change by waiting".to_owned())
            }
            Self::Status { .. } | Self::Strange { .. } => {
                Some("look at the pods of the hub and its proxy, and at what stands before them".to_owned())
            }
        }
    }
}

/// Something that asks hubs.
pub struct HubClient(reqwest::Client);

/// What a hub says of itself to anybody.
#[derive(Deserialize)]
struct About {
    version: String,
}

impl HubClient {
    /// One that trusts the certificates in the PEM bundle `ca`, too.
    pub fn new(ca: Option<&[u8]>) -> Result<Self, HubError> {
        let mut client = reqwest::Client::builder().timeout(ANSWER_TIMEOUT);
        // What is no certificate is passed over, as OpenSSL does.
        let trusted = ca.map(|bundle| reqwest::Certificate::from_pem_bundle(bundle).unwrap_or_default());
        for certificate in trusted.unwrap_or_default() {
            client = client.add_root_certificate(certificate);
        }
        let client = client.build();
        client.map(Self).map_err(|error| HubError::Client(error.to_string()))
    }

    /// The version of the hub at `address`, which answers at `hub/api` below it.
    pub async fn version(&self, address: &str) -> Result<String, HubError> {
        let wrong = |reason: String| HubError::Address {
            address: address.to_owned(),
            reason,
        };
        let mut url = url::Url::parse(address).map_err(|error| wrong(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("it begins with neither http:// nor https://".to_owned()));
        }
        url.set_path(&format!("{}/hub/api", url.path().trim_end_matches('/')));
        let shown = crate::address::without_credentials(url.as_str());
        let unreached = |error: &reqwest::Error| {
            // The words at the bottom tell more than the address, which may hold any word.
            let innermost = chain(error).last().map(ToString::to_string).unwrap_or_default();
            HubError::Unreached {
                address: shown.clone(),
                reason: if error.is_timeout() {
                    format!("no answer within {} s", ANSWER_TIMEOUT.as_secs())
                } else {
                    innermost.clone()
                },
                trouble: Trouble::of(&innermost),
            }
        };
        let mut answer = self.0.get(url).send().await.map_err(|error| unreached(&error))?;
        let status = answer.status();
        if !status.is_success() {
            return Err(HubError::Status {
                address: shown,
                status: status.as_u16(),
            });
        }
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|error| unreached(&error))? {
            body.extend_from_slice(&piece);
            if body.len() > MOST {
                break;
            }
        }
        match serde_json::from_slice::<About>(&body) {
            Ok(about) => Ok(about.version),
            Err(error) => Err(HubError::Strange {
                address: shown,
                reason: format!("it does not tell a version ({error})"),
            }),
        }
    }
}
