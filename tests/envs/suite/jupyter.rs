//! Code under test sees a kernel as Jupyter starts it: nbclient runs the same notebook, and what differs is listed.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::case::Case;

/// What a notebook can see of how it was started.
const SEES: &str = "import json, os, sys\n\
    shell = get_ipython()\n\
    json.dump({\n\
    'arguments': sys.argv,\n\
    'original arguments': sys.orig_argv,\n\
    'command': open('/proc/self/cmdline').read().split('\\0')[:-1],\n\
    'environment': dict(os.environ),\n\
    'directory': os.path.basename(os.getcwd()),\n\
    'surroundings': sorted(os.listdir('..')),\n\
    'search path': sys.path,\n\
    'flags': str(sys.flags),\n\
    'modules': sorted(sys.modules),\n\
    'names': sorted(globals()),\n\
    'inputs': In[:-1],\n\
    'count': shell.execution_count,\n\
    'history': [line for _, _, line in shell.history_manager.get_range()][:-1],\n\
    'main': [__name__, sys.modules['__main__'].__dict__ is globals()],\n\
    'frames': [frame.f_code.co_name for frame, _ in __import__('traceback').walk_stack(None)],\n\
    }, open(os.environ['SEEN'], 'w'))";

/// What a kernel that listens on ports imports to learn the addresses of the machine, and what that imports.
const PSUTIL: [&str; 3] = ["psutil", "pwd", "resource"];

const NBCLIENT: &str = "import nbclient, nbformat, os\n\
    notebook = nbformat.read('x.ipynb', as_version=4)\n\
    nbclient.NotebookClient(notebook, kernel_name='cal', ipython_hist_file='').execute()";

/// What was seen, without what differs from process to process.
fn seen(path: &Path) -> Value {
    let mut seen: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    for words in ["arguments", "original arguments", "command"] {
        for word in seen[words].as_array_mut().unwrap() {
            let text = word.as_str().unwrap();
            if Path::new(text).extension().is_some_and(|extension| extension == "json") {
                *word = "CONNECTION FILE".into();
            }
        }
    }
    for variable in ["JPY_PARENT_PID", "SEEN"] {
        seen["environment"][variable] = "…".into();
    }
    seen
}

/// The words that only one of two lists holds.
fn differing<'a>(one: &'a Value, other: &'a Value) -> Vec<&'a str> {
    let words = |list: &'a Value| {
        list.as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect::<BTreeSet<_>>()
    };
    words(one).symmetric_difference(&words(other)).copied().collect()
}

#[tokio::test]
async fn a_notebook_sees_a_kernel_as_jupyter_starts_it() {
    let mut case = Case::with("jupyter", &["ipykernel", "nbclient"]);
    let home = case.options.scratch.clone();
    // Without it, Python sets a locale of its own, and what Python starts gets that.
    case.options.variables.insert("LANG".into(), "C.UTF-8".into());
    let notebook = case.file("x.ipynb", &world::notebook(&[SEES]));
    let theirs = home.join("theirs.json");
    let mut nbclient = Command::new(case.options.conda_dir.join("bin/python"));
    nbclient
        .args(["-c", NBCLIENT])
        .current_dir(notebook.parent().unwrap())
        .env_clear()
        .envs(&case.options.variables)
        .env("SEEN", &theirs);
    world::run(&mut nbclient);
    let theirs = seen(&theirs);
    // Started, and forked.
    for names in [&["x.ipynb"][..], &["x.ipynb", "y.ipynb"]] {
        for name in names {
            case.notebook(name, &[SEES]);
        }
        let ours = home.join("ours.json");
        case.options.variables.insert("SEEN".into(), ours.clone().into());
        let run = case.run().await;
        assert_eq!(run.summary.failed, 0, "{:#?}", run.events);
        let mut ours = seen(&ours);
        // The system shows the command of what forked it, or how history is kept in memory, as nbclient has it.
        let command = ours["command"].take();
        let command = command.as_array().unwrap();
        let forked = names.len() > 1;
        if forked {
            assert!(command.contains(&json!("-c")), "{command:?}");
        } else {
            let theirs = theirs["command"].as_array().unwrap();
            assert_eq!(command[..theirs.len()], theirs[..]);
            assert_eq!(command[theirs.len()..], [json!("--HistoryManager.hist_file=:memory:")]);
        }
        if forked {
            // A server that forks is the outermost frame of all its kernels.
            assert_eq!(ours["frames"].as_array_mut().unwrap().pop(), Some(json!("<module>")));
        }
        for (name, theirs) in theirs.as_object().unwrap() {
            if !["command", "modules"].contains(&name.as_str()) {
                assert_eq!(ours[name], *theirs, "{name}, forked: {forked}");
            }
        }
        let modules = differing(&ours["modules"], &theirs["modules"]);
        let others = modules
            .iter()
            .filter(|name| !PSUTIL.contains(&name.split('.').next().unwrap()));
        assert_eq!(others.collect::<Vec<_>>(), [&""; 0], "forked: {forked}");
    }
}

