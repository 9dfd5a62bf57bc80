//! A repository with a deployment of two stages, and a registry with images.

use std::process::Command;

use serde_json::json;
use world::{Ended, LocalRegistry, Repository};

use crate::artifacts;

pub struct Hub {
    repository: Repository,
    registry: LocalRegistry,
}

impl Hub {
    /// One deployment, `pub`, whose stages `staging` and `prod` name an image by a tag.
    pub fn new() -> Self {
        let hub = Self {
            repository: Repository::new(),
            registry: LocalRegistry::start(),
        };
        let name = hub.registry.address("hub");
        hub.write("hub/values.yaml", "singleuser:\n  memory: {limit: 1G}\n  cpu: 1\n");
        hub.write(
            "deployments/pub/deployment.yml",
            "stages:\n  - name: staging\n  - name: prod\n    protected: true\n",
        );
        hub.write("deployments/pub/config/common.yaml", "debug: false\n");
        hub.write(
            "deployments/pub/config/staging.yaml",
            &format!("singleuser:\n  image: {name}:old\n"),
        );
        let prod = format!(
            "# Production.\nsingleuser:\n  image:\n    name: {name}\n    tag: \"old\"  # by floe\n  memory: {{limit: 4G}}\n"
        );
        hub.write("deployments/pub/config/prod.yaml", &prod);
        hub.write(".gitignore", ".floe/\n");
        hub.git(&["init", "-q", "-b", "main"]);
        hub.commit("all");
        hub
    }

    pub fn write(&self, path: &str, text: &str) {
        self.repository.write(path, text);
    }

    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.repository.path().join(path)).unwrap()
    }

    pub fn floe(&self, words: &[&str]) -> Ended {
        self.floe_with(words, &[])
    }

    pub fn floe_with(&self, words: &[&str], variables: &[(&str, &str)]) -> Ended {
        let mut command = self.command(words);
        command.envs(variables.iter().copied());
        Ended::of(command.output().unwrap())
    }

    /// The call of floe, not yet started.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = self.repository.command(words);
        command.envs(IDENTITY.iter().copied());
        command
    }

    pub fn path(&self) -> &std::path::Path {
        self.repository.path()
    }

    pub fn git(&self, words: &[impl AsRef<str>]) -> String {
        let mut command = Command::new("git");
        command
            .arg("-C")
            .arg(self.repository.path())
            .envs(IDENTITY.iter().copied());
        world::run(command.args(words.iter().map(AsRef::as_ref)))
    }

    pub fn commit(&self, subject: &str) {
        self.git(&["add", "."]);
        self.git(&["commit", "-qm", subject]);
    }

    /// What must not change: what is checked out, the index, and the working tree.
    pub fn state(&self) -> String {
        let index = self.git(&["ls-files", "--stage"]);
        self.git(&["status", "--porcelain", "--branch"]) + &index + &self.git(&["stash", "list"])
    }

    /// Puts an image into the registry that passed its tests. Returns its repository and digest.
    pub fn image(&self, tag: &str) -> String {
        let image = self.untested(tag);
        self.attach(&image, &image);
        image
    }

    /// Attaches evidence to an image: that another one, or itself, passed its tests.
    pub fn attach(&self, image: &str, tested: &str) {
        artifacts::attest(&self.registry.address("hub"), image, tested);
    }

    /// Puts an image into the registry of which nothing says that it passed its tests.
    pub fn untested(&self, tag: &str) -> String {
        let digest = self.registry.image("hub", tag);
        format!("{}@{digest}", self.registry.address("hub"))
    }

    /// Commits that a stage runs an image, under the tag that was given to it.
    pub fn runs(&self, stage: &str, image: &str) {
        let (name, digest) = image.split_once('@').unwrap();
        let tags = ["1.0", "1", "2", "3", "other"];
        let tag = tags.iter().find(|tag| {
            let reference =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.registry.reference("hub", tag)));
            reference.is_ok_and(|reference| reference.trim() == image)
        });
        let tag = tag.unwrap_or(&"gone");
        let path = format!("deployments/pub/config/{stage}.yaml");
        self.write(&path, &format!("singleuser:\n  image: {name}:{tag}@{digest}\n"));
        self.commit(&format!("{stage} runs {tag}"));
    }

    /// Remembers that the check of a stage passed with an image, or why it did not.
    pub fn checked(&self, stage: &str, image: &str, failed: Option<&str>) {
        let digest = image.split_once('@').unwrap().1;
        let checked =
            json!({ "digest": digest, "tests": [{ "name": "the hub answers", "failed": failed }], "time": 0 });
        let path = format!(".floe/checks/pub/{stage}/{}.json", &digest["sha256:".len()..]);
        self.write(&path, &checked.to_string());
    }
}

const IDENTITY: &[(&str, &str)] = &[
    ("GIT_AUTHOR_NAME", "t"),
    ("GIT_AUTHOR_EMAIL", "t@example.org"),
    ("GIT_COMMITTER_NAME", "t"),
    ("GIT_COMMITTER_EMAIL", "t@example.org"),
];
