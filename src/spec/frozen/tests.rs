//! Frozen specs read back as they were written, and what is not frozen is refused.

use std::path::Path;

use proptest::prelude::*;
use rattler_conda_types::{PackageName, PackageRecord};

use super::*;
use crate::fault::Explained as _;

const DIGEST: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn yml() -> &'static Path {
    Path::new("x-frozen.yml")
}

fn conda(name: &str, version: &str, build: &str, subdir: &str) -> CondaPackage {
    let mut record = PackageRecord::new(
        PackageName::new_unchecked(name),
        version.parse::<rattler_conda_types::VersionWithSource>().unwrap(),
        build.parse().unwrap(),
    );
    let digest = Digest::of(name.as_bytes()).to_string();
    let hex = digest.trim_start_matches("sha256:");
    let mut bytes = [0; 32];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * index..][..2], 16).unwrap();
    }
    record.sha256 = Some(bytes.into());
    subdir.clone_into(&mut record.subdir);
    record.depends = vec!["libc >=2".to_owned()];
    let file = format!("{name}-{version}-{build}.conda");
    // What is derived from the location, the lock does not write: reading one record gives it the form it is read in.
    if subdir == "linux-64" {
        (record.arch, record.platform) = (Some("x86_64".to_owned()), Some("linux".to_owned()));
    }
    CondaPackage {
        name: name.to_owned(),
        version: version.to_owned(),
        build: build.to_owned(),
        sha256: Some(hex.to_owned()),
        record: Some(RepoDataRecord {
            package_record: record,
            identifier: file.parse().unwrap(),
            url: format!("https://conda.anaconda.org/conda-forge/{subdir}/{file}")
                .parse()
                .unwrap(),
            channel: Some("https://conda.anaconda.org/conda-forge/".to_owned()),
        }),
    }
}

fn pip(name: &str, version: &str) -> PipPackage {
    PipPackage {
        name: name.to_owned(),
        version: version.to_owned(),
        requirement: format!("{name}=={version}"),
        url: None,
        sha256: Some(DIGEST.to_owned()),
        requires: Vec::new(),
    }
}

pub(super) fn example() -> Frozen {
    let commit = "0123456789abcdef0123456789abcdef01234567";
    Frozen {
        name: "roman-cal".to_owned(),
        channels: vec!["conda-forge".to_owned()],
        conda: vec![
            conda("_libgcc_mutex", "0.1", "conda_forge", "linux-64"),
            conda("python", "3.11.2", "h1_0_cpython", "linux-64"),
            conda("tzdata", "2026a", "0", "noarch"),
        ],
        pip: vec![
            PipPackage {
                requirement: format!("drizzle @ git+https://example.org/drizzle.git@{commit}#subdirectory=sub"),
                sha256: None,
                ..pip("drizzle", "1.2.dev3")
            },
            PipPackage {
                url: Some(
                    "https://pypi.example.org/packages/a/b/numpy-2.1.0-cp311.whl"
                        .parse()
                        .unwrap(),
                ),
                ..pip("numpy", "2.1.0")
            },
            PipPackage {
                requires: vec![
                    "numpy>=1.2,<3".to_owned(),
                    "x[y] ; python_full_version < '3.13' and extra == 'all'".to_owned(),
                ],
                ..pip("private-tool", "1.0+site")
            },
            PipPackage {
                requirement: format!("x @ https://example.org/x-1-py3-none-any.whl#sha256={DIGEST}"),
                url: Some("https://example.org/x-1-py3-none-any.whl".parse().unwrap()),
                ..pip("x", "1")
            },
        ],
        variables: [
            ("A".to_owned(), "1".to_owned()),
            ("B".to_owned(), "a: \"b\"\n".to_owned()),
        ]
        .into(),
        specs: Some(Digest::of(b"x.pip")),
        python: None,
    }
}

fn read_back(frozen: &Frozen) -> Frozen {
    Frozen::parse(yml(), &frozen.to_yml(), Some(&frozen.to_lock().unwrap())).unwrap()
}

#[test]
fn a_package_is_the_same_however_its_name_is_spelled() {
    let frozen = example();
    let text = frozen
        .to_yml()
        .replace("private-tool==", "Private_Tool==")
        .replace("- x @ ", "- X @ ");
    assert_eq!(
        Frozen::parse(yml(), &text, Some(&frozen.to_lock().unwrap())).unwrap(),
        frozen
    );
}

