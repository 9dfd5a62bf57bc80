//! Repositories that somebody has damaged: whatever a file holds, floe says what is wrong with it, and soon.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use walkdir::WalkDir;
use world::{Ended, notebook};

use crate::site::Site;

/// How long a call may take, its build of a few small layers included.
const LIMIT: Duration = Duration::from_secs(10);

/// What is put into files.
const WORDS: &[&str] = &[
    "\0",
    "\u{feff}",
    "<<: *x\n",
    "- - -\n",
    ": :\n",
    "&a [*a]\n",
    "!!python/object:os.system x\n",
    "{% for x in y %}",
    "FROM\n",
    "RUN <<EOF\n",
    "# syntax=nowhere.example/x\n",
    "ARG \\\n",
    "COPY --from=nowhere / /\n",
    "-r ../../../../etc/passwd\n",
    "-e .\n",
    "numpy ==\n",
    "!\n",
    "\\\n",
    "'",
    "\"",
    "${",
    "1e999",
    "\u{202e}",
    "\r",
];

/// Numbers that look random and are the same in every run (Knuth's generator).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % most.max(1)
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// A repository whose images take a moment to build, with a file of each kind that floe reads.
fn site() -> Site {
    let site = Site::new("exit 0");
    let write = |path: &str, text: &str| drop(site.repository.write(path, text));
    let environment = "missions/tiny/environments/e";
    write("setup-env", "export TEST_SERVER=0\nexport CELL_TIMEOUT=60s\n");
    write("missions/tiny/.dockerignore", "**/*.log\n!keep.log\n");
    write("missions/tiny/Dockerfile.dockerignore", "# nothing\nx/\n");
    write(
        &format!("{environment}/e.yml"),
        "name: e\nchannels: [conda-forge]\ndependencies:\n  - python=3.11\n  - pip:\n      - six\n",
    );
    write(&format!("{environment}/e.conda"), "numpy>=1\n");
    write(&format!("{environment}/e.pip"), "-r more.txt\niniconfig==2.0.0\n");
    write(&format!("{environment}/more.txt"), "packaging\n");
    write(
        &format!("{environment}/e-frozen.yml"),
        "name: e\nchannels: [conda-forge]\ndependencies:\n  - python=3.11.2\n  - pip:\n      - six==1.16.0\n",
    );
    write(&format!("{environment}/tests/imports"), "json\n# csv\n");
    write(&format!("{environment}/tests/notebooks"), "!x.ipynb\n#y.ipynb\n");
    write(
        &format!("{environment}/tests/settings.yml"),
        "retries: 1\nalone: [test]\n",
    );
    write(&format!("{environment}/tests/x.ipynb"), &notebook(&["1 + 1"]));
    site
}

/// Damages one file of the repository; returns what was done.
fn damage(root: &Path, numbers: &mut Numbers) -> String {
    let files = WalkDir::new(root).sort_by_file_name().into_iter().flatten();
    let files = files.filter(|entry| entry.file_type().is_file() && !entry.path().starts_with(root.join(".floe")));
    let files = files.map(walkdir::DirEntry::into_path).collect::<Vec<PathBuf>>();
    let file = numbers.of(&files).clone();
    let bytes = fs::read(&file).unwrap();
    let at = numbers.below(bytes.len() + 1);
    let lines = bytes.split_inclusive(|&byte| byte == b'\n').collect::<Vec<_>>();
    let line = numbers.below(lines.len());
    let (before, after) = bytes.split_at(at);
    let replace = |make: &dyn Fn(&Path)| {
        fs::remove_file(&file).unwrap();
        make(&file);
    };
    let how = match numbers.below(14) {
        0 => {
            replace(&|_| ());
            "removed".to_owned()
        }
        1 => {
            fs::write(&file, before).unwrap();
            format!("cut at {at}")
        }
        2 => {
            let byte = u8::try_from(numbers.below(256)).unwrap();
            fs::write(&file, [before, &[byte], after.get(1..).unwrap_or_default()].concat()).unwrap();
            format!("byte {at} is {byte:#x}")
        }
        3 | 4 => {
            let word = numbers.of(WORDS);
            fs::write(&file, [before, word.as_bytes(), after].concat()).unwrap();
            format!("{word:?} at {at}")
        }
        5 => {
            let twice = lines
                .iter()
                .enumerate()
                .flat_map(|(n, text)| vec![*text; 1 + usize::from(n == line)]);
            fs::write(&file, twice.collect::<Vec<_>>().concat()).unwrap();
            format!("line {line} twice")
        }
        6 => {
            let others = lines.iter().enumerate().filter(|(n, _)| *n != line);
            fs::write(&file, others.map(|(_, text)| *text).collect::<Vec<_>>().concat()).unwrap();
            format!("without line {line}")
        }
        7 => {
            fs::write(&file, [before, "x".repeat(1 << 20).as_bytes(), after].concat()).unwrap();
            format!("a long word at {at}")
        }
        8 => {
            replace(&|file| fs::create_dir(file).unwrap());
            "is a directory".to_owned()
        }
        9 => {
            let target = *numbers.of(&["nowhere", ".", "/etc/passwd", "/dev/zero", ".."]);
            replace(&|file| symlink(target, file).unwrap());
            format!("is a link to {target}")
        }
        10 => {
            replace(&|file| {
                let made = Command::new("mkfifo").arg(file).status().unwrap();
                assert!(made.success());
            });
            "is a pipe".to_owned()
        }
        11 => {
            let other = numbers.of(&files).clone();
            fs::copy(&other, &file).unwrap();
            format!("is what {} is", other.strip_prefix(root).unwrap().display())
        }
        12 => {
            fs::rename(&file, file.with_file_name("été \"x\" $y")).unwrap();
            "has another name".to_owned()
        }
        _ => {
            fs::set_permissions(&file, fs::Permissions::from_mode(0o0)).unwrap();
            "has no permissions".to_owned()
        }
    };
    format!("{} {how}", file.strip_prefix(root).unwrap().display())
}

