//! Kernel specs: where Jupyter looks for them and what they say.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::KernelError;

/// Keeps what is executed out of the user's history, as nbclient does: one database for all kernels is also one lock.
const HISTORY_IN_MEMORY: &str = "--HistoryManager.hist_file=:memory:";

/// What ipykernel is told beside what its spec says. The notebook does not find it among its arguments.
pub(super) const HIDDEN_ARGUMENTS: [&str; 1] = [HISTORY_IN_MEMORY];

/// Where kernel specs are looked for, the first match first: directories that hold `kernels/<name>/kernel.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchPath(pub Vec<PathBuf>);

/// What determines Jupyter's search path.
#[derive(Debug, Clone, Default)]
pub struct JupyterDirectories {
    /// The value of `JUPYTER_PATH`, a list separated by colons.
    pub jupyter_path: Option<OsString>,
    /// The value of `JUPYTER_DATA_DIR`.
    pub data_directory: Option<PathBuf>,
    /// The value of `XDG_DATA_HOME`.
    pub xdg_data_home: Option<PathBuf>,
    /// The user's home directory.
    pub home: Option<PathBuf>,
    /// The prefix of the Python that runs Jupyter: `$CONDA_DIR`.
    pub prefix: PathBuf,
}

/// An installed kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelSpec {
    /// Its name: that of its directory.
    pub name: String,
    /// The directory of `kernel.json`.
    pub directory: PathBuf,
    /// How it is interrupted.
    pub interrupt: Interrupt,
    language: Option<String>,
    arguments: Vec<String>,
    variables: BTreeMap<String, String>,
}

/// A command that starts ipykernel as `PROGRAM [FLAG…] -m ipykernel_launcher [ARGUMENT…]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launcher {
    /// The interpreter.
    pub program: OsString,
    /// What it is told besides: flags that consist of one word each.
    pub flags: Vec<OsString>,
}

/// How a kernel is interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interrupt {
    /// By SIGINT to its process group.
    #[default]
    Signal,
    /// By a message on its control channel.
    Message,
}

#[derive(Deserialize)]
struct KernelJson {
    argv: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    interrupt_mode: Option<Interrupt>,
    #[serde(default)]
    language: Option<String>,
}

impl SearchPath {
    /// The order of `jupyter_core`, with the installation before the user's own directory: it is what is tested.
    #[must_use]
    pub fn new(directories: &JupyterDirectories) -> Self {
        let mut paths: Vec<PathBuf> = directories
            .jupyter_path
            .as_deref()
            .map(|list| {
                std::env::split_paths(list)
                    .filter(|path| !path.as_os_str().is_empty())
                    .collect()
            })
            .unwrap_or_default();
        paths.push(directories.prefix.join("share/jupyter"));
        let user = directories
            .data_directory
            .clone()
            .or_else(|| Some(directories.xdg_data_home.as_ref()?.join("jupyter")))
            .or_else(|| Some(directories.home.as_ref()?.join(".local/share/jupyter")));
        paths.extend(user);
        paths.push("/usr/local/share/jupyter".into());
        paths.push("/usr/share/jupyter".into());
        Self(paths)
    }

    /// Finds a kernel by its name; like Jupyter, without regard to case.
    pub fn find(&self, name: &str) -> Result<KernelSpec, KernelError> {
        let found = self.kernels().find(|(kernel, _)| kernel.eq_ignore_ascii_case(name));
        match found {
            Some((name, directory)) => KernelSpec::load(name, directory),
            None => Err(KernelError::Unknown {
                name: name.to_owned(),
                available: self.names(),
            }),
        }
    }

    /// The names of all kernels, in alphabetical order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.kernels().map(|(name, _)| name).collect();
        names.sort();
        names.dedup();
        names
    }

    fn kernels(&self) -> impl Iterator<Item = (String, PathBuf)> {
        let directories = self.0.iter().filter_map(|path| fs::read_dir(path.join("kernels")).ok());
        directories
            .flatten()
            .flatten()
            .filter(|entry| entry.path().join("kernel.json").is_file())
            .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()))
    }
}

impl KernelSpec {
    fn load(name: String, directory: PathBuf) -> Result<Self, KernelError> {
        let path = directory.join("kernel.json");
        let invalid = |reason: String| KernelError::Spec {
            path: path.clone(),
            reason,
        };
        let bytes = fs::read(&path).map_err(|error| invalid(error.to_string()))?;
        let json: KernelJson = serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
        if json.argv.is_empty() {
            return Err(invalid("argv is empty".to_owned()));
        }
        Ok(Self {
            name,
            directory,
            interrupt: json.interrupt_mode.unwrap_or_default(),
            language: json.language,
            arguments: json.argv,
            variables: json.env,
        })
    }

