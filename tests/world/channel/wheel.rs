//! Python packages for the channel, out of the wheels of PyPI.

use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pep508_rs::{MarkerEnvironment, MarkerEnvironmentBuilder, Requirement, VerbatimUrl};
use sha2::{Digest as _, Sha256};

use super::package::{Content, Format, Kind, PLACEHOLDER, Package};
use super::run;

/// Wheels beside those of `wheels.txt`: earlier versions, so that there is something to update.
const EARLIER: &[&str] = &["iniconfig==2.0.0", "six==1.16.0"];

/// The platforms whose wheels the channel's Python takes, the best first.
const PLATFORMS: &[&str] = &["manylinux_2_28_x86_64", "manylinux2014_x86_64", "manylinux_2_17_x86_64"];

/// The packages that are packed in the older format.
const OLDER_FORMAT: &[&str] = &["idna", "six", "wheel"];

/// What conda-forge's packages often say of their origin: the directory that they were built from, which is no more.
pub const DIRECT_URL: &str =
    r#"{"dir_info": {}, "url": "file:///home/conda/feedstock_root/build_artifacts/fixture_1700000000000/work"}"#;

/// Downloads the wheels into a directory.
pub fn download(directory: &Path) {
    let tools = tempfile::tempdir().unwrap();
    run(Command::new("python3").args(["-m", "venv"]).arg(tools.path()));
    let pins = tools.path().join("wheels.txt");
    fs::write(&pins, include_str!("wheels.txt")).unwrap();
    let download = || {
        let mut command = Command::new(tools.path().join("bin/pip"));
        command.args(["download", "--quiet", "--no-deps", "--only-binary=:all:"]);
        command.args(["--implementation=cp", "--python-version=3.11"]);
        command.args(PLATFORMS.iter().map(|platform| format!("--platform={platform}")));
        // The index alone, so that the pins mean the same everywhere.
        command.env_remove("PIP_FIND_LINKS").arg("--dest").arg(directory);
        command
    };
    // In one call, pip takes one version of a package.
    run(download().arg("--requirement").arg(pins));
    run(download().args(EARLIER));
}

/// The wheels in a directory, in a fixed order.
pub fn list(directory: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut wheels = files.collect::<Vec<_>>();
    wheels.sort();
    wheels
}

/// A wheel as a conda package: for every platform, if the wheel is.
pub fn package(wheel: &Path) -> Package {
    let stem = wheel.file_stem().unwrap().to_string_lossy();
    let parts = stem.split('-').collect::<Vec<_>>();
    let (name, version) = (normalised(parts[0]), parts[1]);
    let pure = parts.last() == Some(&"any");
    let mut package = if pure {
        Package::new(&name, version, "pyhd8ed1ab_0")
    } else {
        Package::new(&name, version, "py311h0000000_0")
    };
    if pure {
        package.kind = Kind::Python;
    }
    if OLDER_FORMAT.contains(&name.as_str()) {
        package.format = Format::TarBz2;
    }
    let site_packages = if pure {
        "site-packages"
    } else {
        "lib/python3.11/site-packages"
    };
    let dist_info = format!("{site_packages}/{}-{version}.dist-info", parts[0]);
    add_files(&mut package, wheel, site_packages);

    let metadata = text(&package, &format!("{dist_info}/METADATA")).expect("a wheel has METADATA");
    package.depends = depends(&metadata, pure);
    let entry_points = text(&package, &format!("{dist_info}/entry_points.txt"));
    let entry_points = console_scripts(&entry_points.unwrap_or_default());
    if pure {
        package.entry_points = entry_points;
    } else {
        for entry_point in &entry_points {
            add_script(&mut package, entry_point);
        }
    }
    if name == "requests" {
        package.add(format!("{dist_info}/direct_url.json"), 0o644, DIRECT_URL);
    }
    complete(&mut package, &dist_info);
    package
}

/// The certificate authorities of the wheel of certifi.
pub fn certificates(wheels: &Path) -> Package {
    let wheels = list(wheels);
    let certifi = wheels.iter().find(|path| path.to_string_lossy().contains("/certifi-"));
    let certifi = package(certifi.expect("certifi is among the wheels"));
    let mut package = Package::new("ca-certificates", &certifi.version, "h0000000_0");
    let bundle = text(&certifi, "site-packages/certifi/cacert.pem").expect("certifi holds cacert.pem");
    package.add("ssl/cacert.pem", 0o644, bundle);
    package
}

/// Says in a `.dist-info` that conda installed it, and lists the package's files in its RECORD, so that pip and uv can
/// uninstall what conda installed.
pub fn complete(package: &mut Package, dist_info: &str) {
    package.add(format!("{dist_info}/INSTALLER"), 0o644, "conda\n");
    package.add(format!("{dist_info}/REQUESTED"), 0o644, "");
    let site_packages = dist_info.rsplit_once('/').expect("it lies in site-packages").0;
    let mut record = String::new();
    let mut line = |path: &str, rest: &str| writeln!(record, "{},{rest}", quoted(path)).unwrap();
    for (path, content) in package
        .files
        .iter()
        .filter(|(path, _)| !path.ends_with(".dist-info/RECORD"))
    {
        let path = match path.strip_prefix(&format!("{site_packages}/")) {
            Some(below) => below.to_owned(),
            None => format!("../../../{}", path.replace("python-scripts/", "bin/")),
        };
        match content {
            Content::File {
                bytes, prefixed: false, ..
            } => {
                let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(bytes));
                line(&path, &format!("sha256={digest},{}", bytes.len()));
            }
            _ => line(&path, ","),
        }
    }
    for entry_point in &package.entry_points {
        let name = entry_point.split('=').next().unwrap_or_default().trim();
        line(&format!("../../../bin/{name}"), ",");
    }
    let path = format!("{dist_info}/RECORD");
    line(path.strip_prefix(&format!("{site_packages}/")).unwrap_or(&path), ",");
    package.add(path, 0o644, record);
}

