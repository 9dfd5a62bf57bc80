//! Environments of the test channel's packages.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rattler::install::Installer;
use rattler::package_cache::PackageCache;
use rattler_conda_types::{
    Channel as CondaChannel, ChannelConfig, GenericVirtualPackage, MatchSpec, ParseStrictness, RepoDataRecord, Subdir,
};
use rattler_repodata_gateway::Gateway;
use rattler_solve::{SolverImpl as _, SolverTask, resolvo};
use world::channel::Channel;

use crate::place::Place;

/// What most tests install.
pub const SPECS: &[&str] = &["python=3.11", "numpy", "pip", "fixtool", "fixlib=1.0"];

/// Makes an environment of what `specs` ask for, by rattler's own installer.
pub fn install(place: &Place, environment: &str, specs: &[&str]) -> PathBuf {
    let prefix = place.prefix(environment);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let installer = Installer::new()
            .with_download_client(client())
            .with_package_cache(PackageCache::new(world::scratch().join("conda-packages")))
            .with_target_platform(Subdir::Linux64);
        installer.install(&prefix, solution(specs).await).await.unwrap();
    });
    prefix
}

async fn solution(specs: &[&str]) -> Vec<RepoDataRecord> {
    let config = ChannelConfig::default_with_root_dir(PathBuf::from("/"));
    let channel = CondaChannel::from_str(Channel::shared().file_url(), &config).unwrap();
    let specs = specs
        .iter()
        .map(|spec| MatchSpec::from_str(spec, ParseStrictness::Lenient).unwrap())
        .collect::<Vec<_>>();
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
    resolvo::Solver.solve(task).unwrap().records
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

/// Runs a program of an environment, and returns what it prints.
pub fn run(program: &Path, arguments: &[&str]) -> String {
    world::run(Command::new(program).args(arguments).env_remove("PYTHONPATH"))
}

/// Installs from PyPI into an environment.
pub fn pip_install(prefix: &Path, requirements: &[&str]) {
    let arguments = ["-m", "pip", "install", "--quiet", "--no-deps"];
    run(
        &prefix.join("bin/python"),
        &[arguments.as_slice(), requirements].concat(),
    );
}
