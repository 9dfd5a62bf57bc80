//! The story of a change: from an edited line to production and back, with a real registry and a real remote of git.

use std::process::Command;

use world::{Ended, LocalRegistry};

use crate::site::Site;

/// A site with the deployment `hub`, which runs the image of the mission `tiny`. What is deployed is a line in a file.
struct Story {
    site: Site,
    registry: LocalRegistry,
    /// What stands for the git host.
    origin: tempfile::TempDir,
}

const DEPLOYMENT: &str = "mission: tiny
stages:
  - name: staging
    driver: &lines
      command: {apply: 'echo $FLOE_IMAGE > live-$FLOE_STAGE', status: 'cat live-$FLOE_STAGE'}
    check: {tests: ['grep -q $FLOE_DIGEST live-staging']}
  - name: prod
    protected: true
    driver: *lines
";

impl Story {
    fn begin() -> Self {
        let story = Self {
            site: Site::new("test -f /opt/environments/works"),
            registry: LocalRegistry::start(),
            origin: tempfile::tempdir().unwrap(),
        };
        story.write("missions/tiny/environments/works", "");
        story.write("deployments/hub/deployment.yml", DEPLOYMENT);
        for stage in ["staging", "prod"] {
            let name = story.registry.address("platform/tiny");
            let values = format!("# {stage}\nsingleuser:\n  image:\n    name: {name}\n    tag: none  # by floe\n");
            story.write(&format!("deployments/hub/config/{stage}.yaml"), &values);
            // Nothing runs yet.
            story.write(&format!("live-{stage}"), "");
        }
        story.write(".gitignore", ".floe/\nlive-*\n");
        let origin = story.origin.path().to_str().unwrap().to_owned();
        story.git(&["init", "-q", "--bare", &origin]);
        story.git(&["init", "-q", "-b", "main"]);
        story.git(&["remote", "add", "origin", &origin]);
        story.commit("everything");
        story
    }

    fn write(&self, path: &str, text: &str) {
        self.site.repository.write(path, text);
    }

    fn floe(&self, words: &[&str]) -> Ended {
        let mut command = self.site.prepared(words);
        command
            .env("REGISTRY", self.registry.address("platform"))
            .envs(IDENTITY);
        Ended::of(command.output().unwrap())
    }

    fn git(&self, words: &[&str]) -> String {
        let mut command = Command::new("git");
        let command = command.arg("-C").arg(self.site.repository.path()).envs(IDENTITY);
        world::run(command.args(words))
    }

    fn commit(&self, subject: &str) {
        self.git(&["add", "."]);
        self.git(&["commit", "-qm", subject]);
        self.git(&["push", "-q", "origin", "main"]);
    }

    /// What a review ends with: the branch that a command printed is merged.
    fn merge(&self, printed: &Ended) {
        let branch = printed.stdout.trim();
        self.git(&["push", "-q", "origin", branch]);
        self.git(&["merge", "-q", "--ff-only", branch]);
        self.git(&["push", "-q", "origin", "main"]);
    }

    /// The digest of what a stage runs.
    fn live(&self, stage: &str) -> String {
        let live = std::fs::read_to_string(self.site.repository.path().join(format!("live-{stage}"))).unwrap();
        live.trim().rsplit('@').next().unwrap().to_owned()
    }

    /// Brings what is built, tested and pushed to production, past every gate. Returns its digest.
    fn release(&self) -> String {
        let pushed = self.floe(&["all", "tiny"]).expect(0).stdout;
        self.merge(&self.floe(&["promote", "hub", "staging"]).expect(0));
        self.floe(&["promote", "hub", "prod"])
            .expect(102)
            .says(&["staging was not checked", "floe check hub staging"]);
        self.floe(&["wait", "hub", "staging", "--timeout", "1s"]).expect(75);
        self.floe(&["deploy", "hub", "staging"]).expect(0);
        self.floe(&["wait", "hub", "staging", "--timeout", "1m"]).expect(0);
        self.floe(&["check", "hub", "staging"]).expect(0);
        self.merge(&self.floe(&["promote", "hub", "prod"]).expect(0));
        self.floe(&["deploy", "hub", "prod"])
            .expect(102)
            .says(&["prod is protected", "--confirm prod"]);
        self.floe(&["deploy", "hub", "prod", "--confirm", "prod"]).expect(0);
        let digest = pushed.trim().rsplit('@').next().unwrap().to_owned();
        assert_eq!(
            [self.live("staging"), self.live("prod")],
            [digest.clone(), digest.clone()]
        );
        self.floe(&["status", "--verify"]).expect(0);
        digest
    }
}

const IDENTITY: [(&str, &str); 4] = [
    ("GIT_AUTHOR_NAME", "t"),
    ("GIT_AUTHOR_EMAIL", "t@example.org"),
    ("GIT_COMMITTER_NAME", "t"),
    ("GIT_COMMITTER_EMAIL", "t@example.org"),
];

#[test]
fn a_change_reaches_production_tested_a_broken_one_does_not_and_a_bad_one_comes_back() {
    let story = Story::begin();
    let first = story.release();

    story.write("missions/tiny/environments/version", "2\n");
    let plan = story.floe(&["plan", "--since", "HEAD"]).expect(0).stdout;
    assert!(plan.contains("missions/tiny/environments/version"), "{plan}");
    assert!(!plan.contains("stage hub/"), "{plan}");
    story.commit("a second version");
    let second = story.release();
    assert_ne!(first, second);

    // What does not pass its tests is neither pushed nor promoted.
    story.git(&["rm", "-q", "missions/tiny/environments/works"]);
    story.commit("a mistake");
    story.floe(&["all", "tiny"]).expect(100);
    story.floe(&["push", "tiny"]).expect(102);
    story
        .floe(&["promote", "hub", "staging"])
        .expect(102)
        .says(&["is not in its registry"]);
    assert_eq!(story.live("prod"), second);

    // The second version turns out to be bad in production.
    story.merge(&story.floe(&["rollback", "hub", "prod"]).expect(0));
    story.floe(&["deploy", "hub", "prod", "--confirm", "prod"]).expect(0);
    assert_eq!(story.live("prod"), first);
    let recall = format!("- digest: {second}\n  reason: notebooks lose their output\n");
    story.write("deployments/recalled.yml", &recall);
    story.commit("recall the second version");
    story
        .floe(&["promote", "hub", "prod"])
        .expect(102)
        .says(&["is recalled: notebooks lose their output"]);
    let status = story.floe(&["status", "--verify"]).expect(102).stdout;
    assert!(
        status.contains("hub/staging: ") && status.contains("is recalled"),
        "{status}"
    );
}
