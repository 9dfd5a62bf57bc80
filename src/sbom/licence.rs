//! What a python distribution's own metadata says of its licence, and the SPDX expression that it stands for, where it can
//! stand for one only.
//!
//! Since core metadata 2.4 `License-Expression` is one (<https://packaging.python.org/specifications/core-metadata/>). Before
//! that `License` is any text, and classifiers are a list of kinds, of which some name no version: "BSD License" is several.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a distribution's metadata says, each part as it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// The `License-Expression`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
    /// The first line of the `License`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What stands behind `License ::` in the classifiers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classifiers: Vec<String>,
}

/// More than this is no name of a licence but its text, in characters.
const LONGEST_NAME: usize = 80;

/// What distributions say, by their normalized names and their versions.
pub type Licences = BTreeMap<(String, String), Recorded>;

impl Recorded {
    /// The SPDX expression, if it can be one only.
    #[must_use]
    pub fn expression(&self) -> Option<String> {
        if let Some(text) = &self.expression {
            return Some(text.clone()).filter(|text| is_expression(text));
        }
        let named = self.text.as_deref().and_then(of_text);
        let classified = of_classifiers(&self.classifiers);
        match (named, classified) {
            (Some(one), Some(other)) if one != other => None,
            (one, other) => one.or(other),
        }
    }

