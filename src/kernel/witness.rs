//! What sees, inside a kernel, whether code ended by an exception where the kernel's own reply does not say so.
//!
//! What ipykernel 5 to 7 with IPython 7 to 9 reply and publish:
//!
//! | the cell | reply | `error` published |
//! |---|---|---|
//! | `1/0`, `%prun` and `%timeit` of it, `sys.exit(0)`, `%%bash` of `exit 3` | `error` | yes |
//! | `%nosuch` | `error` | no |
//! | `%run` of a script that fails or calls `sys.exit(3)`, `%%capture` of `1/0` | `ok` | yes |
//! | `%time` and `%%time` of `1/0` | `ok`, `error` from IPython 9 on | yes |
//! | `%%capture` of `%nosuch` | `ok` | no |
//! | `%tb`, a caught `showtraceback()`, `with Output():`, a callback of `post_run_cell` that fails | `ok` | yes |
//! | a `_repr_png_` that fails, of a cell's result | `ok`; `error` named `NoneType` from ipykernel 7.4 on | yes |
//! | `%%prun` of `sys.exit(0)`, `%%debug` of anything, `%%python` and its like where the program is missing | `ok` | no |
//!
//! So neither the reply nor what is published tells whether a cell's code went on to its end. What tells is who took the
//! exception: IPython where it runs code, or a magic; or else the code itself, or what displays objects and calls callbacks.
//!
//! IPython's `exit()` raises no exception, unlike Python's. The kernel stops 0.1 s later, whatever the cell does meanwhile.

use serde_json::{Value, json};

use super::spec::HIDDEN_ARGUMENTS;

const PROGRAM: &str = include_str!("witness.py");

/// The `source` of the payload that says by what exception code ended.
pub(super) const SOURCE: &str = "floe";

/// What the server that forks kernels sets the witness up with, as JSON.
pub(super) fn prepared() -> String {
    json!({"program": PROGRAM, "names": {"source": SOURCE, "hidden": HIDDEN_ARGUMENTS}}).to_string()
}

/// Whether a kernel says in its answer that the server has set the witness up in it.
pub(super) fn is_there(kernel_info: &Value) -> bool {
    let links = kernel_info["help_links"].as_array();
    links.is_some_and(|links| links.iter().any(|link| link["text"] == SOURCE))
}

/// A Python expression that sets the witness up in the kernel that evaluates it; an exception where the kernel is not
/// IPython's. It leaves nothing in the namespace of the notebook.
pub(super) fn expression() -> String {
    // What JSON writes as text, numbers and lists, Python reads as the same.
    let hidden = json!(HIDDEN_ARGUMENTS);
    format!(
        r#"exec({}, {{"shell": get_ipython(), "source": {}, "hidden": {hidden}}})"#,
        json!(PROGRAM),
        json!(SOURCE)
    )
}
