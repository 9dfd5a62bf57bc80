//! What rattler solves and installs from the channel runs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rattler::install::Installer;
use rattler::package_cache::PackageCache;
use rattler_conda_types::{
    Channel as CondaChannel, ChannelConfig, GenericVirtualPackage, MatchSpec, ParseStrictness, RepoDataRecord, Subdir,
};
use rattler_repodata_gateway::Gateway;
use rattler_solve::{SolveError, SolverImpl as _, SolverTask, resolvo};
use world::channel::Channel;
use world::channel::synthetic::{PART_VERSIONS, PARTS};

#[test]
fn python_installed_from_it_imports_its_libraries_and_packages() {
    let scratch = tempfile::tempdir().unwrap();
    let prefix = install(&["python=3.11", "ipykernel", "numpy", "pip", "fixtool"], scratch.path());
    let code = format!("import {MODULES}, ipykernel, numpy, sys; print(sys.prefix, numpy.arange(4).sum())");
    assert_eq!(python(&prefix, &code), format!("{} 6\n", prefix.display()));
    let code = format!("import {MODULES}; print(open('/proc/self/maps').read())");
    let maps = python(&prefix, &code);
    let libraries = maps.lines().filter_map(|line| Some(&line[line.find('/')?..]));
    let libraries = libraries.filter(|path| path.contains("/lib") && path.contains(".so"));
    let foreign = libraries.filter(|path| !path.starts_with(prefix.to_str().unwrap()) && !of_glibc(path));
    assert_eq!(
        foreign.collect::<Vec<_>>(),
        [""; 0],
        "libraries from outside of the environment"
    );
    let said = python(
        &prefix,
        "import site, sysconfig; print(site.getsitepackages()[0] == sysconfig.get_path('purelib'), sysconfig.get_config_var('prefix'))",
    );
    assert_eq!(said, format!("True {}\n", prefix.display()));
    assert_eq!(
        run(&prefix.join("bin/fixtool"), &[]),
        format!("fixtool 0.2 {}\n", prefix.display())
    );
    assert_eq!(
        run(&prefix.join("bin/fixtool-script"), &[]),
        format!("fixtool 0.2 {}\n", prefix.display())
    );
    let pip = prefix.join("bin/pip");
    assert_eq!(run(&pip, &["check"]), "No broken requirements found.\n");
    run(&pip, &["uninstall", "--yes", "fixtool", "numpy"]);
    let left = [
        "bin/fixtool",
        "bin/fixtool-script",
        "lib/python3.11/site-packages/numpy",
    ];
    assert_eq!(
        left.map(|path| prefix.join(path).exists()),
        [false; 3],
        "pip leaves files of what it uninstalls"
    );
}

/// The modules of the standard library that need a C library of the channel's.
const MODULES: &str = "bz2, ctypes, curses, lzma, pyexpat, readline, sqlite3, ssl, uuid, zlib";

/// Whether a library is the C library or a part of it, which every environment takes from the system.
fn of_glibc(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    ["libc.", "libm.", "libdl.", "libpthread.", "ld-linux"]
        .iter()
        .any(|start| name.starts_with(start))
}

#[test]
fn the_prefix_stands_in_text_binaries_and_programs() {
    let scratch = tempfile::tempdir().unwrap();
    let prefix = install(&["fixlib=1.0"], scratch.path());
    let (short, share) = (prefix.display().to_string(), prefix.join("share/fixlib"));
    assert_eq!(run(&prefix.join("bin/fixlib-version"), &[]), "1.0 h1_1\n");
    assert_eq!(
        std::fs::read_to_string(share.join("prefix.txt")).unwrap(),
        format!("prefix={short}\n")
    );
    let binary = std::fs::read(share.join("prefix.bin")).unwrap();
    assert!(binary.starts_with(format!("\x7fBIN\0{short}/share/fixlib\0").as_bytes()));
    assert!(binary.ends_with(b"\0tail"));
}

