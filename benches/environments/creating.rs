//! An environment made from its frozen spec, beside what rattler and uv need for the same packages by themselves.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use floe::spec::frozen::Frozen;
use rattler::install::{Installer, LinkOptions};
use rattler::package_cache::PackageCache;
use rattler_conda_types::{RepoDataRecord, Subdir};

use super::measure::{Bar, Row, medians, time, time_to_last_word, timed};
use super::workplace::{Sample, Workplace, remove};

/// floe compiles all sources of an environment, without which every start of a kernel would pay; the others leave that
/// to `compileall`. It is the last that floe does, and it does it in silence.
pub fn measure(workplace: &Workplace, rounds: usize) -> Vec<Row> {
    let sample = workplace.small();
    let conda = sample.frozen.conda.len();
    let what = format!("{conda} conda and {} pip packages", sample.frozen.pip.len());
    assert!(conda >= 50, "{what} are too few");
    let other = Other::new(workplace, &sample);

    let ours = &mut || {
        remove(&sample.prefix);
        let yml = sample.yml.to_str().unwrap();
        time_to_last_word(&mut workplace.floe(&["env-create", sample.name, yml]))
    };
    let copied = &mut || {
        remove(&other.prefix);
        let installed = other.link(true) + other.pip();
        [installed, installed + other.compile()]
    };
    let linked = &mut || {
        remove(&other.prefix);
        [other.link(false) + other.pip(); 2]
    };
    let [[ours_installed, ours], [installed, compiled], [linked, _]] = medians(rounds, [ours, copied, linked]);
    vec![
        Row::new(
            format!("env-create, frozen, {what}"),
            ours,
            ("rattler + uv + compileall, copying", compiled),
            Some(Bar::Times(1.3)),
        ),
        Row::new(
            "  without bytecode".to_owned(),
            ours_installed,
            ("rattler + uv, copying", installed),
            Some(Bar::Times(1.3)),
        ),
        Row::new(
            "  without bytecode, beside hard links".to_owned(),
            ours_installed,
            ("rattler with hard links + uv", linked),
            None,
        ),
        Row::new(
            "  bytecode alone".to_owned(),
            ours.saturating_sub(ours_installed),
            ("compileall -j 0", compiled.saturating_sub(installed)),
            None,
        ),
    ]
}

/// The same packages without floe.
struct Other<'a> {
    workplace: &'a Workplace,
    prefix: PathBuf,
    records: Vec<RepoDataRecord>,
    pins: PathBuf,
}

impl<'a> Other<'a> {
    fn new(workplace: &'a Workplace, sample: &Sample) -> Self {
        let records = sample.frozen.conda.iter();
        Self {
            workplace,
            prefix: workplace.prefix("other"),
            records: records.map(|package| package.record.clone().unwrap()).collect(),
            pins: workplace.file("hashed.txt", &hashed(&sample.frozen)),
        }
    }

    /// rattler's installer, in this very process.
    fn link(&self, copies: bool) -> Duration {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let installer = Installer::new()
            .with_download_client(client())
            .with_package_cache(PackageCache::new(self.workplace.packages()))
            .with_target_platform(Subdir::Linux64)
            .with_link_options(LinkOptions {
                allow_symbolic_links: None,
                allow_hard_links: copies.then_some(false),
                allow_ref_links: None,
            });
        timed(|| {
            runtime
                .block_on(installer.install(&self.prefix, self.records.clone()))
                .unwrap()
        })
    }

    fn pip(&self) -> Duration {
        let mut command = self.workplace.command(&self.workplace.uv());
        command
            .args(["pip", "install", "--quiet", "--no-deps", "--require-hashes", "--python"])
            .arg(self.prefix.join("bin/python"))
            .arg("--requirement")
            .arg(&self.pins);
        time(&mut command)
    }

    fn compile(&self) -> Duration {
        let mut command = Command::new(self.prefix.join("bin/python"));
        command
            .args([
                "-m",
                "compileall",
                "-q",
                "-j",
                "0",
                "--invalidation-mode",
                "unchecked-hash",
            ])
            .arg(self.prefix.join("lib/python3.11"));
        // Some sources are meant not to compile, and then it does not end well.
        timed(|| command.output().unwrap())
    }
}

/// Requirements with their hashes.
fn hashed(frozen: &Frozen) -> String {
    let lines = frozen.pip.iter().map(|package| {
        let digest = package.sha256.as_ref().expect("env-export asked the index");
        format!("{} --hash=sha256:{digest}\n", package.requirement)
    });
    lines.collect()
}

/// A client of HTTP that trusts nobody: the channel is in files, and all of it is cached.
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
