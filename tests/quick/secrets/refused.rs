//! Each refusal of an edit: its reason, the way out, and everything as it was.

use std::fs;
use std::process::{Command, Stdio};

use world::{Ended, mounted, run};

use super::Case;

/// The case, and that an edit of it ends so, with file, index and history as they were, and nothing said of what is secret.
#[track_caller]
fn refused(case: &Case, script: &str, code: i32, parts: &[&str]) {
    let state = |case: &Case| {
        let clone = case.clone();
        let file = fs::read_to_string(clone.join("secrets.yaml")).unwrap_or_default();
        (
            file,
            case.git(&clone, &["log", "--format=%H"]),
            case.git(&clone, &["status", "--porcelain"]),
        )
    };
    let before = state(case);
    let ended = case.edit(script).expect(code).says(parts);
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    assert!(state(case) == before);
}

#[test]
fn without_a_clone_or_an_address_the_way_there_is_said() {
    let case = Case::new("A: b\n");
    case.edit("true").expect(3).says(&["is no clone", "floe secrets clone"]);
    case.floe(&["secrets", "push"]).expect(3).says(&["floe secrets clone"]);
    case.repository.write("setup-env", "");
    for words in [["secrets", "clone"], ["secrets", "edit"], ["secrets", "push"]] {
        case.floe(&words)
            .expect(3)
            .says(&["SECRETS_REPO is not set", "setup-env"]);
    }
}

#[test]
fn keys_that_are_missing_unreadable_or_not_among_the_recipients_are_said_with_whose_are_wanted() {
    let case = Case::cloned("A: hunter2\n");
    let keys = case.home.path().join(".config/sops/age/keys.txt");
    let mine = fs::read(&keys).unwrap();
    fs::remove_file(&keys).unwrap();
    let wanted = case.recipient.clone();
    let parts = |why| [why, wanted.as_str(), "SOPS_AGE_KEY_FILE", "sops updatekeys"];
    refused(&case, "true", 102, &parts("there is no key here"));
    run(Command::new("age-keygen").arg("-o").arg(&keys));
    refused(&case, "true", 102, &parts("not among those"));
    fs::write(&keys, "nonsense").unwrap();
    refused(&case, "true", 102, &parts("the file of keys"));
    // A setting names another file.
    case.write("mine.txt", std::str::from_utf8(&mine).unwrap());
    let name = case.home.path().join("mine.txt");
    let line = format!(
        "export SECRETS_REPO=remote.git\nexport SOPS_AGE_KEY_FILE={}\n",
        name.display()
    );
    case.repository.write("setup-env", &line);
    case.edit("true").expect(0);
}

#[test]
fn a_new_file_needs_a_rule_before_anybody_writes_it() {
    let case = Case::cloned("A: b\n");
    let new = ["secrets", "edit", "--file", "new.yaml"];
    let script = "touch \"$HOME/opened\"";
    fs::write(
        case.clone().join(".sops.yaml"),
        "creation_rules:\n  - path_regex: ^x\n    age: y\n",
    )
    .unwrap();
    case.edit_as(script, &new)
        .expect(3)
        .says(&["no rule of .sops.yaml is for", "path_regex"]);
    fs::write(case.clone().join(".sops.yaml"), "creation_rules: {").unwrap();
    case.edit_as(script, &new)
        .expect(3)
        .says(&[".sops.yaml:1: sops cannot read"]);
    fs::remove_file(case.clone().join(".sops.yaml")).unwrap();
    case.edit_as(script, &new)
        .expect(3)
        .says(&["no .sops.yaml says for whom", "creation_rules"]);
    assert!(!case.home.path().join("opened").exists());
}

#[test]
fn a_file_that_sops_did_not_write_so_is_not_edited() {
    let case = Case::cloned("A: b\nC_unencrypted: d\n");
    let file = case.clone().join("secrets.yaml");
    let encrypted = fs::read_to_string(&file).unwrap();
    for (text, code, parts) in [
        ("A: hunter2\n".to_owned(), 102, ["is not encrypted", "sops encrypt -i"]),
        (
            encrypted.replace("_unencrypted: d", "_unencrypted: e"),
            3,
            ["its checksum does not fit", "git restore"],
        ),
        (
            format!("X: hunter2\n{encrypted}"),
            3,
            ["was not encrypted by it", "git restore"],
        ),
        (
            format!("<<<<<<< HEAD\n{encrypted}"),
            3,
            ["secrets.yaml:1: a merge has left", "git status"],
        ),
        (
            format!("A: [ENC[\n{encrypted}"),
            3,
            ["this is not what sops wrote", "git restore"],
        ),
    ] {
        fs::write(&file, text).unwrap();
        refused(&case, "true", code, &parts);
    }
    fs::write(&file, encrypted).unwrap();
    fs::write(case.clone().join(".git/MERGE_HEAD"), "").unwrap();
    refused(&case, "true", 3, &["a merge has been begun", "status"]);
}

