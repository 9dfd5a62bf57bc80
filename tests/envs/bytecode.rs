//! Bytecode: the same for the same package in every environment, and compiled once.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::place::{Place, name, python};
use floe::envs::env_create;
use walkdir::WalkDir;

const LIST: &str = "dependencies: [{pip: [iniconfig==2.0.0, six==1.16.0, packaging==24.0]}]\n";

/// A place whose environments share a cache.
fn place(test: &str) -> Place {
    let mut place = Place::venv(test);
    place.tools.cache = Some(place.root.path().join("cache"));
    place
}

/// The bytecode below an environment, by its path there.
fn bytecode(prefix: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = WalkDir::new(prefix.join("lib")).into_iter().map(Result::unwrap);
    let files = files.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "pyc"));
    let read = |path: &Path| (path.strip_prefix(prefix).unwrap().to_owned(), fs::read(path).unwrap());
    files.map(|entry| read(entry.path())).collect()
}

fn entries(place: &Place) -> Vec<PathBuf> {
    let kept = WalkDir::new(place.root.path().join("cache"))
        .into_iter()
        .map(Result::unwrap);
    let kept = kept.filter(|entry| entry.file_type().is_file());
    kept.map(walkdir::DirEntry::into_path).collect()
}

#[test]
fn a_package_has_the_same_bytecode_in_every_environment_whatever_lies_beside_it() {
    let place = Place::venv("alike").uncached();
    let one = bytecode(&place.create("one", LIST).unwrap());
    let other = "dependencies: [{pip: [pluggy, six==1.16.0, tomli, packaging==24.0, zipp, iniconfig==2.0.0]}]\n";
    let two = bytecode(&place.create("two-with-a-longer-name", other).unwrap());
    assert!(one.len() > 15, "{}", one.len());
    for (path, content) in one {
        assert_eq!(two.get(&path), Some(&content), "{}", path.display());
    }
}

#[test]
fn what_was_compiled_once_is_compiled_never_again() {
    let place = place("once");
    let first = bytecode(&place.create("one", LIST).unwrap());
    assert!(entries(&place).len() >= first.len());
    let times = |place: &Place| {
        let kept = entries(place).into_iter();
        kept.map(|path| (fs::metadata(&path).unwrap().modified().unwrap(), path))
            .collect::<Vec<_>>()
    };
    let before = times(&place);
    let again = bytecode(&place.create("two", LIST).unwrap());
    assert_eq!(again, first);
    assert_eq!(times(&place), before, "something was compiled again");
}

#[test]
fn a_damaged_entry_is_compiled_again() {
    let place = place("damaged");
    let first = bytecode(&place.create("one", LIST).unwrap());
    for (number, path) in entries(&place).into_iter().enumerate() {
        let mut content = fs::read(&path).unwrap();
        match number % 3 {
            0 => content.truncate(content.len() / 2),
            1 => content.push(0),
            _ => *content.last_mut().unwrap() ^= 1,
        }
        fs::write(&path, content).unwrap();
    }
    let again = place.create("two", LIST).unwrap();
    assert_eq!(bytecode(&again), first);
    let third = place.create("three", LIST).unwrap();
    assert_eq!(bytecode(&third), first);
}

#[test]
fn what_a_package_calls_its_bytecode_is_not_kept_for_others() {
    let place = place("poisoned");
    let prefix = place.create("one", LIST).unwrap();
    let kept = entries(&place).len();
    // Bytecode that python takes without a look, of something else than its source.
    let code = "import importlib.util, pathlib, py_compile, sys\n\
                lib = pathlib.Path(importlib.util.find_spec('six').origin).parent\n\
                source = lib / 'mine.py'\n\
                source.write_text('x = 2\\n')\n\
                py_compile.compile(str(source), dfile='mine.py', invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)\n\
                made = pathlib.Path(importlib.util.cache_from_source(str(source)))\n\
                source.write_text('x = 1\\n')\n\
                own = importlib.util.source_hash(source.read_bytes())\n\
                made.write_bytes(made.read_bytes()[:8] + own + made.read_bytes()[16:])";
    python(&prefix, code);
    let list = place.file("environments/one/more.pip", "tomli\n");
    place.update_from("one", &[list]).unwrap();
    assert!(entries(&place).len() > kept);
    let source = fs::read(bytecode_source(&prefix)).unwrap();
    let other = place.create("two", LIST).unwrap();
    fs::write(bytecode_source(&other), source).unwrap();
    let list = place.file("environments/two/more.pip", "tomli\n");
    place.update_from("two", &[list]).unwrap();
    assert_eq!(python(&other, "import mine; print(mine.x)").trim(), "1");
}

