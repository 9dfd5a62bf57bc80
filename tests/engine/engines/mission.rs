//! A mission from its spec files to a registry, at every engine: what comes of it is the same.

mod long {
    use std::collections::BTreeSet;
    use std::fs;

    use floe::attest::Keys;
    use world::{Ended, LocalRegistry};

    use crate::engines::podman::Podman;
    use crate::engines::second::Second;
    use crate::missions::tiny;
    use crate::pushes::proof;
    use crate::site::Reach;
    use crate::workshop::Workshop;

    /// A mission at one engine.
    struct Place {
        repository: Workshop,
        registry: LocalRegistry,
        engine: Reach,
    }

    /// What is to be the same at every engine.
    #[derive(Debug, PartialEq)]
    struct Outcome {
        /// The frozen specs and their locks.
        frozen: Vec<String>,
        /// What the evidence of the frozen image says to have passed.
        passed: BTreeSet<String>,
    }

    const FROZEN: [&str; 4] = [
        "missions/tiny/environments/small/small-frozen.yml",
        "missions/tiny/environments/small/small-frozen.lock",
        "common/common-env/base-frozen.yml",
        "common/common-env/base-frozen.lock",
    ];

    impl Place {
        fn at(engine: Reach) -> Self {
            Self {
                repository: tiny(),
                registry: LocalRegistry::start(),
                engine,
            }
        }

        fn floe(&self, words: &[&str], frozen: &str) -> Ended {
            let mut command = self.repository.command(words);
            command
                .env("USE_FROZEN", frozen)
                .env("REGISTRY", self.registry.address("hub"))
                .envs(self.engine.iter().cloned());
            Ended::of(command.output().unwrap()).expect(0)
        }

        fn frozen(&self) -> Vec<String> {
            let read = |file: &&str| fs::read_to_string(self.repository.path().join(file)).unwrap();
            FROZEN.iter().map(read).collect()
        }

        /// Builds, tests, freezes where specs float, and pushes; and finds nothing left to do.
        fn everything(&self, frozen: &str) -> Ended {
            let first = self.floe(&["all", "tiny"], frozen);
            let image = self.floe(&["image", "tiny", "--format", "json"], frozen).stdout;
            let image = serde_json::from_str::<serde_json::Value>(&image).unwrap();
            let (_, tag) = image["reference"].as_str().unwrap().rsplit_once(':').unwrap();
            assert_eq!(first.stdout, self.registry.reference("hub/tiny", tag));
            let again = self.floe(&["all", "tiny"], frozen);
            assert!(!again.stderr.contains("PASS"), "{}", again.stderr);
            let again = again.says(&["UP-TO-DATE", "has passed its tests", "is there already"]);
            assert_eq!(again.stdout, first.stdout);
            first
        }

        async fn outcome(&self) -> Outcome {
            for file in FROZEN {
                let _ = fs::remove_file(self.repository.path().join(file));
            }
            self.everything("0").says(&[
                "small::imports::iniconfig",
                "small::notebooks::answer.ipynb",
                "mission:tiny::test",
                "small-frozen.yml: new, ",
                "base-frozen.yml: new, ",
            ]);
            let frozen = self.frozen();
            let pushed = self.everything("1");
            self.floe(&["freeze", "tiny"], "1");
            assert_eq!(self.frozen(), frozen, "what was built is what was frozen");
            let proof = proof(&pushed.stdout.trim().parse().unwrap(), &Keys::default()).await;
            Outcome {
                frozen,
                passed: proof.unwrap().statement.tests().map(ToString::to_string).collect(),
            }
        }
    }

    #[tokio::test]
    #[ignore = "builds everything at five engines"]
    async fn a_mission_comes_out_the_same_at_every_engine() {
        let expected = Place::at(Reach::new()).outcome().await;
        for engine in ["containerd", "classic", "podman"] {
            let second = Second::borrow(engine);
            assert_eq!(Place::at(second.reach("unix")).outcome().await, expected, "{engine}");
        }
        let podman = Podman::start();
        assert_eq!(Place::at(podman.reach()).outcome().await, expected, "Podman");
    }
}