/// Widgets of each kind: with values, with bytes, that take output, that a later cell changes, and that are closed. What a
/// widget is told to hold by `append_stdout` is left out: nbclient loses it.
const WIDGETS: [&str; 4] = [
    "import ipywidgets as w\nfrom IPython.display import display\n\
    slider = w.IntSlider(3)\nimage = w.Image(value=b'\\x00\\xff')\nbar = w.IntProgress()\nw.HBox([slider, image, bar])",
    "out = w.Output()\ndisplay(out)\nwith out:\n    print('in')\n    display(slider)\n    with w.Output():\n        print('deeper')\n\
    print('outside')",
    "slider.value = 7\nbar.close()\nassert out.outputs[0]['text'] == 'in\\n', out.outputs",
    "with out:\n    1 / 0",
];

/// Now and then nbclient misses a message, and waits for it without end.
const NBCLIENT_KEEPS: &str = "import json, nbclient, nbformat\n\
    for attempt in range(5):\n    \
        notebook = nbformat.read('x.ipynb', as_version=4)\n    \
        try:\n        \
            nbclient.NotebookClient(notebook, kernel_name='cal', ipython_hist_file='', timeout=20).execute()\n        \
            break\n    \
        except (TimeoutError, RuntimeError) as error:\n        \
            print('again:', repr(error))\n\
    json.dump(notebook, open('theirs.ipynb', 'w'))";

/// A kept notebook, without what differs from run to run: models are known by their kind, and by how many outputs they hold.
fn kept(path: &Path) -> Value {
    let mut notebook: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    for cell in notebook["cells"].as_array_mut().unwrap() {
        cell.as_object_mut().unwrap().remove("metadata");
    }
    let state = "/metadata/widgets/application~1vnd.jupyter.widget-state+json/state";
    let models = notebook.pointer_mut(state).unwrap().take();
    let mut text = notebook.to_string();
    let mut known = Vec::new();
    for (id, model) in models.as_object().unwrap() {
        let held = model["state"]["outputs"].as_array().map(Vec::len);
        known.push((format!("{} of {held:?}", model["model_name"]), id));
    }
    let mut models = models.to_string();
    known.sort();
    let kinds = known.iter().map(|(kind, _)| kind).collect::<BTreeSet<_>>();
    for (kind, id) in &known {
        let name = format!("model {}", kinds.iter().position(|other| *other == kind).unwrap());
        text = text.replace(id.as_str(), &name);
        models = models.replace(id.as_str(), &name);
    }
    let mut notebook: Value = serde_json::from_str(&text).unwrap();
    *notebook.pointer_mut(state).unwrap() = serde_json::from_str(&models).unwrap();
    notebook
}

#[tokio::test]
async fn a_kept_notebook_holds_what_nbclient_writes_widgets_and_language_too() {
    let case = Case::with("widgets", &["ipykernel", "nbclient", "ipywidgets"]);
    let path = case.file("x.ipynb", &world::notebook(&WIDGETS));
    let mut nbclient = Command::new(case.options.conda_dir.join("bin/python"));
    nbclient
        .args(["-c", NBCLIENT_KEEPS])
        .current_dir(path.parent().unwrap())
        .env_clear()
        .envs(&case.options.variables);
    world::run(&mut nbclient);
    let theirs = path.with_file_name("theirs.ipynb");
    let expected = kept(&theirs);
    fs::remove_file(theirs).unwrap();
    let run = case.run().await;
    assert_eq!(run.summary.failed, 0, "{:#?}", run.events);
    let ours = kept(&case.options.artifacts.join("notebooks/cal/x.ipynb"));
    for part in ["metadata", "cells"] {
        assert_eq!(
            ours[part], expected[part],
            "{part}: ours {:#}\ntheirs {:#}",
            ours[part], expected[part]
        );
    }
}