/// Runs floe; `None` if it does not end in time.
fn ended(site: &Site, words: &[&str]) -> Option<Ended> {
    let mut command = site.prepared(words);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let reads = [
        child
            .stdout
            .take()
            .map(|pipe| std::thread::spawn(move || std::io::read_to_string(pipe).unwrap_or_default())),
        child
            .stderr
            .take()
            .map(|pipe| std::thread::spawn(move || std::io::read_to_string(pipe).unwrap_or_default())),
    ];
    let deadline = Instant::now() + 3 * LIMIT;
    let code = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.code().unwrap_or(-1);
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let [stdout, stderr] = reads.map(|read| read.unwrap().join().unwrap());
    Some(Ended { code, stdout, stderr })
}

/// Copies what a directory holds, but what floe remembers.
fn put(from: &Path, to: &Path) {
    for entry in fs::read_dir(from)
        .unwrap()
        .flatten()
        .filter(|entry| entry.file_name() != ".floe")
    {
        let done = Command::new("cp").arg("--archive").arg(entry.path()).arg(to).status();
        assert!(done.unwrap().success());
    }
}

/// Removes what a directory holds, but what floe remembers.
fn clear(directory: &Path) {
    for entry in fs::read_dir(directory)
        .unwrap()
        .flatten()
        .filter(|entry| entry.file_name() != ".floe")
    {
        if entry.file_type().unwrap().is_dir() {
            fs::remove_dir_all(entry.path()).unwrap();
        } else {
            fs::remove_file(entry.path()).unwrap();
        }
    }
}

/// Damages the repository in as many ways as there are `seeds`, each by itself.
fn survive(seeds: std::ops::Range<u64>) {
    let site = site();
    let root = site.repository.path();
    let whole = tempfile::tempdir().unwrap();
    put(root, whole.path());
    for seed in seeds {
        let mut numbers = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        numbers.below(1);
        let done = damage(root, &mut numbers);
        let calls: [(&[&str], &[i32]); 3] = [
            (&["test", "tiny", "--list"], &[0, 3, 4]),
            (&["compose", "tiny"], &[0, 3]),
            (&["build", "tiny"], &[0, 3, 101]),
        ];
        for (words, codes) in calls {
            let began = Instant::now();
            let found = ended(&site, words);
            let said = found.as_ref().map_or("it hangs", |found| found.stderr.as_str());
            let code = found.as_ref().map(|found| found.code);
            let took = began.elapsed();
            let told = code == Some(0) || !said.trim().is_empty();
            assert!(
                code.is_some_and(|code| codes.contains(&code)) && told && !said.contains("panicked") && took < LIMIT,
                "{seed}: {done}: {words:?} ended with {code:?} after {took:?}:\n{said}"
            );
        }
        clear(root);
        put(whole.path(), root);
    }
}

#[test]
fn a_damaged_repository_ends_in_order_with_a_reason() {
    survive(0..8);
}

mod long {
    #[test]
    #[ignore = "five hundred repositories, each built"]
    fn five_hundred_damaged_repositories_end_in_order_with_a_reason() {
        super::survive(0..500);
    }
}
