//! What people get of a release: `scripts/release` makes it, here from the program that is tested.

mod long {
    use std::fs;
    use std::path::Path;
    use std::process::Command;

    use world::{Ended, run};

    /// The files of the archive that people look for, below its one directory.
    const FILES: [&str; 7] = [
        "LICENSE",
        "README.md",
        "completions/_floe",
        "completions/floe.bash",
        "completions/floe.fish",
        "man/man1/floe-build.1",
        "man/man1/floe.1",
    ];

    /// A program alone: no checkout, no other program's settings, and nothing on PATH that a wheel could bring.
    fn alone(program: &Path, directory: &Path, words: &[&str]) -> Ended {
        let mut command = Command::new(program);
        command.args(words).current_dir(directory).env_clear();
        command.env("PATH", "/usr/bin:/bin").env("HOME", directory);
        for name in ["SSL_CERT_FILE", "HTTPS_PROXY", "https_proxy"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        Ended::of(command.output().unwrap())
    }

    #[test]
    #[ignore = "long"]
    fn the_wheel_and_the_archive_of_a_release_are_all_that_a_new_repository_needs() {
        let place = tempfile::tempdir().unwrap();
        let made = place.path().join("dist");
        let program = world::program();
        let maturin = world::venv("maturin", &["maturin==1.16.0"]);
        let path = format!("{}:{}", maturin.join("bin").display(), std::env::var("PATH").unwrap());
        let mut release = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/release"));
        release.args(["--profile", "dev"]).arg(&made).env("PATH", path);
        run(release.env("CARGO_TARGET_DIR", program.ancestors().nth(3).unwrap()));
        run(Command::new("sha256sum")
            .args(["--check", "--strict", "SHA256SUMS"])
            .current_dir(&made));

        let version = format!("floe {}\n", env!("CARGO_PKG_VERSION"));
        let name = format!("floe-{}-x86_64-unknown-linux", env!("CARGO_PKG_VERSION"));
        let archive = made.join(format!("{name}.tar.gz"));
        run(Command::new("tar").arg("xf").arg(archive).current_dir(place.path()));
        let unpacked = place.path().join(name);
        for file in FILES {
            assert!(fs::metadata(unpacked.join(file)).unwrap().len() > 100, "{file}");
        }
        let said = alone(&unpacked.join("floe"), place.path(), &["--version"]).expect(0);
        assert_eq!(said.stdout, version);

        let wheels = fs::read_dir(&made).unwrap().map(|entry| entry.unwrap().path());
        let wheel = wheels.filter(|path| path.extension().is_some_and(|extension| extension == "whl"));
        let [wheel] = wheel.collect::<Vec<_>>().try_into().unwrap();
        let tagged = wheel.file_name().unwrap().to_str().unwrap();
        assert!(tagged.contains("-py3-none-manylinux"), "{tagged}");
        let fresh = place.path().join("venv");
        run(Command::new("python3").args(["-m", "venv"]).arg(&fresh));
        run(Command::new(fresh.join("bin/pip"))
            .args(["install", "--quiet", "--disable-pip-version-check"])
            .arg(wheel));
        let floe = fresh.join("bin/floe");
        assert_eq!(alone(&floe, place.path(), &["--version"]).expect(0).stdout, version);

        // uv, which solves, is the one that came with the wheel.
        let repository = place.path().join("site");
        alone(&floe, place.path(), &["init", "site", "--mission", "sky"]).expect(0);
        alone(&floe, &repository, &["lock", "sky"]).expect(0);
        let environment = repository.join("missions/sky/environments/sky");
        let frozen = fs::read_to_string(environment.join("sky-frozen.yml")).unwrap();
        assert!(frozen.contains("tabulate=="), "{frozen}");
        alone(&floe, &repository, &["compose", "sky"]).expect(0);
    }
}