/// Adds a wheel's files where they belong.
fn add_files(package: &mut Package, wheel: &Path, site_packages: &str) {
    let mut archive = zip::ZipArchive::new(fs::File::open(wheel).unwrap()).unwrap();
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).unwrap();
        if file.is_dir() {
            continue;
        }
        let path = file.name().unwrap().into_owned();
        let mode = if file.unix_mode().unwrap_or(0) & 0o111 == 0 {
            0o644
        } else {
            0o755
        };
        let mut bytes = Vec::with_capacity(usize::try_from(file.size()).unwrap());
        file.read_to_end(&mut bytes).unwrap();
        let data = path.split_once(".data/").and_then(|(_, rest)| rest.split_once('/'));
        match data {
            Some(("scripts", rest)) => {
                let directory = if package.kind == Kind::Python {
                    "python-scripts"
                } else {
                    "bin"
                };
                let script = String::from_utf8(bytes).expect("a script is text");
                let script = script.strip_prefix("#!python").expect("a script is Python's");
                let script = format!("#!{PLACEHOLDER}/bin/python{script}");
                package.add_prefixed(format!("{directory}/{rest}"), 0o755, script);
            }
            Some(("data", rest)) => package.add(rest, mode, bytes),
            Some(("headers", rest)) => package.add(format!("include/{}/{rest}", package.name), mode, bytes),
            Some((_, rest)) => package.add(format!("{site_packages}/{rest}"), mode, bytes),
            None => package.add(format!("{site_packages}/{path}"), mode, bytes),
        }
    }
}

/// Adds the script that starts an entry point, for a package whose installer makes none.
fn add_script(package: &mut Package, entry_point: &str) {
    let (name, target) = entry_point.split_once('=').expect("name = module:function");
    let (module, function) = target.trim().split_once(':').expect("module:function");
    let function = function.split('[').next().unwrap_or_default().trim();
    let import = function.split('.').next().unwrap_or_default();
    let script = format!(
        "#!{PLACEHOLDER}/bin/python\nimport sys\nfrom {module} import {import}\n\nif __name__ == '__main__':\n    sys.exit({function}())\n"
    );
    package.add_prefixed(format!("bin/{}", name.trim()), 0o755, script);
}

/// The dependencies that hold for the channel's Python, as conda writes them.
fn depends(metadata: &str, pure: bool) -> Vec<String> {
    let environment = environment();
    let header = metadata.split("\n\n").next().unwrap_or_default();
    let values = |key: &'static str| header.lines().filter_map(move |line| line.strip_prefix(key));
    let mut depends = Vec::new();
    for value in values("Requires-Dist: ") {
        let requirement = Requirement::<VerbatimUrl>::from_str(value.trim());
        let requirement = requirement.unwrap_or_else(|error| panic!("{value}: {error}"));
        if requirement.evaluate_markers(&environment, &[]) {
            let version = match &requirement.version_or_url {
                Some(pep508_rs::VersionOrUrl::VersionSpecifier(version)) => version.to_string().replace(' ', ""),
                _ => String::new(),
            };
            depends.push(format!("{} {version}", requirement.name).trim().to_owned());
        }
    }
    if pure {
        let python = values("Requires-Python: ").next().unwrap_or_default().replace(' ', "");
        depends.push(format!("python {python}").trim().to_owned());
    } else {
        depends.extend([
            "python >=3.11,<3.12.0a0".to_owned(),
            "python_abi 3.11.* *_cp311".to_owned(),
        ]);
    }
    depends
}

/// What the channel's Python says of itself.
fn environment() -> MarkerEnvironment {
    MarkerEnvironment::try_from(MarkerEnvironmentBuilder {
        implementation_name: "cpython",
        implementation_version: "3.11.2",
        os_name: "posix",
        platform_machine: "x86_64",
        platform_python_implementation: "CPython",
        platform_release: "",
        platform_system: "Linux",
        platform_version: "",
        python_full_version: "3.11.2",
        python_version: "3.11",
        sys_platform: "linux",
    })
    .unwrap()
}

/// The `name = module:function` lines of the section for scripts.
fn console_scripts(entry_points: &str) -> Vec<String> {
    let lines = entry_points.lines().map(str::trim);
    let section = lines.skip_while(|line| *line != "[console_scripts]").skip(1);
    let section = section.take_while(|line| !line.starts_with('['));
    section.filter(|line| line.contains('=')).map(str::to_owned).collect()
}

fn text(package: &Package, path: &str) -> Option<String> {
    match package.files.get(path)? {
        Content::File { bytes, .. } => String::from_utf8(bytes.clone()).ok(),
        Content::Link { .. } => None,
    }
}

/// A path as a field of RECORD, which is a file of comma-separated values.
fn quoted(path: &str) -> String {
    if path.contains([',', '"']) {
        format!("\"{}\"", path.replace('"', "\"\""))
    } else {
        path.to_owned()
    }
}

/// A name in the form that is the same for `Ab.c`, `ab-c` and `AB_C`.
fn normalised(name: &str) -> String {
    let words = name.split(['-', '_', '.']).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_lowercase()
}
