//! What authorizes a person before their secrets' repository lets them in: a command of theirs.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use super::SecretsError;

/// Runs `line` by a shell in `directory`. The variables that it prints as `export NAME=value`, as
/// `aws configure export-credentials` does with `--format env`, are returned, for git and sops; `say` gets every other line
/// as it comes.
pub fn login(line: &str, directory: &Path, say: &mut dyn FnMut(&str)) -> Result<Vec<(String, String)>, SecretsError> {
    let failed = |how: String| SecretsError::Login { how };
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(directory).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    let mut variables = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            match exported(&line) {
                Some(exported) => variables.extend(exported),
                None => say(&line),
            }
        }
    }
    let status = child.wait().map_err(|error| failed(error.to_string()))?;
    if status.success() {
        Ok(variables)
    } else {
        let code = status.code().map(|code| format!("exit code {code}"));
        Err(failed(code.unwrap_or_else(|| status.to_string())))
    }
}

/// What a line exports, if it is one that does.
fn exported(line: &str) -> Option<Vec<(String, String)>> {
    let words = shlex::split(line)?;
    let (first, words) = words.split_first()?;
    let pair = |word: &String| {
        let (name, value) = word.split_once('=')?;
        super::exports::is_name(name).then(|| (name.to_owned(), value.trim_end_matches(';').to_owned()))
    };
    (first == "export" && !words.is_empty()).then(|| words.iter().map(pair).collect())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_gives_variables_and_says_the_rest() {
        let mut said = Vec::new();
        let line = "echo open https://x; echo export A=1 \"B='x y'\"; echo export; pwd";
        let variables = login(line, Path::new("/"), &mut |line| said.push(line.to_owned())).unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(variables, [pair("A", "1"), pair("B", "x y")]);
        assert_eq!(said, ["open https://x", "export", "/"]);
        let error = login("exit 3", Path::new("/"), &mut |_| ()).unwrap_err();
        assert_eq!(error.to_string(), "SECRETS_LOGIN failed (exit code 3)");
    }
}
