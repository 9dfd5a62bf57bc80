//! The site's settings as a build takes them: files for the mounts of `RUN`s, and the builder's own proxy arguments.

use std::collections::BTreeMap;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::BuildError;
use crate::compose::{APT, CA, CONDA, PIP, UV};
use crate::config::Site;

/// The IDs of the mounts that `site` calls for.
#[must_use]
pub fn mount_ids(site: &Site) -> Vec<&'static str> {
    let mut ids = Vec::new();
    if site.ca.is_some() {
        ids.extend([CA, APT]);
    }
    if site.pip_index.is_some() {
        ids.extend([PIP, UV]);
    }
    if site.conda_mirror.is_some() || !site.conda_channels.is_empty() {
        ids.push(CONDA);
    }
    ids
}

/// The content of each mount that `site` calls for, by ID.
pub fn mounts(site: &Site) -> Result<BTreeMap<String, Vec<u8>>, BuildError> {
    let mut mounts = BTreeMap::new();
    let mut add = |id: &str, content: Vec<u8>| mounts.insert(id.to_owned(), content);
    if let Some(path) = &site.ca {
        let failed = |reason: String| BuildError::Mount {
            path: path.clone(),
            reason,
        };
        let bundle = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
        let mut certificates = CertificateDer::pem_slice_iter(&bundle);
        if !certificates.any(|certificate| certificate.is_ok()) {
            return Err(failed("holds no certificate in PEM form".to_owned()));
        }
        add(CA, bundle);
        add(APT, b"Acquire::https::CAInfo \"/dev/floe/ca.crt\";\n".to_vec());
    }
    if let Some(url) = &site.pip_index {
        add(PIP, format!("[global]\nindex-url = {url}\n").into_bytes());
        add(
            UV,
            format!("[[index]]\nurl = \"{}\"\ndefault = true\n", url.replace('"', "%22")).into_bytes(),
        );
    }
    if let Some(condarc) = condarc(site) {
        add(CONDA, condarc);
    }
    Ok(mounts)
}

/// Conda's configuration. JSON is YAML, and quotes whatever a URL may hold.
fn condarc(site: &Site) -> Option<Vec<u8>> {
    let mut settings = serde_json::Map::new();
    if !site.conda_channels.is_empty() {
        settings.insert("channels".to_owned(), site.conda_channels.clone().into());
    }
    if let Some(mirror) = &site.conda_mirror {
        settings.insert("channel_alias".to_owned(), mirror.clone().into());
    }
    (!settings.is_empty()).then(|| format!("{:#}\n", serde_json::Value::from(settings)).into_bytes())
}

/// The builder's predefined proxy arguments, which reach every `RUN` and neither history nor cache keys.
#[must_use]
pub fn proxies(site: &Site) -> BTreeMap<String, String> {
    let both =
        |(name, value): (&String, &String)| [(name.clone(), value.clone()), (name.to_lowercase(), value.clone())];
    site.proxies.iter().flat_map(both).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mount_has_a_content() {
        let dir = tempfile::tempdir().unwrap();
        let ca = dir.path().join("ca.pem");
        std::fs::write(&ca, "-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n").unwrap();
        let site = Site {
            ca: Some(ca),
            pip_index: Some("https://user:secret@pypi.example/simple".to_owned()),
            conda_channels: vec!["conda-forge".to_owned()],
            conda_mirror: Some("https://conda.example".to_owned()),
            ..Site::default()
        };
        let mut ids = mount_ids(&site);
        ids.sort_unstable();
        assert_eq!(mounts(&site).unwrap().into_keys().collect::<Vec<_>>(), ids);
        assert!(mount_ids(&Site::default()).is_empty());
    }

    #[test]
    fn a_bundle_without_a_certificate_is_refused_before_any_build() {
        let dir = tempfile::tempdir().unwrap();
        let ca = dir.path().join("ca.pem");
        std::fs::write(&ca, "not a certificate").unwrap();
        let site = Site {
            ca: Some(ca),
            ..Site::default()
        };
        assert!(mounts(&site).unwrap_err().to_string().contains("no certificate"));
    }
}