    /// A kernel that these arguments start.
    #[cfg(test)]
    pub(super) fn of(arguments: &[&str]) -> Self {
        Self {
            name: "k".to_owned(),
            directory: PathBuf::new(),
            interrupt: Interrupt::Signal,
            language: None,
            arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
            variables: BTreeMap::new(),
        }
    }

    /// The program and its arguments. A bare `python` is `python`, as Jupyter has it.
    #[must_use]
    pub fn command(&self, python: &Path, connection_file: &Path) -> Vec<OsString> {
        let mut command: Vec<OsString> = self
            .arguments
            .iter()
            .map(|argument| {
                argument
                    .replace("{connection_file}", &connection_file.to_string_lossy())
                    .replace("{resource_dir}", &self.directory.to_string_lossy())
                    .into()
            })
            .collect();
        let bare = command[0]
            .to_str()
            .and_then(|program| program.strip_prefix("python"))
            .is_some_and(|version| version.chars().all(|c| c.is_ascii_digit() || c == '.'));
        if bare {
            command[0] = python.into();
        }
        if self.is_ipykernel() {
            command.extend(HIDDEN_ARGUMENTS.map(OsString::from));
        }
        command
    }

    /// The command taken apart, with the arguments to ipykernel; `None` if it starts something else, or in another way.
    #[must_use]
    pub fn launcher(&self, python: &Path, connection_file: &Path) -> Option<(Launcher, Vec<OsString>)> {
        let is_python = self
            .language
            .as_ref()
            .is_none_or(|language| language.eq_ignore_ascii_case("python"));
        let mut command = self.command(python, connection_file).into_iter();
        let program = command.next().filter(|program| is_python && is_interpreter(program))?;
        let flags: Vec<OsString> = command.by_ref().take_while(|word| word != "-m").collect();
        // A flag whose value is a word of its own, and one that runs something else, cannot be told from the rest.
        let is_flag = |word: &OsString| {
            let bytes = word.as_encoded_bytes();
            bytes.starts_with(b"-") && bytes.len() > 1 && !matches!(bytes, b"-X" | b"-W" | b"-c" | b"-")
        };
        let module = command.next()?;
        (module == "ipykernel_launcher" && flags.iter().all(is_flag))
            .then(|| (Launcher { program, flags }, command.collect()))
    }

    /// The spec's own variables, with references to variables of `environment` replaced.
    #[must_use]
    pub fn variables(&self, environment: &BTreeMap<OsString, OsString>) -> BTreeMap<String, OsString> {
        self.variables
            .iter()
            .map(|(name, value)| (name.clone(), substitute(value, environment)))
            .collect()
    }

    /// Whether this starts ipykernel as it is usually started.
    #[must_use]
    pub fn is_ipykernel(&self) -> bool {
        self.arguments
            .windows(2)
            .any(|pair| pair[0] == "-m" && matches!(pair[1].as_str(), "ipykernel_launcher" | "ipykernel"))
    }
}

impl Launcher {
    /// The whole command with these arguments to ipykernel.
    #[must_use]
    pub fn command(&self, arguments: &[OsString]) -> Vec<OsString> {
        let module = ["-m", "ipykernel_launcher"].map(OsString::from);
        let program = std::iter::once(&self.program).chain(&self.flags);
        program.chain(&module).chain(arguments).cloned().collect()
    }
}

/// Whether a program is a Python interpreter by its name: `/opt/conda/bin/python3.11`.
fn is_interpreter(program: &OsStr) -> bool {
    let path = Path::new(program);
    let version = path
        .file_name()
        .and_then(OsStr::to_str)
        .and_then(|name| name.strip_prefix("python"));
    path.is_absolute() && version.is_some_and(|version| version.chars().all(|c| c.is_ascii_digit() || c == '.'))
}

