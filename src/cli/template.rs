//! Templates rendered in a process of their own, which nothing but the template and its context reaches, and which is ended
//! where it takes more than any template needs.

use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::failure::Failure;
use super::output;
use crate::compose::{self, Renderer};

/// The hidden command by which floe calls itself for this.
pub const COMMAND: &str = "render-template";

/// How many seconds of a processor a template may take.
const CPU_SECONDS: u64 = 5;

/// How much memory it may take, in bytes.
const MEMORY: u64 = 1 << 30;

/// The longest text that it may come to, in bytes.
const LONGEST: u64 = 4 << 20;

/// A process of floe's own program for each template.
pub struct Apart {
    pub program: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Request {
    template: String,
    context: Value,
}

impl Renderer for Apart {
    fn render(&self, template: &str, context: &Value) -> Result<String, String> {
        let request = Request {
            template: template.to_owned(),
            context: context.clone(),
        };
        self.ask(&request)
            .map_err(|error| format!("it cannot be rendered: {error}"))?
    }
}

impl Apart {
    fn ask(&self, request: &Request) -> io::Result<Result<String, String>> {
        let mut child = Command::new(&self.program)
            .arg(COMMAND)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let request = serde_json::to_vec(request)?;
        let answer = std::thread::scope(|scope| {
            // A process that ends without reading says so by its end.
            scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(&request)));
            let mut answer = Vec::new();
            let read = stdout.map(|stdout| stdout.take(2 * LONGEST).read_to_end(&mut answer));
            read.transpose().map(|_| answer)
        })?;
        let _ = child.kill();
        let status = child.wait()?;
        Ok(serde_json::from_slice(&answer).unwrap_or_else(|_| {
            Err(format!(
                "it takes more than {CPU_SECONDS} s, 1 GiB of memory or 4 MiB of text, or calls itself without end ({status})"
            ))
        }))
    }
}

/// Renders the template on standard input, within bounds. What comes of it is the result, well or not.
pub fn execute() -> Result<(), Failure> {
    let bound = |resource, most: u64| {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        setrlimit(resource, limit).map_err(io::Error::from)
    };
    let rendered = bound(Resource::Cpu, CPU_SECONDS)
        .and_then(|()| bound(Resource::As, MEMORY))
        .and_then(|()| bound(Resource::Core, 0))
        .and_then(|()| Ok(serde_json::from_reader::<_, Request>(io::stdin().lock())?));
    let rendered = match rendered {
        Err(error) => Err(error.to_string()),
        Ok(Request { template, context }) => compose::text(&template, &context),
    };
    let rendered = rendered.and_then(|text| {
        let fits = text.len() as u64 <= LONGEST;
        if fits {
            Ok(text)
        } else {
            Err("it comes to more than 4 MiB of text".to_owned())
        }
    });
    output::result(&serde_json::to_string(&rendered).unwrap_or_default())
}
