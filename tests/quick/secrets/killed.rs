//! Killed at any step, nothing in plain text is left: on the disk, in memory that others see, or in git.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use world::sops_directory;

use super::Case;

/// What was secret before, and what is typed, each in two parts, so that no script and no test holds it.
struct Markers {
    old: [String; 2],
    new: [String; 2],
}

/// Programs that end a step, by what they do.
struct Step {
    name: &'static str,
    /// What the editor does; `$TYPE` types the new secret.
    editor: &'static str,
    /// What sops does before it is sops.
    sops: &'static str,
    /// What git does before it is git.
    git: &'static str,
}

const TYPE: &str = "sed -i \"s/$OLD_A$OLD_B/$NEW_A$NEW_B/\" \"$1\"";

/// Kills the keeper of the private directory, a child of `$FLOE`.
const KEEPERS: &str = "for p in /proc/[0-9]*; do case $(tr '\\0' ' ' < $p/cmdline 2>/dev/null) in \
    *\"read -r _\"*) [ \"$(stat -c %u $p)\" = \"$(id -u)\" ] && [ \"$(cut -d' ' -f4 $p/stat)\" = $FLOE ] && kill -9 ${p#/proc/} ;; \
    esac; done";

const STEPS: &[Step] = &[
    Step {
        name: "floe, when the editor has opened the file",
        editor: "kill -9 $PPID",
        sops: "",
        git: "",
    },
    Step {
        name: "floe, when the editor has saved it",
        editor: "$TYPE; kill -9 $PPID",
        sops: "",
        git: "",
    },
    Step {
        name: "the editor",
        editor: "$TYPE; kill -9 $$",
        sops: "",
        git: "",
    },
    Step {
        name: "the keeper of the private directory",
        editor: "$TYPE; FLOE=$PPID; $KEEPERS",
        sops: "",
        git: "",
    },
    Step {
        name: "floe and the keeper at a time",
        editor: "$TYPE; FLOE=$PPID; kill -STOP $PPID; $KEEPERS; kill -9 $PPID",
        sops: "",
        git: "",
    },
    Step {
        name: "floe, when sops decrypts",
        editor: "true",
        sops: "[ $1 = decrypt ] && kill -9 $PPID",
        git: "",
    },
    Step {
        name: "floe, when sops has decrypted once more to encrypt",
        editor: "$TYPE",
        sops: "[ $1 = edit ] && export SOPS_EDITOR=\"$HOME/killer $PPID $SOPS_EDITOR\"",
        git: "",
    },
    Step {
        name: "sops",
        editor: "$TYPE",
        sops: "[ $1 = edit ] && export SOPS_EDITOR=\"$HOME/killer $$ $SOPS_EDITOR\"",
        git: "",
    },
    Step {
        name: "floe, when git stores the encrypted file",
        editor: "$TYPE",
        sops: "",
        git: "hash-object",
    },
    Step {
        name: "floe, when git makes the commit",
        editor: "$TYPE",
        sops: "",
        git: "commit-tree",
    },
    Step {
        name: "floe, when git moves the index",
        editor: "$TYPE",
        sops: "",
        git: "update-index",
    },
    Step {
        name: "floe, when git moves the branch",
        editor: "$TYPE",
        sops: "",
        git: "update-ref",
    },
];

#[test]
fn killed_at_each_step_an_edit_leaves_no_plain_text() {
    STEPS.iter().for_each(killed);
}