/// Replaces `$NAME` and `${NAME}`, and `$$` by a dollar sign; what is not set stays as it is.
fn substitute(text: &str, environment: &BTreeMap<OsString, OsString>) -> OsString {
    let mut result = OsString::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        result.push(before);
        let braced = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let end = after
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .unwrap_or(after.len());
        let (name, following) = braced.unwrap_or_else(|| after.split_at(end));
        if let Some(following) = after.strip_prefix('$') {
            result.push("$");
            rest = following;
        } else if let Some(value) = environment.get(OsStr::new(name)) {
            result.push(value);
            rest = following;
        } else {
            result.push("$");
            rest = after;
        }
    }
    result.push(rest);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn installed(kernels: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, json) in kernels {
            let kernel = dir.path().join("kernels").join(name);
            fs::create_dir_all(&kernel).unwrap();
            fs::write(kernel.join("kernel.json"), json).unwrap();
        }
        dir
    }

    #[test]
    fn the_first_directory_with_a_kernel_wins_and_case_does_not_matter() {
        let first = installed(&[("roman-cal", r#"{"argv": ["/a/python"]}"#)]);
        let second = installed(&[("Roman-Cal", r#"{"argv": ["/b/python"]}"#)]);
        let path = SearchPath(vec![first.path().into(), second.path().into()]);
        assert_eq!(path.find("ROMAN-cal").unwrap().arguments, ["/a/python"]);
    }

    #[test]
    fn a_missing_kernel_lists_those_there_are() {
        let dir = installed(&[("b", "{}"), ("a", "{}")]);
        let error = SearchPath(vec![dir.path().into()]).find("x").unwrap_err();
        assert_eq!(error.to_string(), r#"no kernel is named "x"; there are: a, b"#);
    }

    #[test]
    fn a_broken_spec_is_named_with_its_reason() {
        let dir = installed(&[("a", r#"{"argv": []}"#)]);
        let error = SearchPath(vec![dir.path().into()]).find("a").unwrap_err();
        assert!(
            error.to_string().ends_with("kernels/a/kernel.json: argv is empty"),
            "{error}"
        );
    }

    #[test]
    fn the_search_path_is_that_of_jupyter() {
        let path = SearchPath::new(&JupyterDirectories {
            jupyter_path: Some("/one::/two".into()),
            home: Some("/home/jovyan".into()),
            prefix: "/opt/conda".into(),
            ..JupyterDirectories::default()
        });
        insta::assert_debug_snapshot!(path, @r#"
        SearchPath(
            [
                "/one",
                "/two",
                "/opt/conda/share/jupyter",
                "/home/jovyan/.local/share/jupyter",
                "/usr/local/share/jupyter",
                "/usr/share/jupyter",
            ],
        )
        "#);
    }

    #[test]
    fn a_bare_python_and_placeholders_are_filled_in() {
        let json =
            r#"{"argv": ["python3", "-m", "ipykernel_launcher", "-f", "{connection_file}", "{resource_dir}/x"]}"#;
        let dir = installed(&[("a", json)]);
        let spec = SearchPath(vec![dir.path().into()]).find("a").unwrap();
        let command = spec.command(Path::new("/env/bin/python"), Path::new("/run/k.json"));
        assert_eq!(command[0], "/env/bin/python");
        assert_eq!(command[4], "/run/k.json");
        assert_eq!(command[5], spec.directory.join("x"));
        assert_eq!(command[6..], HIDDEN_ARGUMENTS);
    }

    #[test]
    fn only_a_command_that_starts_ipykernel_as_an_interpreter_does_is_taken_apart() {
        let taken_apart = |json: &str| {
            let dir = installed(&[("a", json)]);
            let spec = SearchPath(vec![dir.path().into()]).find("a").unwrap();
            spec.launcher(Path::new("/env/bin/python"), Path::new("/run/k.json"))
        };
        let plain =
            r#"{"argv": ["python", "-Xfrozen_modules=off", "-m", "ipykernel_launcher", "-f", "{connection_file}"]}"#;
        let (launcher, arguments) = taken_apart(plain).unwrap();
        assert_eq!(launcher.program, "/env/bin/python");
        assert_eq!(launcher.flags, ["-Xfrozen_modules=off"]);
        assert_eq!(arguments[..2], ["-f", "/run/k.json"]);
        assert_eq!(launcher.command(&arguments).len(), 7);
        for other in [
            r#"{"argv": ["/a/R", "-m", "ipykernel_launcher"]}"#,
            r#"{"argv": ["python", "-m", "xpython_launcher"]}"#,
            r#"{"argv": ["python", "-m", "ipykernel_launcher"], "language": "sage"}"#,
            r#"{"argv": ["python", "-X", "dev", "-m", "ipykernel_launcher"]}"#,
            r#"{"argv": ["python", "run.py", "-m", "ipykernel_launcher"]}"#,
            r#"{"argv": ["python"]}"#,
        ] {
            assert_eq!(taken_apart(other), None, "{other}");
        }
    }

    #[test]
    fn variables_of_a_spec_refer_to_those_of_the_environment() {
        let environment = BTreeMap::from([("PATH".into(), "/bin".into())]);
        for (text, expected) in [
            ("/env/bin:${PATH}", "/env/bin:/bin"),
            ("$PATH:$$PATH", "/bin:$PATH"),
            ("${UNSET} $ $1 ${", "${UNSET} $ $1 ${"),
        ] {
            assert_eq!(substitute(text, &environment), expected, "{text}");
        }
    }
}
