//! A repository of one deployment, a registry with its image, and something that answers as a hub does.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use world::{Ended, LocalRegistry, Repository};

use crate::artifacts;

/// A committed repository with the deployment `hub`, whose stages name an image that the registry has.
pub struct Place {
    pub repository: Repository,
    pub registry: LocalRegistry,
    pub digest: String,
}

/// What stands behind a stage that is deployed by lines of its own. `live`, `account` and the like are no files of git.
pub const LINES: &str = "driver: {command: {apply: make -s deploy, plan: echo would deploy $FLOE_IMAGE, \
                         status: cat live, destroy: rm live}}";

const MAKEFILE: &str = "deploy:\n\t@echo deploying $$FLOE_DEPLOYMENT $$FLOE_STAGE\n\t@echo $$FLOE_IMAGE > live\n";

impl Place {
    /// Stages as YAML, a line each: `name: staging, …` without the brackets of a map.
    pub fn new(stages: &[&str]) -> Self {
        let (repository, registry) = (Repository::new(), LocalRegistry::start());
        let digest = registry.image("hub/one", "1");
        let (address, image) = (
            registry.address("hub/one"),
            format!("{}@{digest}", registry.address("hub/one")),
        );
        artifacts::attest(&address, &image, &image);
        let place = Self {
            repository,
            registry,
            digest,
        };
        let stages = stages
            .iter()
            .map(|stage| format!("- {{{stage}}}"))
            .collect::<Vec<_>>()
            .join("\n");
        place.write("deployments/hub/deployment.yml", &format!("stages:\n{stages}\n"));
        for stage in ["staging", "prod"] {
            place.names(stage, &place.digest);
        }
        place.write("Makefile", MAKEFILE);
        place.write(".gitignore", "/.floe/\n/live\n/account\n/word\n/tf/\n");
        place.write("account", "123\n");
        place.git(&["init", "-q", "-b", "main"]);
        place.commit();
        place
    }

    pub fn path(&self) -> &Path {
        self.repository.path()
    }

    pub fn write(&self, path: &str, text: &str) {
        self.repository.write(path, text);
    }

    /// Lets a stage name the image of a digest.
    pub fn names(&self, stage: &str, digest: &str) {
        let name = self.registry.address("hub/one");
        let text = format!("singleuser:\n  image:\n    name: {name}\n    tag: 1@{digest}\n");
        self.write(&format!("deployments/hub/config/{stage}.yaml"), &text);
    }

    pub fn git(&self, words: &[&str]) -> String {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
        let mut command = Command::new("git");
        world::run(command.arg("-C").arg(self.path()).args(identity).args(words))
    }

    pub fn commit(&self) {
        self.git(&["add", "."]);
        self.git(&["commit", "-qm", "state", "--allow-empty"]);
    }

    pub fn floe(&self, words: &[&str]) -> Ended {
        self.repository.floe(words)
    }

    /// What runs, by the file that the lines write.
    pub fn live(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.path().join("live")).ok()?;
        Some(text.trim().to_owned())
    }

    pub fn image(&self) -> String {
        format!("{}:1@{}", self.registry.address("hub/one"), self.digest)
    }
}

/// An address below which `hub/api` gets this answer: the status line's end, and the body.
pub fn hub(status: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut asked = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            reader.read_line(&mut asked).unwrap();
            let mut line = String::new();
            while reader.read_line(&mut line).unwrap_or(0) > 2 {
                line.clear();
            }
            let is_api = asked.starts_with("GET /base/hub/api HTTP");
            let (status, body) = if is_api { (status, body) } else { ("404 Not Found", "") };
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    format!("http://127.0.0.1:{port}/base/")
}

/// What a hub answers.
pub const VERSION: &str = r#"{"version": "4.1.6"}"#;
