//! Where a distribution came from: an index, or what its `direct_url.json` (PEP 610) says.
//!
//! What conda built may carry the `file:` address of its build there: only pip's count.

use std::collections::BTreeMap;

use serde::Deserialize;
use url::Url;

/// Where a distribution can be had again.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// From an index, by name and version.
    Index,
    /// From an address of its own.
    Address {
        /// As a requirement names it: `git+https://…@<commit>` or `https://…whl#sha256=…`.
        address: String,
        /// The archive; `None` for a git repository.
        url: Option<Url>,
        /// The digest of the archive.
        sha256: Option<String>,
    },
}

#[derive(Deserialize)]
struct DirectUrl {
    url: Url,
    subdirectory: Option<String>,
    vcs_info: Option<Repository>,
    archive_info: Option<Archive>,
    dir_info: Option<Directory>,
}

#[derive(Deserialize)]
struct Repository {
    vcs: String,
    commit_id: String,
}

#[derive(Deserialize)]
struct Archive {
    hash: Option<String>,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Directory {
    #[serde(default)]
    editable: bool,
}

/// Reads the text of `direct_url.json`, which is empty for a package of an index. The error says why the package cannot
/// be had elsewhere, and what to do.
pub(super) fn of(direct_url: &str) -> Result<Origin, String> {
    if direct_url.trim().is_empty() {
        return Ok(Origin::Index);
    }
    let DirectUrl {
        url,
        subdirectory,
        vcs_info,
        archive_info,
        dir_info,
    } = serde_json::from_str(direct_url).map_err(|error| format!("its direct_url.json is not valid: {error}"))?;
    if dir_info.is_some_and(|dir_info| dir_info.editable) {
        return Err(editable(url.path()));
    }
    if url.scheme() == "file" {
        return Err(format!(
            "it was installed from {}, which exists on this machine alone",
            url.path()
        ));
    }
    let url = without_credentials(url);
    let mut fragment = subdirectory.map(|subdirectory| format!("subdirectory={subdirectory}"));
    if let Some(Repository { vcs, commit_id }) = vcs_info {
        if vcs != "git" {
            return Err(format!(
                "it was installed from a repository of {vcs}, which nothing here can read"
            ));
        }
        let fragment = fragment.map(|fragment| format!("#{fragment}")).unwrap_or_default();
        return Ok(Origin::Address {
            address: format!("git+{url}@{commit_id}{fragment}"),
            url: None,
            sha256: None,
        });
    }
    let sha256 = archive_info.and_then(|archive| {
        let hash = archive.hash.as_deref().and_then(|hash| hash.strip_prefix("sha256="));
        archive
            .hashes
            .get("sha256")
            .map(String::as_str)
            .or(hash)
            .map(str::to_lowercase)
    });
    let digest = sha256.as_ref().map(|sha256| format!("sha256={sha256}"));
    fragment = match (digest, fragment) {
        (Some(digest), Some(fragment)) => Some(format!("{digest}&{fragment}")),
        (digest, fragment) => digest.or(fragment),
    };
    let mut address = url.clone();
    address.set_fragment(fragment.as_deref());
    Ok(Origin::Address {
        address: address.to_string(),
        url: Some(url),
        sha256,
    })
}

/// Why an editable installation cannot be frozen.
pub(super) fn editable(directory: &str) -> String {
    format!("it is an editable installation of {directory}, whose text may change at any time")
}

/// The address without password, token and fragment. The user that `ssh` logs in as stays.
fn without_credentials(mut url: Url) -> Url {
    // Fails for addresses without a host alone, which have none.
    let _ = url.set_password(None);
    if url.scheme() != "ssh" {
        let _ = url.set_username("");
    }
    url.set_fragment(None);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn address(json: &str) -> String {
        match of(json) {
            Ok(Origin::Address { address, .. }) => address,
            other => panic!("{json}: {other:?}"),
        }
    }

    #[test]
    fn an_address_is_written_with_what_pins_it() {
        for (json, expected) in [
            (
                r#"{"url": "https://u:t@example.org/x.git", "vcs_info": {"vcs": "git", "commit_id": "c0ffee", "requested_revision": "main"}, "subdirectory": "s"}"#,
                "git+https://example.org/x.git@c0ffee#subdirectory=s".to_owned(),
            ),
            (
                r#"{"url": "ssh://git@example.org/x.git", "vcs_info": {"vcs": "git", "commit_id": "c0ffee"}}"#,
                "git+ssh://git@example.org/x.git@c0ffee".to_owned(),
            ),
            (
                &format!(r#"{{"url": "https://example.org/x.whl", "archive_info": {{"hash": "sha256={DIGEST}"}}}}"#),
                format!("https://example.org/x.whl#sha256={DIGEST}"),
            ),
            (
                &format!(
                    r#"{{"url": "https://t@example.org/x.zip#egg=x", "archive_info": {{"hashes": {{"sha256": "{DIGEST}"}}}}, "subdirectory": "s"}}"#
                ),
                format!("https://example.org/x.zip#sha256={DIGEST}&subdirectory=s"),
            ),
            (
                r#"{"url": "https://example.org/x.zip", "archive_info": {}}"#,
                "https://example.org/x.zip".to_owned(),
            ),
        ] {
            assert_eq!(address(json), expected);
        }
        assert_eq!(of("\n"), Ok(Origin::Index));
    }

    #[test]
    fn what_exists_here_alone_is_refused_with_its_path() {
        for (json, words) in [
            (
                r#"{"url": "file:///src/x", "dir_info": {"editable": true}}"#,
                "editable installation of /src/x",
            ),
            (r#"{"url": "file:///src/x", "dir_info": {}}"#, "from /src/x"),
            (r#"{"url": "file:///src/x.whl", "archive_info": {}}"#, "from /src/x.whl"),
            (
                r#"{"url": "file:///src/x", "vcs_info": {"vcs": "git", "commit_id": "c0ffee"}}"#,
                "from /src/x",
            ),
            (
                r#"{"url": "https://example.org/x", "vcs_info": {"vcs": "hg", "commit_id": "c0ffee"}}"#,
                "repository of hg",
            ),
        ] {
            assert!(of(json).unwrap_err().contains(words), "{json}");
        }
    }
}
