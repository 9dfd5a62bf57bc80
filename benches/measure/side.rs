//! A floe, and a repository that it works on: this one, or an earlier one beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use world::{Repository, run};

pub struct Side {
    pub repository: Repository,
    /// An earlier program.
    program: Option<PathBuf>,
}

impl Side {
    /// This floe, or the earlier one that `before` holds: its program, `floe`, and its `common/`. Its calls use the engine.
    pub fn new(before: Option<&Path>) -> Self {
        let repository = Repository::with_engine();
        let program = before.map(|before| {
            let common = repository.path().join("common");
            fs::remove_dir_all(&common).unwrap();
            run(Command::new("cp").arg("-a").arg(before.join("common")).arg(&common));
            fs::canonicalize(before.join("floe")).unwrap()
        });
        Self { repository, program }
    }

    /// Whether it is an earlier one.
    pub fn is_earlier(&self) -> bool {
        self.program.is_some()
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let own = self.repository.command(words);
        let Some(program) = &self.program else {
            return own;
        };
        let mut command = Command::new(program);
        command.args(words).current_dir(self.repository.path());
        command.stdin(Stdio::null()).env_clear();
        command.envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    }
}
