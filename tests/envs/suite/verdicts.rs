//! A cell passes when its code went on to its end, and fails when an exception ended it, in whatever way and on every
//! version of ipykernel and IPython.

use floe::event::{CauseKind, Verdict};

use super::case::{Case, cause, code, tagged};

/// Generations of ipykernel and IPython, which differ in what they reply and publish.
const GENERATIONS: [(&str, &[&str]); 3] = [
    ("ipykernel-5", &["ipykernel<6", "ipython<8", "ipywidgets"]),
    ("ipykernel-6", &["ipykernel<7", "ipython<9", "ipywidgets"]),
    ("ipykernel-7", &["ipykernel", "ipython", "ipywidgets"]),
];

/// Cells that show exceptions and go on to their end.
const GOING_ON: &[&str] = &[
    "def show():\n    try: 1 / 0\n    except ZeroDivisionError: get_ipython().showtraceback()\nshow()",
    "%%time\nshow()",
    "%%capture\nshow()",
    "try: exec('1 / 0')\nexcept Exception: get_ipython().showtraceback()",
    "%%time\ntry: exec('1 / 0')\nexcept Exception: get_ipython().showtraceback()",
    "import sys\ntry: 1 / 0\nexcept Exception: sys.excepthook(*sys.exc_info())",
    "async def later(): 1 / 0\ntry: await later()\nexcept Exception: get_ipython().showtraceback()",
    "%tb",
    "import ipywidgets\nwith ipywidgets.Output(): 1 / 0",
    "with ipywidgets.Output(): exec('1 / 0')",
    "@ipywidgets.interact(x=3)\ndef shown(x): 1 / 0",
    "class Picture:\n    def _repr_png_(self): 1 / 0\ndisplay(Picture())",
    "Picture()",
    "def fails(*_): 1 / 0\nget_ipython().events.register('post_run_cell', fails)",
    "get_ipython().events.unregister('post_run_cell', fails)\nget_ipython().events.register('pre_run_cell', fails)",
    "get_ipython().events.unregister('pre_run_cell', fails)",
    "try: exit()\nexcept SystemExit: pass",
    "def leave(): quit()\ntry: leave()\nexcept (ValueError, BaseException): pass",
    "import contextlib\nwith contextlib.suppress(SystemExit): exit()",
    "try: sys.exit(1)\nexcept SystemExit: pass",
    "exit(keep_kernel=True)",
    "open('leaves.py', 'w').write('import sys; sys.exit(0)')\n%run leaves.py",
    "%run -p leaves.py",
    "%%prun\nx = 1",
    "%%script sh\ntrue",
    "%run -e fails_with_3.py",
    "import threading\nthread = threading.Thread(target=lambda: 1 / 0); thread.start(); thread.join()",
    // Were the kernel still about to exit, it would be gone by now.
    "import time; time.sleep(1)",
];

/// Cells whose code ends by an exception.
const ENDING: &[&str] = &[
    "1 / 0",
    "%run fails.py",
    "%run no_python.py",
    "%run fails_with_3.py",
    "%run missing.py",
    "%run fails.ipy",
    "%run -m fails",
    "%run -i fails.py",
    "%run -p fails.py",
    "get_ipython().run_line_magic('run', 'fails.py')",
    "%%capture\n1 / 0",
    "%%capture\nx = (",
    "%%capture\n%nosuch",
    "%%capture\n%%nosuch\nx",
    "%%capture\nimport sys; sys.exit(0)",
    "%%capture\n%run fails.py",
    "%time 1 / 0",
    "%%time\n1 / 0",
    "%%time\nx = 1\n1 / 0",
    "%%time\n%run fails.py",
    "%%time\nimport sys; sys.exit(0)",
    "%timeit -n1 1 / 0",
    "%%timeit\n1 / 0",
    "%%prun\n1 / 0",
    "%%prun\nimport sys; sys.exit(0)",
    "%run -p fails_with_3.py",
    "%%debug\nx = 1",
    "%%script no_such_program\nx",
    "%%pypy\nx",
    "import sys; sys.exit(0)",
    "%nosuch",
    "%%nosuch\nx",
    "x = (",
    "async def later(): 1 / 0\nawait later()",
    "%%bash\nexit 3",
    "%load_ext nosuch",
    "import ipywidgets\nwith ipywidgets.Output():\n    %run fails.py",
    "%%hides\n1 / 0",
    "%%again\n1 / 0",
    "%%raises\n1",
    "get_ipython().set_custom_exc((ZeroDivisionError,), lambda *_, **__: None)\n1 / 0",
    "%%capture\n1 / 0",
];