fn killed(step: &Step) {
    let part = || uuid();
    let markers = Markers {
        old: [part(), part()],
        new: [part(), part()],
    };
    let began = SystemTime::now() - Duration::from_secs(1);
    let case = Case::cloned(&format!("token: {}\n", markers.old.concat()));
    let real = sops_directory();
    case.program("sops", &format!("{}\nexec {}/sops \"$@\"", step.sops, real.display()));
    case.write(
        "killer",
        "#! /bin/sh\nvictim=$1\nshift\n\"$@\"\nkill -9 $victim\nsleep 0.2\n",
    );
    if !step.git.is_empty() {
        let script = format!(
            "for w in \"$@\"; do [ \"$w\" = {} ] && kill -9 $PPID; done\nPATH=${{PATH#*:}} exec git \"$@\"",
            step.git
        );
        case.program("git", &script);
    }
    let script = step.editor.replace("$TYPE", TYPE).replace("$KEEPERS", KEEPERS);
    let editor = case.write("editor", &format!("#! /bin/sh\n{script}\n"));
    let mut command = case.command(&["secrets", "edit"]);
    command
        .env("EDITOR", editor)
        .envs([("OLD_A", &markers.old[0]), ("OLD_B", &markers.old[1])])
        .envs([("NEW_A", &markers.new[0]), ("NEW_B", &markers.new[1])]);
    let ended = command.output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    // Without its keeper, floe removes the directory as always.
    let ends = step.name != "the keeper of the private directory";
    assert_eq!(!ended.status.success(), ends, "{}: {said}", step.name);
    // A keeper needs a moment to see that floe is gone; where it was killed too, the next call tidies.
    if step.name.contains("keeper") {
        let _ = fs::remove_dir_all(case.home.path().join("bin"));
        case.edit("true").expect(0);
    }
    let limit = Instant::now() + Duration::from_secs(5);
    loop {
        let found = left(&case, &markers, began);
        if found.is_empty() {
            break;
        }
        assert!(Instant::now() < limit, "{}: {found:?}\n{said}", step.name);
        std::thread::sleep(Duration::from_millis(50));
    }
    // The next edit takes up what is there, and nothing of it is broken.
    let _ = fs::remove_dir_all(case.home.path().join("bin"));
    case.edit("true").expect(0);
    let text = case.decrypted("secrets.yaml");
    let (old, new) = (markers.old.concat(), markers.new.concat());
    assert!(
        text == format!("token: {old}\n") || text == format!("token: {new}\n"),
        "{}: {text}",
        step.name
    );
    assert_eq!(case.git(&case.clone(), &["status", "--porcelain"]), "", "{}", step.name);
}

/// Half of a secret.
fn uuid() -> String {
    let bytes = fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap();
    bytes.trim().replace('-', "")
}

/// Where something in plain text is.
fn left(case: &Case, markers: &Markers, began: SystemTime) -> Vec<String> {
    let secrets = [markers.old.concat(), markers.new.concat()];
    let mut found = Vec::new();
    let temporary = std::env::temp_dir();
    let places = [
        case.home.path(),
        case.repository.path(),
        &temporary,
        Path::new("/dev/shm"),
        Path::new("/run/user"),
    ];
    for place in places {
        search(place, &secrets, began, &mut found);
    }
    for repository in [case.clone(), case.path("remote.git"), case.home.path().join("seed")] {
        let mut command = Command::new("git");
        command
            .arg("-C")
            .arg(&repository)
            .args(["cat-file", "--batch-all-objects", "--batch"]);
        let output = command.env("HOME", case.home.path()).output().unwrap();
        let objects = String::from_utf8_lossy(&output.stdout);
        assert!(objects.contains("ENC["), "what is looked at is what git holds");
        if secrets.iter().any(|secret| objects.contains(secret)) {
            found.push(format!("an object of {}", repository.display()));
        }
    }
    found
}

/// The files below a directory, changed since then, that hold one of the secrets. What is mounted there is another's.
fn search(place: &Path, secrets: &[String], began: SystemTime, found: &mut Vec<String>) {
    const MOST: u64 = 1 << 20;
    let files = walkdir::WalkDir::new(place).same_file_system(true);
    for entry in files.into_iter().filter_map(Result::ok) {
        let Ok(about) = entry.metadata() else { continue };
        if about.is_file() && about.len() < MOST && about.modified().is_ok_and(|at| at >= began) {
            let text = fs::read(entry.path()).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            if secrets.iter().any(|secret| text.contains(secret)) {
                found.push(entry.path().display().to_string());
            }
        }
    }
}