    /// What people call it: the expression, else a text that is short enough for a name, else what a classifier ends in.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        let stated = [&self.expression, &self.text].into_iter().flatten();
        let mut stated = stated
            .filter(|text| text.chars().count() <= LONGEST_NAME)
            .map(String::as_str);
        let classified = self
            .classifiers
            .iter()
            .filter_map(|classifier| classifier.rsplit(":: ").next());
        let mut classified = classified.filter(|name| *name != "OSI Approved");
        stated.next().or_else(|| classified.next()).map(str::to_owned)
    }

    /// All of it in one line; `None` if it says nothing.
    #[must_use]
    pub fn told(&self) -> Option<String> {
        let parts = self.expression.iter().chain(&self.text).chain(&self.classifiers);
        let parts = parts.map(String::as_str).collect::<Vec<_>>();
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

/// Whether a licence is written as SPDX has it. Packages also hold names that people gave to theirs.
pub(super) fn is_expression(text: &str) -> bool {
    let mode = spdx::ParseMode {
        allow_deprecated: true,
        ..spdx::ParseMode::STRICT
    };
    spdx::Expression::parse_mode(text, mode).is_ok()
}

fn of_text(text: &str) -> Option<String> {
    let text = text.trim();
    if is_expression(text) {
        return Some(text.to_owned());
    }
    let plain = text.to_ascii_lowercase().replace([',', '"', '\''], " ");
    let words = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    let words = words.strip_prefix("the ").unwrap_or(&words);
    let known = TEXTS.iter().find(|(_, texts)| texts.contains(&words));
    known.map(|(identifier, _)| (*identifier).to_owned())
}

/// One licence alone: of several, nothing says whether all of them hold or a choice of them.
fn of_classifiers(classifiers: &[String]) -> Option<String> {
    let [classifier] = classifiers else { return None };
    let name = classifier.rsplit(" :: ").next().unwrap_or_default().trim();
    let known = CLASSIFIERS.iter().find(|(_, names)| names.contains(&name));
    known.map(|(identifier, _)| (*identifier).to_owned())
}

/// Names that people write for one licence, in lower case.
const TEXTS: &[(&str, &[&str])] = &[
    (
        "MIT",
        &["mit license", "mit licence", "mit license (mit)", "expat license"],
    ),
    (
        "Apache-2.0",
        &[
            "apache 2.0",
            "apache 2",
            "apache-2",
            "apache v2",
            "apache v2.0",
            "apache license 2.0",
            "apache license v2.0",
            "apache license version 2.0",
            "apache license (version 2.0)",
            "apache 2.0 license",
            "apache software license 2.0",
            "apache software license version 2.0",
            "http://www.apache.org/licenses/license-2.0",
            "https://www.apache.org/licenses/license-2.0",
        ],
    ),
    (
        "BSD-3-Clause",
        &[
            "bsd 3-clause",
            "bsd 3 clause",
            "bsd-3-clause license",
            "bsd 3-clause license",
            "3-clause bsd",
            "3-clause bsd license",
            "bsd (3-clause)",
            "new bsd",
            "new bsd license",
            "modified bsd license",
            "revised bsd license",
        ],
    ),
    (
        "BSD-2-Clause",
        &[
            "bsd 2-clause",
            "bsd 2-clause license",
            "2-clause bsd",
            "2-clause bsd license",
            "simplified bsd",
            "simplified bsd license",
        ],
    ),
    ("ISC", &["isc license", "isc licence", "isc license (iscl)"]),
    (
        "MPL-2.0",
        &[
            "mpl 2.0",
            "mpl v2",
            "mozilla public license 2.0",
            "mozilla public license version 2.0",
            "mozilla public license 2.0 (mpl 2.0)",
        ],
    ),
    ("Unlicense", &["unlicense", "public domain (unlicense)"]),
    ("GPL-3.0-or-later", &["gplv3+", "gpl-3.0+", "gpl 3.0 or later"]),
    ("GPL-2.0-or-later", &["gplv2+", "gpl-2.0+", "gpl 2.0 or later"]),
    ("LGPL-3.0-or-later", &["lgplv3+", "lgpl-3.0+"]),
    ("LGPL-2.1-or-later", &["lgplv2.1+", "lgpl-2.1+"]),
    ("PSF-2.0", &["psf-2.0 license"]),
];

/// The classifiers of <https://pypi.org/classifiers/> that stand for one licence, in one version.
const CLASSIFIERS: &[(&str, &[&str])] = &[
    ("MIT", &["MIT License"]),
    ("MIT-0", &["MIT No Attribution License (MIT-0)"]),
    ("ISC", &["ISC License (ISCL)"]),
    ("MPL-1.1", &["Mozilla Public License 1.1 (MPL 1.1)"]),
    ("MPL-2.0", &["Mozilla Public License 2.0 (MPL 2.0)"]),
    ("BSL-1.0", &["Boost Software License 1.0 (BSL-1.0)"]),
    ("Unlicense", &["The Unlicense (Unlicense)"]),
    ("Zlib", &["zlib/libpng License"]),
    ("0BSD", &["Zero-Clause BSD (0BSD)"]),
    ("BlueOak-1.0.0", &["Blue Oak Model License (BlueOak-1.0.0)"]),
    ("CC0-1.0", &["CC0 1.0 Universal (CC0 1.0) Public Domain Dedication"]),
    ("EPL-1.0", &["Eclipse Public License 1.0 (EPL-1.0)"]),
    ("EPL-2.0", &["Eclipse Public License 2.0 (EPL-2.0)"]),
    ("EUPL-1.1", &["European Union Public Licence 1.1 (EUPL 1.1)"]),
    ("EUPL-1.2", &["European Union Public Licence 1.2 (EUPL 1.2)"]),
    ("GPL-2.0-only", &["GNU General Public License v2 (GPLv2)"]),
    ("GPL-2.0-or-later", &["GNU General Public License v2 or later (GPLv2+)"]),
    ("GPL-3.0-only", &["GNU General Public License v3 (GPLv3)"]),
    ("GPL-3.0-or-later", &["GNU General Public License v3 or later (GPLv3+)"]),
    (
        "LGPL-2.0-or-later",
        &["GNU Lesser General Public License v2 or later (LGPLv2+)"],
    ),
    ("LGPL-3.0-only", &["GNU Lesser General Public License v3 (LGPLv3)"]),
    (
        "LGPL-3.0-or-later",
        &["GNU Lesser General Public License v3 or later (LGPLv3+)"],
    ),
    ("AGPL-3.0-only", &["GNU Affero General Public License v3"]),
    (
        "AGPL-3.0-or-later",
        &["GNU Affero General Public License v3 or later (AGPLv3+)"],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(expression: &str, text: &str, classifiers: &[&str]) -> Option<String> {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let recorded = Recorded {
            expression: given(expression),
            text: given(text),
            classifiers: classifiers.iter().map(|name| (*name).to_owned()).collect(),
        };
        recorded.expression()
    }

    #[test]
    fn a_licence_is_called_by_what_is_short_enough_for_a_name() {
        let named = |expression: Option<&str>, text: Option<&str>, classifiers: &[&str]| {
            let recorded = Recorded {
                expression: expression.map(str::to_owned),
                text: text.map(str::to_owned),
                classifiers: classifiers.iter().map(|name| (*name).to_owned()).collect(),
            };
            recorded.name()
        };
        let whole = "Permission is hereby granted, ".repeat(5);
        assert_eq!(named(Some("MIT"), Some("Expat"), &[]).as_deref(), Some("MIT"));
        assert_eq!(
            named(None, Some("Expat"), &["OSI Approved :: MIT License"]).as_deref(),
            Some("Expat")
        );
        let classified = ["OSI Approved", "OSI Approved :: MIT License"];
        assert_eq!(named(None, Some(&whole), &classified).as_deref(), Some("MIT License"));
        assert_eq!(named(None, None, &["OSI Approved"]), None);
    }

    #[test]
    fn a_licence_is_declared_where_the_metadata_can_mean_one_only() {
        const OSI: &str = "OSI Approved :: MIT License";
        // Expression, text, classifiers, and what they come to. As numpy 2.3, attrs 25, six 1.17, scipy 1.15 and others have it.
        let table: &[(&str, &str, &[&str], Option<&str>)] = &[
            ("BSD-3-Clause AND 0BSD", "", &[], Some("BSD-3-Clause AND 0BSD")),
            ("", "MIT", &[OSI], Some("MIT")),
            ("", "", &[OSI], Some("MIT")),
            (
                "",
                "Apache License, Version 2.0",
                &["OSI Approved :: Apache Software License"],
                Some("Apache-2.0"),
            ),
            ("", "The MIT License", &[], Some("MIT")),
            (
                "",
                "",
                &["OSI Approved :: GNU General Public License v3 (GPLv3)"],
                Some("GPL-3.0-only"),
            ),
            // No version, several licences, two answers, somebody's own words.
            ("", "", &["OSI Approved :: Apache Software License"], None),
            ("", "BSD", &["OSI Approved :: BSD License"], None),
            ("", "", &[OSI, "OSI Approved :: Apache Software License"], None),
            ("", "ISC", &[OSI], None),
            ("", "see LICENSE.txt", &[], None),
            ("Mine", "MIT", &[], None),
            ("", "", &[], None),
        ];
        for (expression, text, classifiers, meant) in table {
            let found = recorded(expression, text, classifiers);
            assert_eq!(found.as_deref(), *meant, "{expression:?} {text:?} {classifiers:?}");
        }
    }

    #[test]
    fn every_licence_of_the_tables_is_one_of_spdx() {
        for (identifier, _) in TEXTS.iter().chain(CLASSIFIERS) {
            assert!(is_expression(identifier), "{identifier}");
        }
    }
}