const MAGICS: &str = "from IPython.core.magic import register_cell_magic\n\
    @register_cell_magic\n\
    def hides(line, cell):\n    try: exec(cell)\n    except Exception: get_ipython().showtraceback()\n\
    @register_cell_magic\n\
    def again(line, cell): get_ipython().run_cell(cell)\n\
    @register_cell_magic\n\
    def raises(line, cell): raise ValueError(line)";

fn with_scripts(name: &str, packages: &[&str]) -> Case {
    let case = Case::with(name, packages);
    case.file("fails.py", "x = 1\nx / 0\n");
    case.file("fails.ipy", "%nosuch\n");
    case.file("no_python.py", "x = (\n");
    case.file("fails_with_3.py", "import sys\nsys.exit(3)\n");
    case
}

#[tokio::test]
async fn what_a_cell_shows_and_goes_on_after_fails_nothing() {
    for (name, packages) in GENERATIONS {
        let case = with_scripts(name, packages);
        let mut cells = vec![tagged("1 / 0", &["raises-exception"])];
        cells.extend(GOING_ON.iter().map(|source| code(source)));
        case.notebook_of("x.ipynb", &cells);
        let run = case.run().await;
        let finished = run.finished("cal::notebooks::x.ipynb");
        assert_eq!(finished.verdict, Verdict::Passed, "{name}");
        let note = "[floe: cell 2 showed an exception and went on: ZeroDivisionError: division by zero]\n";
        assert!(finished.output.contains(note), "{}", finished.output);
        assert!(!finished.output.contains("[floe: cell 1 "), "{}", finished.output);
    }
}

#[tokio::test]
async fn whatever_takes_it_an_exception_that_ended_code_fails_the_cell() {
    for (name, packages) in GENERATIONS {
        let case = with_scripts(name, packages);
        let ending = ENDING.iter().map(|source| tagged(source, &["raises-exception"]));
        let cells = std::iter::once(code(MAGICS)).chain(ending).collect::<Vec<_>>();
        case.notebook_of("x.ipynb", &cells);
        let run = case.run().await;
        assert_eq!(
            run.finished("cal::notebooks::x.ipynb").verdict,
            Verdict::Passed,
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_caught_exception_is_none_that_a_cell_must_raise() {
    let (name, packages) = GENERATIONS[2];
    let case = with_scripts(name, packages);
    case.notebook_of("x.ipynb", &[tagged(GOING_ON[0], &["raises-exception"])]);
    let run = case.run().await;
    let failure = cause(run.finished("cal::notebooks::x.ipynb"), CauseKind::Error);
    assert_eq!(
        failure.message,
        "the cell is tagged raises-exception, but raised nothing"
    );
}

#[tokio::test]
async fn what_ends_code_in_silence_is_told_with_its_words() {
    let case = Case::new();
    case.file("fails.py", "x = 1\nx / 0\n");
    case.notebook("run.ipynb", &["%run fails.py"]);
    case.notebook("captured.ipynb", &["%%capture\n%nosuch"]);
    let run = case.run().await;
    let failure = cause(run.finished("cal::notebooks::run.ipynb"), CauseKind::Error);
    assert_eq!(failure.message, "ZeroDivisionError: division by zero");
    assert!(failure.detail.contains("fails.py"), "{}", failure.detail);
    let failure = cause(run.finished("cal::notebooks::captured.ipynb"), CauseKind::Error);
    assert_eq!(failure.message, "UsageError: Line magic function `%nosuch` not found.");
}
