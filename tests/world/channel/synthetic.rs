//! Small packages that give solvers and installers something to choose, to rewrite, to run and to fail at.

use super::package::{Format, Kind, PLACEHOLDER, Package};
use super::wheel;

/// The family of packages for tests over random sets of specs: each in every one of [`PART_VERSIONS`], and each version
/// depending on some parts later in this list, so that many sets have a solution and many have none.
pub const PARTS: &[&str] = &[
    "part-a", "part-b", "part-c", "part-d", "part-e", "part-f", "part-g", "part-h", "part-i", "part-j",
];

/// The versions of each of [`PARTS`].
pub const PART_VERSIONS: &[u32] = &[1, 2, 3];

/// All of them.
pub fn packages() -> Vec<Package> {
    let mut packages = vec![
        fixlib("1.0", "h1_0", 0),
        fixlib("1.0", "h1_1", 1),
        fixlib("1.1", "h1_0", 0),
        fixlib("2.0", "h1_0", 0),
        fixact(),
        fixtool("0.1"),
        fixtool("0.2"),
        fixpost(),
        Package::generic("app-old", "1.0", "0").depends(&["fixlib <2"]),
        Package::generic("app-new", "1.0", "0").depends(&["fixlib >=2"]),
        Package::generic("app-lost", "1.0", "0").depends(&["no-such-library >=1"]),
        Package::generic("python_abi", "3.11", "5_cp311")
            .number(5)
            .constrains(&["python 3.11.*"]),
    ];
    packages.extend(parts());
    for package in packages.iter_mut().filter(|package| package.name.starts_with("app-")) {
        package.add(
            format!("share/{}/version", package.name),
            0o644,
            package.version.clone(),
        );
    }
    packages
}

/// A library in several versions and builds, with the prefix in text, in binary data and in a program.
fn fixlib(version: &str, build: &str, number: u64) -> Package {
    let mut package = Package::new("fixlib", version, build)
        .number(number)
        .packed_as(Format::TarBz2);
    package.add("share/fixlib/version", 0o644, format!("{version} {build}\n"));
    package.add("lib/libfix.so.1", 0o755, format!("\x7fFIX\0{version}\0"));
    package.link("lib/libfix.so", "libfix.so.1");
    package.add_prefixed("share/fixlib/prefix.txt", 0o644, format!("prefix={PLACEHOLDER}\n"));
    // Two C strings, then data at an offset that must stay.
    let binary = format!("\x7fBIN\0{PLACEHOLDER}/share/fixlib\0{PLACEHOLDER}/etc:{PLACEHOLDER}/lib\0tail");
    package.add_prefixed("share/fixlib/prefix.bin", 0o644, binary);
    let program = format!("#!/bin/sh\nexec cat '{PLACEHOLDER}/share/fixlib/version'\n");
    package.add_prefixed("bin/fixlib-version", 0o755, program);
    package
}

/// Scripts and variables for activation, and a dependency that holds `fixlib` back.
fn fixact() -> Package {
    let mut package = Package::generic("fixact", "0.1", "0").depends(&["fixlib <2"]);
    package.add("etc/conda/activate.d/fixact.sh", 0o644, "export FIXACT=1\n");
    package.add("etc/conda/deactivate.d/fixact.sh", 0o644, "unset FIXACT\n");
    package.add("etc/conda/env_vars.d/fixact.json", 0o644, "{\"FIXACT_LEVEL\": \"7\"}\n");
    package
}

/// A Python package for every platform, with an entry point, a script and, as conda-forge's often have, the record of the
/// directory that it was built from.
fn fixtool(version: &str) -> Package {
    let mut package = Package::generic("fixtool", version, "pyhd8ed1ab_0").depends(&["python >=3.8"]);
    package.kind = Kind::Python;
    package.entry_points.push("fixtool = fixtool:main".to_owned());
    let module = format!(
        "import sys\n\n__version__ = '{version}'\n\n\ndef main():\n    print('fixtool', __version__, sys.prefix)\n"
    );
    package.add("site-packages/fixtool/__init__.py", 0o644, module);
    let script = format!("#!{PLACEHOLDER}/bin/python\nimport fixtool\n\nfixtool.main()\n");
    package.add_prefixed("python-scripts/fixtool-script", 0o755, script);
    let dist_info = format!("site-packages/fixtool-{version}.dist-info");
    let metadata = format!("Metadata-Version: 2.1\nName: fixtool\nVersion: {version}\n");
    package.add(format!("{dist_info}/METADATA"), 0o644, metadata);
    let tags = "Wheel-Version: 1.0\nGenerator: fixture\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    package.add(format!("{dist_info}/WHEEL"), 0o644, tags);
    package.add(format!("{dist_info}/direct_url.json"), 0o644, wheel::DIRECT_URL);
    wheel::complete(&mut package, &dist_info);
    package
}

/// A package with a script that conda runs after linking.
fn fixpost() -> Package {
    let mut package = Package::new("fixpost", "1.0", "0");
    let script = "#!/bin/sh\nmkdir -p \"$PREFIX/share/fixpost\"\necho linked > \"$PREFIX/share/fixpost/linked\"\n";
    package.add("bin/.fixpost-post-link.sh", 0o755, script);
    package
}

fn parts() -> impl Iterator<Item = Package> {
    let versions = |index| PART_VERSIONS.iter().map(move |version| part(index, *version));
    (0..PARTS.len()).flat_map(versions)
}

/// One version of one part: it wants one later part no older than itself, another no newer, a third the same.
fn part(index: usize, version: u32) -> Package {
    let mut package = Package::generic(PARTS[index], &format!("{version}.0"), "0");
    let wants = [
        (index.is_multiple_of(2), 1, ">="),
        (index.is_multiple_of(3), 2, "<="),
        (index % 4 == 1, 3, "=="),
    ];
    for (_, offset, operator) in wants.into_iter().filter(|(wanted, _, _)| *wanted) {
        if let Some(name) = PARTS.get(index + offset) {
            package.depends.push(format!("{name} {operator}{version}.0"));
        }
    }
    package.add(format!("share/parts/{}", PARTS[index]), 0o644, format!("{version}.0\n"));
    package
}