#[test]
fn a_new_text_that_is_not_well_formed_is_named_by_its_line_and_changes_nothing() {
    let case = Case::cloned("A: b\n");
    for (script, part) in [
        ("printf 'A: b\\nB: [hunter2\\n' > \"$1\"", "not well formed at line 3"),
        ("printf 'sops: hunter2\\n' > \"$1\"", "not well formed"),
        ("printf -- '- hunter2\\n' > \"$1\"", "not well formed"),
        (": > \"$1\"", "not well formed"),
    ] {
        refused(&case, script, 3, &[part, "the file is as it was"]);
    }
    refused(
        &case,
        "echo hunter2 > \"$1\"; exit 1",
        4,
        &["the editor ended with exit code 1"],
    );
}

#[test]
fn at_a_terminal_a_mistake_is_mended_in_what_was_typed() {
    let case = Case::cloned("A: b\n");
    let script = "if grep -q typed \"$1\"; then sed -i s/\\\\[// \"$1\"; else echo 'B: [typed' >> \"$1\"; fi";
    let editor = case.write("editor", &format!("#! /bin/sh\n{script}\n"));
    let floe = case.command(&[]);
    let line = format!("{} secrets edit", floe.get_program().to_string_lossy());
    let mut command = Command::new("script");
    command
        .args(["-qec", &line, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command
        .current_dir(case.repository.path())
        .env_clear()
        .env("EDITOR", editor);
    command.envs(floe.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut child = command.spawn().unwrap();
    // A terminal takes the line when it is asked for.
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"y\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.contains("Edit it again?") && said.contains("committed as"),
        "{said}"
    );
    assert_eq!(case.decrypted("secrets.yaml"), "A: b\nB: typed\n");
}

#[test]
fn without_an_identity_the_encrypted_file_stays_to_be_committed() {
    let case = Case::cloned("A: b\n");
    case.write(".gitconfig", "[user]\nuseConfigOnly = true\n");
    let head = case.git(&case.clone(), &["rev-parse", "HEAD"]);
    case.edit("sed -i s/b/c/ \"$1\"")
        .expect(3)
        .says(&["does not know who you are", "user.name"]);
    assert_eq!(case.git(&case.clone(), &["rev-parse", "HEAD"]), head);
    assert_eq!(case.git(&case.clone(), &["diff", "--cached", "--name-only"]), "");
    // An identity of the clone's own will do.
    case.git(&case.clone(), &["config", "user.name", "Own"]);
    case.git(&case.clone(), &["config", "user.email", "own@example.org"]);
    case.edit("true").expect(0).says(&["committed as"]);
    assert_eq!(case.git(&case.clone(), &["log", "-1", "--format=%an"]), "Own");
    assert_eq!(case.decrypted("secrets.yaml"), "A: c\n");
}

#[test]
fn a_missing_program_is_named() {
    let case = Case::cloned("A: b\n");
    let mut command = case.command(&["secrets", "edit"]);
    Ended::of(command.env("EDITOR", "nonesuch -x").output().unwrap())
        .expect(3)
        .says(&["the editor nonesuch does not start", "VISUAL"]);
    for name in ["git", "sh", "rm"] {
        std::os::unix::fs::symlink(
            program(name),
            case.write(&format!("few/{name}.x"), "").with_extension(""),
        )
        .unwrap();
    }
    let few = case.home.path().join("few");
    Ended::of(case.command(&["secrets", "edit"]).env("PATH", few).output().unwrap())
        .expect(3)
        .says(&["sops is not on PATH", "install sops"]);
}

#[test]
fn a_login_that_fails_ends_the_call() {
    let case = Case::new("A: b\n");
    case.repository.write(
        "setup-env",
        "export SECRETS_REPO=remote.git\nexport SECRETS_LOGIN='exit 7'\n",
    );
    case.floe(&["secrets", "clone"])
        .expect(102)
        .says(&["SECRETS_LOGIN failed (exit code 7)"]);
}

#[test]
fn where_nothing_lies_in_memory_nothing_is_decrypted_for_an_editor() {
    let case = Case::cloned("A: b\n");
    let mut command = case.command(&["secrets", "edit"]);
    command
        .env("EDITOR", "touch \"$HOME/opened\"")
        .current_dir(case.repository.path());
    fs::create_dir(case.home.path().join("disk")).unwrap();
    let mount = format!("mount --bind {}/disk /dev/shm", case.home.path().display());
    let mut apart = mounted(&mount, &command);
    Ended::of(apart.current_dir(case.repository.path()).output().unwrap())
        .expect(102)
        .says(&["nothing here lies in memory alone", "XDG_RUNTIME_DIR"]);
    assert!(!case.home.path().join("opened").exists());
}

/// Where the system has a program.
fn program(name: &str) -> std::path::PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let mut found = std::env::split_paths(&path).map(|directory| directory.join(name));
    found.find(|program| program.is_file()).unwrap()
}
