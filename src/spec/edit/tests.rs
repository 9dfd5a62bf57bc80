//! Edits as people would make them.

use std::path::Path;

use super::{PackageKind, put, take_out};
use PackageKind::{Conda, Pip};

fn added(file: &str, text: &str, kind: PackageKind, requirement: &str) -> Result<String, String> {
    let end = requirement.find(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c)));
    let name = &requirement[..end.unwrap_or(requirement.len())];
    put(text, Path::new(file), kind, name, requirement)
        .map(|edited| edited.text)
        .map_err(|error| error.to_string())
}

fn removed(file: &str, text: &str, kind: PackageKind, name: &str) -> Option<String> {
    take_out(text, Path::new(file), kind, name)
        .unwrap()
        .map(|edited| edited.text)
}

#[test]
fn a_requirement_is_listed_last_or_in_the_place_of_the_one_that_is_there() {
    for (what, file, before, kind, requirement, after) in [
        ("an empty list", "e.pip", "", Pip, "numpy", "numpy\n"),
        ("no line end", "e.pip", "six", Pip, "numpy>=2", "six\nnumpy>=2\n"),
        ("Windows", "e.pip", "six\r\n", Pip, "numpy", "six\r\nnumpy\r\n"),
        (
            "a comment stays",
            "e.pip",
            "# maths\nNumPy<2  # until scipy follows\nsix\n",
            Pip,
            "numpy>=2",
            "# maths\nnumpy>=2  # until scipy follows\nsix\n",
        ),
        (
            "a name alone leaves what says more",
            "e.pip",
            "numpy<2\n",
            Pip,
            "numpy",
            "numpy<2\n",
        ),
        (
            "a continued line",
            "e.pip",
            "numpy==1 \\\n  --hash=sha256:0\nsix\n",
            Pip,
            "numpy>=2",
            "numpy>=2\nsix\n",
        ),
        (
            "a conda list",
            "e.conda",
            "fftw # c\n",
            Conda,
            "fftw>=3",
            "fftw>=3 # c\n",
        ),
        (
            "a block",
            "e.yml",
            "name: e\ndependencies:\n  - python=3.11\n  - fftw  # c\n  - pip:\n    - six\nvariables: {A: 1}\n",
            Conda,
            "cfitsio",
            "name: e\ndependencies:\n  - python=3.11\n  - fftw  # c\n  - cfitsio\n  - pip:\n    - six\nvariables: {A: 1}\n",
        ),
        (
            "a pip list in a block",
            "e.yml",
            "dependencies:\n- python\n- pip:\n  - six\n",
            Pip,
            "a @ https://h/a.whl",
            "dependencies:\n- python\n- pip:\n  - six\n  - \"a @ https://h/a.whl\"\n",
        ),
        (
            "what a block lists",
            "e.yml",
            "dependencies:\n- \"numpy<2\"  # c\n\t# odd\n- six\n",
            Conda,
            "numpy>=2",
            "dependencies:\n- numpy>=2  # c\n\t# odd\n- six\n",
        ),
        (
            "brackets",
            "e.yml",
            "dependencies: [python=3.11, pip: [six]]\n",
            Conda,
            "numpy>=1,<2",
            "dependencies: [python=3.11, \"numpy>=1,<2\", pip: [six]]\n",
        ),
        (
            "brackets for pip",
            "e.yml",
            "dependencies: [python=3.11, pip: [six]]\n",
            Pip,
            "toolz",
            "dependencies: [python=3.11, pip: [six, toolz]]\n",
        ),
        (
            "empty brackets",
            "e.yml",
            "dependencies: []\n",
            Conda,
            "numpy",
            "dependencies: [numpy]\n",
        ),
        (
            "only pip",
            "e.yml",
            "dependencies:\n  - pip:\n    - six\n",
            Conda,
            "numpy",
            "dependencies:\n  - numpy\n  - pip:\n    - six\n",
        ),
    ] {
        assert_eq!(added(file, before, kind, requirement).as_deref(), Ok(after), "{what}");
    }
}

#[test]
fn what_is_taken_out_takes_nothing_along() {
    for (what, file, before, kind, name, after) in [
        ("a line", "e.pip", "six\nNum_py<2 # c\n", Pip, "num-py", "six\n"),
        (
            "each of several",
            "e.pip",
            "a<2 ; python_version<'3.9'\nb\na>=2 ; python_version>='3.9'\n",
            Pip,
            "a",
            "b\n",
        ),
        (
            "a block's item",
            "e.yml",
            "dependencies:\n- python\n- numpy>=2\n- pip:\n  - numpy-stl\n",
            Conda,
            "numpy",
            "dependencies:\n- python\n- pip:\n  - numpy-stl\n",
        ),
        (
            "first in brackets",
            "e.yml",
            "dependencies: [a, b]\n",
            Conda,
            "a",
            "dependencies: [b]\n",
        ),
        (
            "last in brackets",
            "e.yml",
            "dependencies: [a, b ]\n",
            Conda,
            "b",
            "dependencies: [a ]\n",
        ),
        (
            "alone in brackets",
            "e.yml",
            "dependencies: [a]\n",
            Conda,
            "a",
            "dependencies: []\n",
        ),
    ] {
        assert_eq!(removed(file, before, kind, name).as_deref(), Some(after), "{what}");
    }
    assert_eq!(removed("e.pip", "six\n", Pip, "numpy"), None);
    assert_eq!(removed("e.yml", "dependencies: [six]\n", Pip, "six"), None);
}

#[test]
fn what_cannot_be_edited_alone_is_refused_by_its_place() {
    for (file, text, kind, requirement, said) in [
        (
            "e.pip",
            "a<2 ; python_version<'3.9'\na>=2 ; python_version>='3.9'\n",
            Pip,
            "a>=3",
            "e.pip:1: it lists a more than once",
        ),
        (
            "e.yml",
            "x-all: &all [numpy<2]\ndependencies: *all\n",
            Conda,
            "numpy>=2",
            "it has no list of conda packages",
        ),
        (
            "e.yml",
            "x: &n numpy<2\ndependencies:\n- *n\n",
            Conda,
            "numpy>=2",
            "reached by an alias",
        ),
        ("e.yml", "name: e\n", Pip, "six", "it has no list of pip packages"),
    ] {
        let error = added(file, text, kind, requirement).unwrap_err();
        assert!(error.contains(said), "{error}");
    }
}
