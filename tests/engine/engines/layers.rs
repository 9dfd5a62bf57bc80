//! Layers of environments at engines that keep them in different ways.

mod long {
    use world::{Ended, LocalRegistry, run};

    use crate::engines::second::Second;
    use crate::missions::{layers_of, twins};
    use crate::site::{Reach, docker};
    use crate::workshop::Workshop;

    /// A repository at an engine.
    struct Place<'a> {
        repository: &'a Workshop,
        engine: Reach,
    }

    impl Place<'_> {
        fn floe(&self, words: &[&str], frozen: &str) -> Ended {
            self.compressing("gzip", words, frozen)
        }

        fn compressing(&self, compression: &str, words: &[&str], frozen: &str) -> Ended {
            let mut command = self.repository.command(words);
            command.args(["--use-frozen", frozen]).envs(self.engine.iter().cloned());
            command.env("LAYER_COMPRESSION", compression);
            Ended::of(command.output().unwrap()).expect(0)
        }

        fn docker(&self, words: &[&str]) -> String {
            run(docker(&self.engine).args(words))
        }

        /// The layers of the environments in the frozen image.
        fn of_environments(&self) -> Vec<String> {
            let listed = self
                .floe(&["image", "twins", "--layers", "--format", "json"], "1")
                .stdout;
            let layers = ["newer", "older"].map(|environment| layers_of(environment, &listed));
            layers.concat()
        }
    }

    #[test]
    #[ignore = "builds everything at three engines"]
    fn the_layers_of_environments_are_the_same_in_every_store_of_docker() {
        let repository = twins();
        let own = Place {
            repository: &repository,
            engine: Reach::new(),
        };
        own.floe(&["build", "twins"], "0").says(&["layers of packages, "]);
        let expected = own.of_environments();
        assert!(expected.len() > 4, "{expected:?}");
        let seconds = ["classic", "containerd"].map(Second::borrow);
        let places = seconds.each_ref().map(|second| Place {
            repository: &repository,
            engine: second.reach("unix"),
        });
        for place in &places {
            place.floe(&["build", "twins"], "1").says(&["layers of packages, "]);
            assert_eq!(place.of_environments(), expected);
        }

        // What containerd keeps compressed is what it pushes, and runs when it is pulled.
        let (containerd, registry) = (&places[1], LocalRegistry::start());
        containerd.floe(&["test", "twins"], "1");
        let pushed = containerd.floe(&["push", "twins", "--registry", &registry.address("hub")], "1");
        let reference = pushed.stdout.trim();
        let manifest = registry.manifest("hub/twins", reference.split_once('@').unwrap().1);
        assert!(forms(&manifest).iter().all(|form| form.ends_with("gzip")), "{manifest}");
        for place in &places {
            place.docker(&["pull", reference]);
            for environment in ["older", "newer"] {
                let python = format!("/opt/conda/envs/{environment}/bin/python");
                place.docker(&["run", "--rm", reference, "uv", "pip", "check", "--python", &python]);
            }
        }

        // One package of one environment: the others stay where they are.
        repository.write("missions/twins/environments/newer/newer.pip", "iniconfig==2.0.0\nsix\n");
        own.floe(&["build", "twins"], "0");
        for place in [&own, containerd] {
            let built = place.floe(&["build", "twins"], "1");
            assert!(!built.stderr.contains(" as a whole"), "{}", built.stderr);
        }
        let now = own.of_environments();
        assert_eq!(now.iter().filter(|layer| !expected.contains(layer)).count(), 1);
        assert_eq!(containerd.of_environments(), now);

        // A new layer is of the form that is asked for now, and lies beside those that are there.
        repository.write(
            "missions/twins/environments/newer/newer.pip",
            "iniconfig==2.0.0\nsix\nidna==3.10\n",
        );
        own.floe(&["build", "twins"], "0");
        containerd.compressing("zstd", &["test", "twins"], "1");
        let push = ["push", "twins", "--registry", &registry.address("hub")];
        let pushed = containerd.compressing("zstd", &push, "1");
        let reference = pushed.stdout.trim();
        let manifest = registry.manifest("hub/twins", reference.split_once('@').unwrap().1);
        for form in ["gzip", "zstd"] {
            let form = format!("application/vnd.oci.image.layer.v1.tar+{form}");
            assert!(forms(&manifest).contains(&form.as_str()), "{manifest}");
        }
        for place in &places {
            place.docker(&["pull", reference]);
            let python = "/opt/conda/envs/newer/bin/python";
            place.docker(&["run", "--rm", reference, python, "-c", "import idna, six"]);
        }
    }

    /// The forms of an image's layers.
    fn forms(manifest: &serde_json::Value) -> Vec<&str> {
        let layers = manifest["layers"].as_array().unwrap().iter();
        layers.map(|layer| layer["mediaType"].as_str().unwrap()).collect()
    }
}
