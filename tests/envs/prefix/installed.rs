//! Environments of the test channel's packages.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use floe::envs::Layout;
use floe::event::Memory;
use floe::reference::EnvironmentName;
use rattler::install::Installer;
use rattler::package_cache::PackageCache;
use rattler_conda_types::{
    Channel as CondaChannel, ChannelConfig, GenericVirtualPackage, MatchSpec, ParseStrictness, RepoDataRecord, Subdir,
};
use rattler_repodata_gateway::Gateway;
use rattler_solve::{SolverImpl as _, SolverTask, resolvo};

use world::channel::Channel;

/// What most tests install.
pub const SPECS: &[&str] = &["python=3.11", "numpy", "pip", "fixtool", "fixlib=1.0"];

/// A place for environments that goes with the test.
pub struct Place {
    pub layout: Layout,
    pub sink: Memory,
    _root: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        Self {
            layout: Layout::of_image(root.path().canonicalize().unwrap().join("conda")),
            sink: Memory::default(),
            _root: root,
        }
    }

    pub fn prefix(&self, environment: &str) -> PathBuf {
        self.layout.prefix(&name(environment))
    }

    /// Makes an environment of what `specs` ask for.
    pub fn install(&self, environment: &str, specs: &[&str]) -> PathBuf {
        let prefix = self.prefix(environment);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let cache = world::scratch().join("conda-packages");
            let installer = Installer::new()
                .with_download_client(client())
                .with_package_cache(PackageCache::new(cache))
                .with_target_platform(Subdir::Linux64);
            installer.install(&prefix, solution(specs).await).await.unwrap();
        });
        prefix
    }
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

pub fn name(text: &str) -> EnvironmentName {
    text.parse().unwrap()
}

/// Runs a program of an environment, and returns what it prints.
pub fn run(program: &Path, arguments: &[&str]) -> String {
    let ended = Command::new(program)
        .args(arguments)
        .env_remove("PYTHONPATH")
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{} {arguments:?}: {said}", program.display());
    String::from_utf8(ended.stdout).unwrap()
}

/// Installs from PyPI into an environment.
pub fn pip_install(prefix: &Path, requirements: &[&str]) {
    let arguments = ["-m", "pip", "install", "--quiet", "--no-deps"];
    run(
        &prefix.join("bin/python"),
        &[arguments.as_slice(), requirements].concat(),
    );
}