/// The module of which somebody brought bytecode.
fn bytecode_source(prefix: &Path) -> PathBuf {
    let found = WalkDir::new(prefix.join("lib")).into_iter().flatten();
    let site = found
        .into_iter()
        .find(|entry| entry.file_name() == "site-packages")
        .unwrap();
    site.path().join("mine.py")
}

#[test]
fn tracebacks_name_the_file_where_it_is() {
    let place = place("traceback");
    let prefix = place.create("one", LIST).unwrap();
    let code = "import inspect, six, packaging.version, traceback\n\
                try: packaging.version.Version('no version')\n\
                except Exception as e: print(traceback.extract_tb(e.__traceback__)[-1].filename)\n\
                print(six.__file__, six.ensure_str.__code__.co_filename, 'def ensure_str' in inspect.getsource(six.ensure_str))";
    let said = python(&prefix, code);
    let lib = prefix.join("lib");
    let lib = lib.to_str().unwrap();
    assert_eq!(said.matches(lib).count(), 3, "{said}");
    assert!(said.trim().ends_with("True"), "{said}");
}

#[test]
fn an_unwritable_cache_is_a_warning() {
    let mut place = place("unwritable");
    // Nothing can be made below a file.
    place.tools.cache = Some(place.file("cache", ""));
    let yml = place.file("x.yml", LIST);
    env_create(place.work(&name("x")), Some(&yml)).unwrap();
    let warnings = place.warnings().join("\n");
    assert!(
        warnings.contains("bytecode is compiled again the next time"),
        "{warnings}"
    );
    assert!(!bytecode(&place.prefix("x")).is_empty());
}

#[test]
fn sources_that_no_compiler_takes_end_nothing() {
    for place in [place("odd"), Place::venv("odd-uncached").uncached()] {
        let prefix = place.create("one", LIST).unwrap();
        let directory = bytecode_source(&prefix).with_file_name("odd");
        fs::create_dir(&directory).unwrap();
        let odd = [
            ("nul", "a = 1\0".to_owned()),
            ("encoding", "# -*- coding: nosuch -*-\n".to_owned()),
            ("old", "print 'a'\n".to_owned()),
            // CPython ends in a MemoryError here.
            ("deep", "-".repeat(100_000) + "1\n"),
        ];
        for (name, source) in odd {
            fs::write(directory.join(format!("{name}.py")), source).unwrap();
        }
        fs::write(directory.join("zero.py"), "x = 0\n").unwrap();
        place.update("one", "environments/one/more.pip", "tomli\n").unwrap();
        assert_eq!(
            python(&prefix, "import odd.zero, tomli; print(odd.zero.__cached__)")
                .lines()
                .count(),
            1
        );
        assert_eq!(fs::read_dir(directory.join("__pycache__")).unwrap().count(), 1);
    }
}

#[test]
fn bytecode_that_calls_its_source_by_its_whole_path_is_not_taken_for_ours() {
    for place in [place("whole"), Place::venv("whole-uncached").uncached()] {
        let prefix = place.create("one", LIST).unwrap();
        let directory = bytecode_source(&prefix).with_file_name("named");
        fs::create_dir(&directory).unwrap();
        // The slash before a name of 47 bytes is the length of it.
        for length in 40..50 {
            let source = directory
                .join("x".repeat(length - "named/.py".len()))
                .with_extension("py");
            fs::write(&source, "x = 0\n").unwrap();
        }
        let compile = "import compileall, py_compile, sys; \
                       compileall.compile_dir(sys.argv[1], quiet=1, \
                       invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)";
        let done = std::process::Command::new(prefix.join("bin/python"))
            .args(["-c", compile])
            .arg(&directory)
            .status();
        assert!(done.unwrap().success());
        place.update("one", "environments/one/more.pip", "tomli\n").unwrap();
        let whole = directory.to_str().unwrap().as_bytes();
        let compiled = bytecode(&prefix);
        let compiled = compiled
            .iter()
            .filter(|(path, _)| path.to_str().unwrap().contains("/named/"));
        assert_eq!(compiled.clone().count(), 10);
        for (path, content) in compiled {
            let named = content.windows(whole.len()).any(|window| window == whole);
            assert!(!named, "{}", path.display());
        }
    }
}
