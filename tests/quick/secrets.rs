//! Secrets by real sops, age and git, with a remote on this machine.

mod killed;
mod refused;
mod remote;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use world::{Ended, Repository, run, sops_directory};

/// A repository whose secrets are in another, cloned from a bare remote, and a person who has the key.
struct Case {
    repository: Repository,
    /// The person's home, and whatever else a test writes.
    home: tempfile::TempDir,
    recipient: String,
}

impl Case {
    /// With a remote that holds `secrets.yaml`, which decrypts to `plain`.
    fn new(plain: &str) -> Self {
        let home = tempfile::Builder::new().prefix("floe-home-").tempdir().unwrap();
        let keys = home.path().join(".config/sops/age/keys.txt");
        fs::create_dir_all(keys.parent().unwrap()).unwrap();
        run(Command::new("age-keygen").arg("-o").arg(&keys));
        let recipient = run(Command::new("age-keygen").arg("-y").arg(&keys)).trim().to_owned();
        let repository = Repository::new();
        repository.write("setup-env", "export SECRETS_REPO=remote.git\n");
        let case = Self {
            repository,
            home,
            recipient,
        };
        case.write(
            ".gitconfig",
            "[user]\nname = T\nemail = t@example.org\n[init]\ndefaultBranch = main\n",
        );
        case.git(case.repository.path(), &["init", "-q", "--bare", "remote.git"]);
        let seed = case.home.path().join("seed");
        case.git(
            case.repository.path(),
            &["clone", "-q", "remote.git", seed.to_str().unwrap()],
        );
        let rules = format!("creation_rules:\n  - age: {}\n", case.recipient);
        fs::write(seed.join(".sops.yaml"), rules).unwrap();
        fs::write(seed.join("secrets.yaml"), case.encrypted(plain)).unwrap();
        case.git(&seed, &["add", "."]);
        case.git(&seed, &["commit", "-qm", "first"]);
        case.git(&seed, &["push", "-q", "origin", "main"]);
        case
    }

    /// The same with the clone made.
    fn cloned(plain: &str) -> Self {
        let case = Self::new(plain);
        case.floe(&["secrets", "clone"]).expect(0);
        case
    }

    fn path(&self, name: &str) -> PathBuf {
        self.repository.path().join(name)
    }

    fn clone(&self) -> PathBuf {
        self.path(".floe/secrets")
    }

