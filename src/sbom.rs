//! A bill of materials: what an image holds, as SPDX 2.3 in JSON (<https://spdx.github.io/spdx-spec/v2.3/>).
//!
//! It is made of what floe knows exactly: the frozen specs and locks of the image's environments, and dpkg's own list. The
//! same image gives the same bytes: nothing in it is of the day or of the machine that wrote it. What nobody has recorded is
//! `NOASSERTION`: the licences of Debian packages, among others.

mod difference;
mod licence;

pub mod debian;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use self::debian::{DebianPackage, Distribution};
pub use self::difference::{Difference, differences};
use self::licence::is_expression;
pub use self::licence::{Licences, Recorded};
use crate::address;
use crate::reference::{Digest, EnvironmentName};
use crate::spec::frozen::{CondaPackage, Frozen, PipPackage};

/// The version of what is written here; another one may say more of the same image.
pub const FORMAT: u32 = 2;

const UNKNOWN: &str = "NOASSERTION";

/// What an image holds.
#[derive(Debug)]
pub struct Contents<'a> {
    /// What people call the image, e.g. `floe/roman`.
    pub name: &'a str,
    /// The image's ID.
    pub id: &'a Digest,
    /// When it was made, as far as that is known.
    pub created: Option<Timestamp>,
    /// Its environments.
    pub environments: &'a [(EnvironmentName, Frozen)],
    /// What the python distributions in them say of their licences, as far as that is known.
    pub licences: &'a Licences,
    /// The system below them, if it is one of Debian's kin.
    pub system: Option<(Distribution, Vec<DebianPackage>)>,
    /// What is not known of it, a sentence each.
    pub unknown: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the specification's names")]
struct Document {
    spdx_version: &'static str,
    data_license: &'static str,
    #[serde(rename = "SPDXID")]
    id: &'static str,
    name: String,
    document_namespace: String,
    creation_info: Creation,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    packages: Vec<Package>,
    relationships: Vec<Relationship>,
}

