//! What a bill of materials says, and what it must not.

use std::path::Path;

use super::*;

const YML: &str = "name: e\nchannels:\n  - conda-forge\ndependencies:\n  - python=3.11.2\n  - pip:\n      - numpy==2.1.0\n      \
                   - x @ git+https://me:secret@git.example/x.git@0123456789012345678901234567890123456789\n";

fn frozen() -> Frozen {
    Frozen::parse(Path::new("e-frozen.yml"), YML, None).unwrap()
}

fn read(contents: &Contents<'_>) -> serde_json::Value {
    serde_json::from_slice(&document(contents)).unwrap()
}

fn environments() -> Vec<(EnvironmentName, Frozen)> {
    ["a", "b"].map(|name| (name.parse().unwrap(), frozen())).into()
}

/// What numpy says, and a version of it that is not installed.
fn licences() -> Licences {
    let recorded = |text: &str| Recorded {
        text: Some(text.to_owned()),
        ..Recorded::default()
    };
    let of = |version: &str, text: &str| (("numpy".to_owned(), version.to_owned()), recorded(text));
    Licences::from([of("2.1.0", "BSD-3-Clause"), of("1.0", "MIT")])
}

static LICENCES: std::sync::LazyLock<Licences> = std::sync::LazyLock::new(licences);

fn contents<'a>(environments: &'a [(EnvironmentName, Frozen)], id: &'a Digest) -> Contents<'a> {
    let status = "Package: zlib1g\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:1.2+dfsg-1\n";
    Contents {
        name: "floe/m",
        id,
        created: Some("2026-11-01T10:20:30.5Z".parse().unwrap()),
        environments,
        licences: &LICENCES,
        system: Some((Distribution::of("", "12.1"), debian::installed(status))),
        unknown: &[],
    }
}

#[test]
fn each_package_is_named_once_with_its_url_and_by_all_that_hold_it() {
    let (environments, id) = (environments(), Digest::of(b"x"));
    let read = read(&contents(&environments, &id));
    let packages = read["packages"].as_array().unwrap();
    let urls = packages
        .iter()
        .filter_map(|package| package["externalRefs"][0]["referenceLocator"].as_str());
    let urls = urls.collect::<Vec<_>>();
    assert_eq!(
        urls,
        [
            "pkg:deb/debian/zlib1g@1:1.2%2Bdfsg-1?arch=amd64&distro=debian-12",
            "pkg:pypi/numpy@2.1.0",
            "pkg:pypi/x"
        ]
    );
    let declared = packages.iter().map(|package| package["licenseDeclared"].as_str());
    assert_eq!(
        declared.flatten().filter(|it| *it != "NOASSERTION").collect::<Vec<_>>(),
        ["BSD-3-Clause"]
    );
    assert_eq!(read["creationInfo"]["created"], "2026-11-01T10:20:30Z");
    let holders = |id: &str| {
        let relations = read["relationships"].as_array().unwrap();
        relations
            .iter()
            .filter(|relation| relation["relatedSpdxElement"] == id)
            .count()
    };
    assert_eq!(holders("SPDXRef-pypi-numpy-2.1.0"), 2);
    assert_eq!(holders("SPDXRef-image"), 1);
}

#[test]
fn the_same_image_gives_the_same_bytes_and_another_one_others() {
    let (environments, id, other) = (environments(), Digest::of(b"x"), Digest::of(b"y"));
    let contents = |id| document(&contents(&environments, id));
    assert_eq!(contents(&id), contents(&id));
    assert_ne!(contents(&id), contents(&other));
}

#[test]
fn no_credentials_are_told() {
    let (environments, id) = (environments(), Digest::of(b"x"));
    let text = String::from_utf8(document(&contents(&environments, &id))).unwrap();
    assert!(text.contains("git.example/x.git@0123456789"), "{text}");
    assert!(!text.contains("secret"), "{text}");
}

#[test]
fn a_licence_is_declared_where_it_is_an_expression_and_told_where_it_is_not() {
    for text in [
        "BSD-3-Clause",
        "GPL-2.0",
        "MIT OR Apache-2.0",
        "GPL-3.0-only WITH GCC-exception-3.1",
    ] {
        assert!(is_expression(text), "{text}");
    }
    for text in ["Public Domain", "PROPRIETARY", "BSD", ""] {
        assert!(!is_expression(text), "{text}");
    }
}

#[test]
fn identifiers_hold_nothing_but_letters_digits_dots_and_hyphens() {
    assert_eq!(identifier(&["deb", "a", "1.2-3"]), "SPDXRef-deb-a-1.2-3");
    let (plus, tilde) = (identifier(&["deb", "a", "1+2"]), identifier(&["deb", "a", "1~2"]));
    assert_ne!(plus, tilde);
    assert!(
        plus.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-'),
        "{plus}"
    );
}