    /// What sops makes of a text, which is on no disk.
    fn encrypted(&self, plain: &str) -> String {
        let mut command = Command::new(sops_directory().join("sops"));
        let mut child = command
            .args([
                "encrypt",
                "--age",
                &self.recipient,
                "--filename-override",
                "x.yaml",
                "/dev/stdin",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(plain.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    }

    /// What is in the clone, in plain text.
    fn decrypted(&self, name: &str) -> String {
        let mut command = Command::new(sops_directory().join("sops"));
        command.arg("decrypt").arg(self.clone().join(name));
        run(command.env("HOME", self.home.path()))
    }

    fn git(&self, directory: &Path, words: &[&str]) -> String {
        let mut command = Command::new("git");
        command
            .arg("-C")
            .arg(directory)
            .args(words)
            .env("HOME", self.home.path());
        run(command.env("GIT_CONFIG_NOSYSTEM", "1")).trim().to_owned()
    }

    /// Writes a file of the person's. One that begins as a script can be executed.
    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        if text.starts_with("#!") {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        path
    }

    /// A program of the person's that is found before that of the system.
    fn program(&self, name: &str, script: &str) {
        self.write(&format!("bin/{name}"), &format!("#! /bin/sh\n{script}\n"));
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.repository.command(words);
        let (own, sops) = (self.home.path().join("bin"), sops_directory());
        let system = std::env::var("PATH").unwrap();
        command
            .env("HOME", self.home.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("PATH", format!("{}:{}:{system}", own.display(), sops.display()));
        command
    }

    fn floe(&self, words: &[&str]) -> Ended {
        Ended::of(self.command(words).output().unwrap())
    }

    /// An edit of the clone's file by a script, whose `$1` is the file.
    fn edit(&self, script: &str) -> Ended {
        self.edit_as(script, &["secrets", "edit"])
    }

    fn edit_as(&self, script: &str, words: &[&str]) -> Ended {
        let editor = self.write("editor", &format!("#! /bin/sh\n{script}\n"));
        Ended::of(self.command(words).env("EDITOR", editor).output().unwrap())
    }
}

#[test]
fn secrets_are_cloned_edited_pushed_and_exported_without_an_argument() {
    let case = Case::new("TOKEN: old\nhub:\n  cookie: \"it's\"\n");
    case.floe(&["secrets", "clone"])
        .expect(0)
        .says(&["is a clone now", "floe secrets edit"]);
    let mode = fs::metadata(case.clone()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    // vim, too, resolves the path before it writes there.
    case.edit("sed -i s/old/new/ \"$(realpath \"$1\")\"")
        .expect(0)
        .says(&["secrets.yaml is encrypted and committed as"]);
    assert!(case.decrypted("secrets.yaml").contains("TOKEN: new"));
    let changed = case.git(&case.clone(), &["diff", "-U0", "HEAD~", "HEAD"]);
    let lines = changed
        .lines()
        .filter(|line| line.starts_with('+') && !line.starts_with("+++"));
    // The time is the same within a second.
    assert!(
        [2, 3].contains(&lines.count()),
        "the value, the checksum and the time:\n{changed}"
    );
    case.edit("true").expect(0).says(&["Nothing has changed"]);
    case.floe(&["secrets", "clone"])
        .expect(0)
        .says(&["1 commit is not pushed yet"]);
    case.floe(&["secrets", "push"]).expect(0).says(&["1 commit is pushed"]);
    case.floe(&["secrets", "push"])
        .expect(0)
        .says(&["Nothing is left to push"]);
    let log = case.git(&case.path("remote.git"), &["log", "--format=%s"]);
    assert_eq!(log, "secrets: edit secrets.yaml\nfirst");
    assert_eq!(
        case.floe(&["secrets", "exports"]).expect(0).stdout,
        "export TOKEN='new'\n"
    );
    let under = case.floe(&["secrets", "exports", "--under", "hub"]).expect(0).stdout;
    assert_eq!(under, "export cookie='it'\\''s'\n");
}

#[test]
fn secrets_of_a_stage_are_committed_in_this_repository_alone() {
    let case = Case::new("a: b\n");
    let root = case.repository.path().to_owned();
    case.git(&root, &["init", "-q"]);
    case.repository.write(
        ".sops.yaml",
        &format!(
            "creation_rules:\n  - path_regex: ^deployments/\n    age: {}\n",
            case.recipient
        ),
    );
    case.repository.write("staged", "");
    case.git(&root, &["add", "staged"]);
    case.edit_as("echo 'token: t' > \"$1\"", &["secrets", "edit", "hub", "prod"])
        .expect(0);
    let path = "deployments/hub/secrets/prod.yaml";
    assert_eq!(case.git(&root, &["show", "--name-only", "--format=", "HEAD"]), path);
    assert_eq!(
        case.git(&root, &["diff", "--cached", "--name-only"]),
        "staged",
        "what was staged still is"
    );
    let text = fs::read_to_string(case.path(path)).unwrap();
    assert!(text.starts_with("token: ENC["), "{text}");
    assert_eq!(case.git(&root, &["status", "--porcelain", "--", path]), "");
    case.edit_as("sed -i s/t$/u/ \"$1\"", &["secrets", "edit", "hub", "prod"])
        .expect(0);
    let exports = case.floe(&["secrets", "exports", "hub", "prod"]).expect(0).stdout;
    assert_eq!(exports, "export token='u'\n");
}

#[test]
fn what_a_login_exports_reaches_git_and_sops_and_is_exported_first() {
    let case = Case::new("A: b\n");
    let login = "echo go to the login page; echo export SESSION=x";
    let settings = format!("export SECRETS_REPO=remote.git\nexport SECRETS_LOGIN='{login}'\n");
    case.repository.write("setup-env", &settings);
    case.program(
        "git",
        "echo \"$SESSION\" >> \"$HOME/seen\"\nPATH=${PATH#*:} exec git \"$@\"",
    );
    let exports = case.floe(&["secrets", "exports"]);
    assert_eq!(exports.code, 3, "{}", exports.stderr);
    case.floe(&["secrets", "clone"])
        .expect(0)
        .says(&["go to the login page"]);
    assert!(
        fs::read_to_string(case.home.path().join("seen"))
            .unwrap()
            .contains("x\n")
    );
    let exports = case.floe(&["secrets", "exports"]).expect(0).stdout;
    assert_eq!(exports, "export SESSION='x'\nexport A='b'\n");
}

#[test]
fn secrets_are_not_printed_to_a_terminal_unless_that_is_asked_for() {
    let case = Case::cloned("A: b\n");
    let in_terminal = |words: &str| {
        let floe = case.command(&[]);
        let line = format!("{} {words}", floe.get_program().to_string_lossy());
        let mut command = Command::new("script");
        command.args(["-qec", &line, "/dev/null"]).stdin(Stdio::null());
        command.current_dir(case.repository.path()).env_clear();
        command.envs(floe.get_envs().filter_map(|(name, value)| Some((name, value?))));
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let refused = in_terminal("secrets exports");
    assert!(refused.contains("--show") && !refused.contains("export A"), "{refused}");
    let shown = in_terminal("secrets exports --show");
    assert!(shown.contains("export A='b'"), "{shown}");
}

#[test]
fn nothing_that_a_clones_configuration_names_is_run_and_the_persons_own_is() {
    let case = Case::cloned("A: b\n");
    let clone = case.clone();
    let trap = case.write("trap", "#! /bin/sh\ntouch \"$HOME/ran\"\ncat\n");
    let trap = trap.to_str().unwrap();
    for (key, value) in [
        ("core.sshCommand", trap),
        ("core.fsmonitor", trap),
        ("core.hooksPath", case.home.path().join("hooks").to_str().unwrap()),
        ("gpg.program", trap),
        ("credential.helper", trap),
        ("filter.x.clean", trap),
        ("filter.x.smudge", trap),
        ("filter.x.process", trap),
        ("remote.origin.uploadpack", trap),
        ("remote.origin.receivepack", trap),
    ] {
        case.git(&clone, &["config", key, value]);
    }
    for hook in [
        "pre-commit",
        "post-commit",
        "pre-push",
        "reference-transaction",
        "post-merge",
        "post-index-change",
    ] {
        case.write(&format!("hooks/{hook}"), "#! /bin/sh\ntouch \"$HOME/ran\"\n");
    }
    fs::create_dir(clone.join(".git/info")).unwrap();
    fs::write(clone.join(".git/info/attributes"), "* filter=x\n").unwrap();
    case.edit("sed -i s/b/c/ \"$1\"").expect(0);
    case.floe(&["secrets", "push"]).expect(0);
    case.floe(&["secrets", "clone"]).expect(0);
    assert!(!case.home.path().join("ran").exists());
    assert_eq!(case.git(&clone, &["log", "-1", "--format=%an"]), "T");
    // The person's own program signs.
    case.write(
        ".gitconfig",
        &format!("[user]\nname = T\nemail = t@example.org\n[commit]\ngpgSign = true\n[gpg]\nprogram = {trap}\n"),
    );
    let _ = case.edit("sed -i s/c/d/ \"$1\"");
    assert!(case.home.path().join("ran").exists());
}
