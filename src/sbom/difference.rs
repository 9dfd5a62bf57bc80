//! What differs between two bills of materials, whoever wrote them.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A package that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its kind and name, as in a package's URL: `pypi/numpy`.
    pub package: String,
    /// Its versions before; none if it is new.
    pub before: Vec<String>,
    /// Its versions now; none if it is gone.
    pub now: Vec<String>,
}

#[derive(Deserialize)]
struct Document {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Package {
    name: String,
    version_info: Option<String>,
    #[serde(default)]
    external_refs: Vec<External>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct External {
    reference_type: String,
    reference_locator: String,
}

/// The packages that differ, in the order of their names. `None` if one of the two is no SPDX in JSON.
#[must_use]
pub fn differences(before: &[u8], now: &[u8]) -> Option<Vec<Difference>> {
    let (before, now) = (packages(before)?, packages(now)?);
    let mut names = before.keys().chain(now.keys()).collect::<Vec<_>>();
    names.sort();
    names.dedup();
    let versions = |of: &BTreeMap<String, Vec<String>>, name: &str| of.get(name).cloned().unwrap_or_default();
    let differing = names.into_iter().filter_map(|name| {
        let (before, now) = (versions(&before, name), versions(&now, name));
        (before != now).then(|| Difference {
            package: name.clone(),
            before,
            now,
        })
    });
    Some(differing.collect())
}

/// The versions of each package. One that has no URL is the image itself, or nothing that anybody installed.
fn packages(document: &[u8]) -> Option<BTreeMap<String, Vec<String>>> {
    let document = serde_json::from_slice::<Document>(document).ok()?;
    let mut packages = BTreeMap::<String, Vec<String>>::new();
    for package in document.packages {
        let url = package
            .external_refs
            .iter()
            .find(|external| external.reference_type == "purl");
        let Some(kind) = url.and_then(|url| url.reference_locator.strip_prefix("pkg:")?.split('/').next()) else {
            continue;
        };
        let version = package.version_info.unwrap_or_default();
        packages
            .entry(format!("{kind}/{}", package.name))
            .or_default()
            .push(version);
    }
    for versions in packages.values_mut() {
        versions.sort();
        versions.dedup();
    }
    Some(packages)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(packages: &[(&str, &str)]) -> Vec<u8> {
        let packages = packages.iter().map(|(name, version)| {
            let url = format!("pkg:pypi/{name}@{version}");
            json!({
                "name": name,
                "versionInfo": version,
                "externalRefs": [{"referenceType": "purl", "referenceLocator": url}],
            })
        });
        let mut packages = packages.collect::<Vec<_>>();
        packages.push(json!({ "name": "image", "versionInfo": "x" }));
        json!({ "packages": packages }).to_string().into_bytes()
    }

    #[test]
    fn what_came_went_and_changed_is_told_and_nothing_else() {
        let before = document(&[("numpy", "1"), ("six", "1"), ("same", "1"), ("numpy", "2")]);
        let now = document(&[("numpy", "2"), ("new", "1"), ("same", "1")]);
        let told = differences(&before, &now).unwrap();
        let told = told
            .iter()
            .map(|it| format!("{} {:?} {:?}", it.package, it.before, it.now));
        assert_eq!(
            told.collect::<Vec<_>>(),
            [
                r#"pypi/new [] ["1"]"#,
                r#"pypi/numpy ["1", "2"] ["2"]"#,
                r#"pypi/six ["1"] []"#
            ]
        );
        assert_eq!(differences(b"{}", &now), None);
    }
}