#[derive(Serialize)]
struct Creation {
    created: String,
    creators: [String; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Package {
    #[serde(rename = "SPDXID")]
    id: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_info: Option<String>,
    download_location: String,
    files_analyzed: bool,
    license_concluded: &'static str,
    license_declared: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    license_comments: Option<String>,
    copyright_text: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_info: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    primary_package_purpose: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checksums: Vec<Checksum>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_refs: Vec<External>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Checksum {
    algorithm: &'static str,
    checksum_value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the specification's names")]
struct External {
    reference_category: &'static str,
    reference_type: &'static str,
    reference_locator: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the specification's names")]
struct Relationship {
    spdx_element_id: String,
    relationship_type: &'static str,
    related_spdx_element: String,
}

/// The bill of materials of an image.
///
/// # Panics
///
/// Never: it consists of strings.
#[must_use]
pub fn document(contents: &Contents<'_>) -> Vec<u8> {
    let hex = contents.id.hex();
    let image = Package {
        primary_package_purpose: Some("CONTAINER"),
        checksums: sha256(Some(hex)),
        ..Package::new("SPDXRef-image".to_owned(), contents.name.to_owned())
    };
    let mut relationships = vec![relation("SPDXRef-DOCUMENT", "DESCRIBES", &image.id)];
    // A package that several environments hold is one.
    let mut packages = BTreeMap::new();
    let mut owners = Vec::new();
    for (name, frozen) in contents.environments {
        let owner = Package {
            primary_package_purpose: Some("APPLICATION"),
            ..Package::new(
                identifier(&["environment", name.as_str()]),
                format!("environment {name}"),
            )
        };
        relationships.push(relation(&image.id, "CONTAINS", &owner.id));
        let conda = frozen.conda.iter().map(conda);
        for package in conda.chain(frozen.pip.iter().map(|package| pip(package, contents.licences))) {
            relationships.push(relation(&owner.id, "CONTAINS", &package.id));
            packages.insert(package.id.clone(), package);
        }
        owners.push(owner);
    }
    if let Some((distribution, installed)) = &contents.system {
        for package in installed.iter().map(|package| debian(distribution, package)) {
            relationships.push(relation(&image.id, "CONTAINS", &package.id));
            packages.insert(package.id.clone(), package);
        }
    }
    let created = contents.created.unwrap_or(Timestamp::UNIX_EPOCH);
    let document = Document {
        spdx_version: "SPDX-2.3",
        data_license: "CC0-1.0",
        id: "SPDXRef-DOCUMENT",
        name: contents.name.to_owned(),
        document_namespace: format!(
            "https://spdx.org/spdxdocs/floe-{}-{hex}-{FORMAT}",
            contents.name.replace('/', "-")
        ),
        creation_info: Creation {
            created: created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            creators: [concat!("Tool: floe-", env!("CARGO_PKG_VERSION")).to_owned()],
        },
        comment: (!contents.unknown.is_empty()).then(|| contents.unknown.join("\n")),
        packages: [image]
            .into_iter()
            .chain(owners)
            .chain(packages.into_values())
            .collect(),
        relationships,
    };
    let mut text = serde_json::to_vec_pretty(&document).expect("strings are JSON");
    text.push(b'\n');
    text
}

impl Package {
    fn new(id: String, name: String) -> Self {
        Self {
            id,
            name,
            version_info: None,
            download_location: UNKNOWN.to_owned(),
            files_analyzed: false,
            license_concluded: UNKNOWN,
            license_declared: UNKNOWN.to_owned(),
            license_comments: None,
            copyright_text: UNKNOWN,
            source_info: None,
            primary_package_purpose: None,
            checksums: Vec::new(),
            external_refs: Vec::new(),
        }
    }
}

fn conda(package: &CondaPackage) -> Package {
    let CondaPackage {
        name, version, build, ..
    } = package;
    let record = package.record.as_ref();
    let about = record.map(|record| &record.package_record);
    let mut qualifiers = vec![("build", build.clone())];
    let channel = record
        .and_then(|record| record.channel.as_deref())
        .map(address::without_credentials);
    if let Some(channel) = channel {
        let short = channel.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        qualifiers.push(("channel", short.to_owned()));
    }
    if let Some(about) = about {
        qualifiers.push(("subdir", about.subdir.clone()));
    }
    let recorded = about.and_then(|about| about.license.clone());
    let declared = recorded.as_deref().filter(|text| is_expression(text));
    Package {
        version_info: Some(version.clone()),
        download_location: record.map_or_else(|| UNKNOWN.to_owned(), |record| location(record.url.as_str())),
        license_declared: declared.unwrap_or(UNKNOWN).to_owned(),
        license_comments: recorded.as_deref().filter(|_| declared.is_none()).map(as_recorded),
        checksums: sha256(package.sha256.as_deref()),
        external_refs: purl("conda", None, name, version, &qualifiers),
        ..Package::new(identifier(&["conda", name, version, build]), name.clone())
    }
}

fn pip(package: &PipPackage, licences: &Licences) -> Package {
    let PipPackage { name, version, .. } = package;
    // An index is each site's own, and so says nothing of where others find the package.
    let told = package
        .requirement
        .split_once('@')
        .map(|(_, address)| address.trim().to_owned());
    let found = if package.is_from_index() { None } else { told };
    let known = Some(version).filter(|version| !version.is_empty());
    let recorded = licences.get(&(name.clone(), version.clone()));
    let declared = recorded.and_then(Recorded::expression);
    let told = recorded.and_then(Recorded::told).filter(|_| declared.is_none());
    Package {
        version_info: known.cloned(),
        download_location: found.map_or_else(|| UNKNOWN.to_owned(), |address| location(&address)),
        license_declared: declared.unwrap_or_else(|| UNKNOWN.to_owned()),
        license_comments: told.as_deref().map(as_recorded),
        checksums: sha256(package.sha256.as_deref()),
        external_refs: purl("pypi", None, name, version, &[]),
        ..Package::new(identifier(&["pypi", name, version]), name.clone())
    }
}

fn debian(distribution: &Distribution, package: &DebianPackage) -> Package {
    let Distribution { name: system, release } = distribution;
    let DebianPackage {
        name,
        version,
        architecture,
        source,
        ..
    } = package;
    let qualifiers = [
        ("arch", architecture.clone()),
        ("distro", format!("{system}-{release}")),
    ];
    Package {
        version_info: Some(version.clone()),
        source_info: source
            .as_ref()
            .map(|source| format!("built from the source package {source}")),
        external_refs: purl("deb", Some(system), name, version, &qualifiers),
        ..Package::new(identifier(&["deb", name, architecture, version]), name.clone())
    }
}

/// The package's URL (<https://github.com/package-url/purl-spec>); its qualifiers are in the order of their names.
fn purl(
    kind: &str,
    namespace: Option<&str>,
    name: &str,
    version: &str,
    qualifiers: &[(&str, String)],
) -> Vec<External> {
    let namespace = namespace
        .map(|namespace| format!("{}/", escaped(namespace)))
        .unwrap_or_default();
    let version = if version.is_empty() {
        String::new()
    } else {
        format!("@{}", escaped(version))
    };
    let qualifiers = qualifiers
        .iter()
        .map(|(name, value)| format!("{name}={}", escaped(value)));
    let qualifiers = qualifiers.collect::<Vec<_>>().join("&");
    let qualifiers = if qualifiers.is_empty() {
        qualifiers
    } else {
        format!("?{qualifiers}")
    };
    vec![External {
        reference_category: "PACKAGE-MANAGER",
        reference_type: "purl",
        reference_locator: format!("pkg:{kind}/{namespace}{}{version}{qualifiers}", escaped(name)),
    }]
}

/// The text as a package URL has it.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_~:".contains(&byte);
    text.bytes()
        .map(|byte| {
            if plain(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

/// Where a package comes from, as the specification lets it be written, without credentials.
fn location(address: &str) -> String {
    let address = address::without_credentials(address);
    let known = ["https://", "http://", "git+", "hg+", "svn+", "bzr+"];
    // What is only on the machine that built it is found by nobody else.
    if known.iter().any(|scheme| address.starts_with(scheme)) && !address.contains(char::is_whitespace) {
        address
    } else {
        UNKNOWN.to_owned()
    }
}

fn sha256(hex: Option<&str>) -> Vec<Checksum> {
    let checksum = hex.map(|hex| Checksum {
        algorithm: "SHA256",
        checksum_value: hex.to_owned(),
    });
    checksum.into_iter().collect()
}

fn relation(from: &str, kind: &'static str, to: &str) -> Relationship {
    Relationship {
        spdx_element_id: from.to_owned(),
        relationship_type: kind,
        related_spdx_element: to.to_owned(),
    }
}

/// An identifier of letters, digits, dots and hyphens. Other characters are told apart by their digest.
fn identifier(parts: &[&str]) -> String {
    let text = parts.join("-");
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    let kept = text.chars().map(|c| if plain(c) { c } else { '-' }).collect::<String>();
    if kept == text {
        return format!("SPDXRef-{kept}");
    }
    format!("SPDXRef-{kept}-{}", &Digest::of(text.as_bytes()).short()[..8])
}

fn as_recorded(license: &str) -> String {
    format!("the package's own record says: {license}")
}

#[cfg(test)]
mod tests;