#[test]
fn the_yml_is_one_that_conda_reads() {
    insta::assert_snapshot!(example().to_yml(), @r#"
    # Written by floe: exactly what the environment holds. The lock beside it belongs to it.
    # Not to be edited: change the other spec files, then `floe lock`.
    # specs: sha256:71e863f2514567a567b33cb5e15eb92233376e56a6a927bc2b897d8c38e13961
    name: roman-cal
    channels:
      - conda-forge
      - nodefaults
    dependencies:
      - _libgcc_mutex=0.1=conda_forge[sha256=60e47625048e78696fc15926c33a8d4c46ac9d8309d408a371873e3ec4c6fa74]
      - python=3.11.2=h1_0_cpython[sha256=11a4a60b518bf24989d481468076e5d5982884626aed9faeb35b8576fcd223e1]
      - tzdata=2026a=0[sha256=572d4fe95e2cfd3425b70544a829f39104cad64fb57cdc63a25f9e837fb79917]
      - pip:
          - drizzle @ git+https://example.org/drizzle.git@0123456789abcdef0123456789abcdef01234567#subdirectory=sub
          - numpy==2.1.0
          - private-tool==1.0+site
          - x @ https://example.org/x-1-py3-none-any.whl#sha256=ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
    variables:
      A: "1"
      B: "a: \"b\"\n"
    "#);
}

#[test]
fn a_frozen_spec_and_its_lock_read_back_as_they_were_written() {
    let example = example();
    let read = read_back(&example);
    assert_eq!(read, example);
    assert_eq!(
        (read.to_yml(), read.to_lock().unwrap()),
        (example.to_yml(), example.to_lock().unwrap())
    );
}

#[test]
fn a_frozen_yml_works_without_its_lock() {
    let read = Frozen::parse(yml(), &example().to_yml(), None).unwrap();
    assert_eq!(read.to_yml(), example().to_yml());
    assert!(read.conda.iter().all(|package| package.record.is_none()));
    assert!(
        read.to_lock()
            .unwrap_err()
            .to_string()
            .contains("_libgcc_mutex=0.1=conda_forge")
    );
}

#[test]
fn a_venv_is_frozen_with_its_exact_python() {
    let venv = Frozen {
        name: "tools".to_owned(),
        python: Some("3.11.2".to_owned()),
        pip: vec![pip("numpy", "2.1.0")],
        ..Frozen::default()
    };
    assert!(
        venv.to_yml().contains("dependencies:\n  - python=3.11.2\n  - pip:\n"),
        "{}",
        venv.to_yml()
    );
    assert_eq!(read_back(&venv), venv);
}

#[test]
fn what_conda_exported_is_a_frozen_spec() {
    let text = "name: x\nchannels:\n  - https://example.org/c\n  - defaults\ndependencies:\n  - _openmp_mutex=4.5=2_gnu\n  \
                - conda-forge::numpy=1.26.4=py311h64a7726_0\n  - pip:\n      - requests==2.31.0\nprefix: /home/me/x\n";
    let frozen = Frozen::parse(yml(), text, None).unwrap();
    assert_eq!(frozen.channels, ["https://example.org/c", "defaults", "conda-forge"]);
    let names = frozen
        .conda
        .iter()
        .map(|p| format!("{} {} {}", p.name, p.version, p.build))
        .collect::<Vec<_>>();
    assert_eq!(names, ["_openmp_mutex 4.5 2_gnu", "numpy 1.26.4 py311h64a7726_0"]);
    assert_eq!(frozen.pip[0].version, "2.31.0");
}

#[test]
fn what_floats_is_refused_with_its_line() {
    for (text, line, words) in [
        (
            "dependencies:\n- a=1=0\n- numpy=1.26.4\n",
            3,
            "`numpy=1.26.4` is not frozen: it has no build string",
        ),
        ("dependencies:\n- a=1=0\n- python=3.11.2\n", 3, "it has no build string"),
        ("dependencies:\n- python=3.11\n", 2, "it has no build string"),
        ("dependencies:\n- numpy\n", 2, "it has no exact version"),
        ("dependencies:\n- numpy>=1.2\n", 2, "it has no exact version"),
        ("dependencies:\n- numpy=1.26.*=py311_0\n", 2, "it has no exact version"),
        ("dependencies:\n- numpy=1.26=*_0\n", 2, "it has no build string"),
        ("dependencies:\n- numpy=1.26=0[sha256=12]\n", 2, "64 hexadecimal digits"),
        ("dependencies:\n- pip:\n  - numpy\n", 3, "it has no exact version"),
        ("dependencies:\n- pip:\n  - numpy>=1\n", 3, "it has no exact version"),
        ("dependencies:\n- pip:\n  - numpy==1.*\n", 3, "one exact version"),
        ("dependencies:\n- pip:\n  - -r other.txt\n", 3, "only `name==version`"),
        (
            "dependencies:\n- pip:\n  - x @ git+https://example.org/x@main\n",
            3,
            "it names no commit",
        ),
        ("dependencies:\n- pip:\n  - x @ file:///src/x\n", 3, "https:"),
    ] {
        let error = Frozen::parse(yml(), text, None).unwrap_err();
        let SpecError::Floating { line: found, .. } = &error else {
            panic!("{text}: {error}")
        };
        assert_eq!(*found, Some(line), "{text}: {error}");
        assert!(error.to_string().contains(words), "{text}: {error}");
        assert!(error.hint().unwrap().contains("floe freeze"), "{text}");
    }
}

#[test]
fn a_package_that_is_listed_twice_is_refused() {
    for text in [
        "dependencies:\n- a=1=0\n- a=2=0\n",
        "dependencies:\n- pip:\n  - a.b==1\n  - A-B==2\n",
    ] {
        let error = Frozen::parse(yml(), text, None).unwrap_err();
        assert!(error.to_string().contains("listed twice"), "{error}");
    }
}

type Change = fn(&mut Frozen);

#[test]
fn a_lock_of_another_day_is_refused() {
    let lock = example().to_lock().unwrap();
    let changes: [(Change, &str); 7] = [
        (|f| f.conda.truncate(2), "the lock alone has tzdata"),
        (|f| f.pip.truncate(3), "the lock alone has x"),
        (
            |f| f.conda.push(conda("zlib", "1", "0", "linux-64")),
            "the lock has no zlib",
        ),
        (
            |f| "2025b".clone_into(&mut f.conda[2].version),
            "tzdata is 2025b=0 in the one, 2026a=0 in the other",
        ),
        (
            |f| f.conda[0].sha256 = Some(DIGEST.to_owned()),
            "_libgcc_mutex has different digests",
        ),
        (
            |f| f.pip[1] = pip("numpy", "2.0"),
            "numpy is 2.0 in the one, 2.1.0 in the other",
        ),
        (
            |f| f.pip[0].requirement = f.pip[0].requirement.replace("0123", "9999"),
            "drizzle is at git+https://example.org/drizzle.git@9999",
        ),
    ];
    for (change, words) in changes {
        let mut frozen = example();
        change(&mut frozen);
        let error = Frozen::parse(yml(), &frozen.to_yml(), Some(&lock)).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert!(
            error
                .to_string()
                .starts_with("x-frozen.yml and x-frozen.lock do not agree"),
            "{error}"
        );
        assert!(error.hint().unwrap().contains("floe freeze"));
    }
}

#[test]
fn a_saved_frozen_spec_is_loaded_with_its_lock() {
    let dir = tempfile::tempdir().unwrap();
    let path = Frozen::yml_path(dir.path(), "roman-cal");
    assert!(Frozen::is_frozen(&path));
    example().save(&path).unwrap();
    assert_eq!(Frozen::load(&path).unwrap(), example());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn a_frozen_spec_is_known_by_its_name() {
    for (name, expected) in [
        ("x-frozen.yml", true),
        ("a/x-frozen.yaml", true),
        ("x.yml", false),
        ("-frozen.yml", false),
        ("x-frozen.lock", false),
    ] {
        assert_eq!(Frozen::is_frozen(Path::new(name)), expected, "{name}");
    }
}

fn any_conda() -> impl Strategy<Value = CondaPackage> {
    (
        "[a-z_][a-z0-9_.]{0,9}",
        "[0-9]{1,3}(\\.[0-9]{1,3}){0,3}(rc1)?",
        "[a-z0-9]{1,8}_[0-9]{1,2}",
        any::<bool>(),
    )
        .prop_map(|(name, version, build, noarch)| {
            conda(&name, &version, &build, if noarch { "noarch" } else { "linux-64" })
        })
}

fn any_pip() -> impl Strategy<Value = PipPackage> {
    (
        "[A-Za-z0-9]([A-Za-z0-9._-]{0,8}[A-Za-z0-9])?",
        "[1-9][0-9]{0,2}(\\.[1-9][0-9]{0,2}){0,3}",
        any::<bool>(),
        prop::collection::vec("[a-z]{1,5}(\\[[a-z]{1,3}\\])?>=[1-9]( ; extra == '[a-z]{1,4}')?", 0..3),
    )
        .prop_map(|(name, version, known, requires)| {
            let mut package = pip(&name, &version);
            package.requires = requires;
            if !known {
                package.sha256 = None;
            }
            package
        })
}

/// Any environment, in the order and spelling of frozen specs.
pub(super) fn any_environment() -> impl Strategy<Value = Frozen> {
    (
        "[A-Za-z0-9]([A-Za-z0-9._-]{0,8}[A-Za-z0-9])?",
        prop::collection::vec(any_conda(), 0..6),
        prop::collection::vec(any_pip(), 0..6),
        prop::collection::btree_map("[A-Za-z_][A-Za-z0-9_]{0,5}", any::<String>(), 0..4),
    )
        .prop_map(|(name, conda, pip, variables)| {
            let mut frozen = Frozen {
                name,
                conda,
                pip,
                variables,
                ..Frozen::default()
            };
            frozen.conda.sort_by(|a, b| a.name.cmp(&b.name));
            frozen.conda.dedup_by(|a, b| a.name == b.name);
            frozen.pip.sort_by_key(|package| normalized(&package.name));
            frozen.pip.dedup_by_key(|package| normalized(&package.name));
            // However the names are spelled.
            frozen.sort().unwrap();
            frozen
        })
}

proptest! {
    #[test]
    fn any_environment_reads_back_as_it_was_written(frozen in any_environment()) {
        let read = read_back(&frozen);
        prop_assert_eq!(&read, &frozen);
        prop_assert_eq!(read.to_yml(), frozen.to_yml());
        prop_assert_eq!(read.to_lock().unwrap(), frozen.to_lock().unwrap());
    }
}