#[test]
fn applications_that_need_two_versions_of_a_library_do_not_go_together() {
    assert_eq!(versions(&["app-old", "fixact"], "fixlib"), ["1.1"]);
    assert_eq!(versions(&["app-new"], "fixlib"), ["2.0"]);
    assert!(matches!(solve(&["app-old", "app-new"]), Err(SolveError::Unsolvable(_))));
    assert!(matches!(solve(&["app-lost"]), Err(SolveError::Unsolvable(_))));
}

#[test]
fn every_part_can_be_had_alone_and_many_pairs_cannot() {
    for part in PARTS {
        for version in PART_VERSIONS {
            let spec = format!("{part}={version}");
            assert!(solve(&[&spec]).is_ok(), "{spec} cannot be had");
        }
    }
    let pairs = (0..5).flat_map(|first| (first + 1..5).map(move |second| (PARTS[first], PARTS[second])));
    let pairs = pairs.flat_map(|(first, second)| [(1, 1), (1, 3), (3, 1), (3, 3)].map(|pair| (first, second, pair)));
    let solved = pairs
        .map(|(first, second, (one, other))| solve(&[&format!("{first}={one}"), &format!("{second}={other}")]).is_ok());
    let (can, cannot) = solved.partition::<Vec<_>, _>(|solved| *solved);
    assert!(
        can.len() >= 8 && cannot.len() >= 8,
        "{} can and {} cannot",
        can.len(),
        cannot.len()
    );
}

/// The versions of a package in the solution of specs.
fn versions(specs: &[&str], name: &str) -> Vec<String> {
    let records = solve(specs).unwrap();
    let named = records
        .iter()
        .filter(|record| record.package_record.name.as_normalized() == name);
    named.map(|record| record.package_record.version.to_string()).collect()
}

fn solve(specs: &[&str]) -> Result<Vec<RepoDataRecord>, SolveError> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(solution(specs))
}

async fn solution(specs: &[&str]) -> Result<Vec<RepoDataRecord>, SolveError> {
    let config = ChannelConfig::default_with_root_dir(PathBuf::from("/"));
    let channel = CondaChannel::from_str(Channel::shared().file_url(), &config).unwrap();
    let specs = specs
        .iter()
        .map(|spec| MatchSpec::from_str(spec, ParseStrictness::Lenient).unwrap());
    let specs = specs.collect::<Vec<_>>();
    let cache = tempfile::tempdir().unwrap();
    let gateway = Gateway::builder()
        .with_client(client())
        .with_cache_dir(cache.path())
        .finish();
    let query = gateway.query([channel], [Subdir::Linux64, Subdir::NoArch], specs.clone());
    let repodata = query.recursive(true).await.unwrap();
    let glibc = GenericVirtualPackage {
        name: "__glibc".parse().unwrap(),
        version: "2.36".parse().unwrap(),
        build_string: "0".parse().unwrap(),
    };
    let task = SolverTask {
        specs,
        virtual_packages: vec![glibc],
        ..repodata.iter().collect()
    };
    resolvo::Solver.solve(task).map(|solved| solved.records)
}

/// Installs what specs ask for and returns where.
fn install(specs: &[&str], scratch: &Path) -> PathBuf {
    let prefix = scratch.join("environment");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let records = solution(specs).await.unwrap();
        let installer = Installer::new()
            .with_download_client(client())
            .with_package_cache(PackageCache::new(scratch.join("packages")))
            .with_target_platform(Subdir::Linux64);
        installer.install(&prefix, records).await.unwrap();
    });
    prefix
}

/// A client of HTTP that trusts nobody, since a channel in files needs none.
fn client() -> reqwest::Client {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let tls = tls
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .build()
        .unwrap()
}

fn python(prefix: &Path, code: &str) -> String {
    run(&prefix.join("bin/python"), &["-c", code])
}

fn run(program: &Path, arguments: &[&str]) -> String {
    let ended = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("HOME", "/nonexistent")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{} {arguments:?}: {said}", program.display());
    String::from_utf8(ended.stdout).unwrap()
}
