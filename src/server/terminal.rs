//! A terminal of JupyterLab, as a person opens one: what `jupyter_server_terminals` offers by REST and a websocket, on which
//! each message is an array of its kind and its text.

use std::fmt::Write as _;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::browser::{Answer, Browser, Trouble};

/// What the shell prints before a program that it does not find, and when it has looked for all. The terminal shows what is
/// typed, too, where neither appears in one piece.
const LACKS: &str = "floe-lacks ";
const ENDED: &str = "floe-ended";

impl Browser {
    /// Opens a terminal and returns which of these programs its shell does not find.
    pub(super) async fn lacking_in_terminal(&self, programs: &[&str]) -> Result<Vec<String>, Trouble> {
        let path = self.below("api/terminals");
        let strange = |reason: &str| Trouble::Strange {
            path: path.clone(),
            reason: reason.to_owned(),
        };
        let Answer::Body(body) = self.send(Method::POST, &path, Bytes::from_static(b"{}")).await? else {
            return Err(strange("it redirects"));
        };
        let opened: Value = serde_json::from_slice(&body).unwrap_or_default();
        let name = opened["name"]
            .as_str()
            .ok_or_else(|| strange("the answer names no terminal"))?;
        let printed = self.typed(name, &question(programs)).await;
        let closed = self.send(Method::DELETE, &format!("{path}/{name}"), Bytes::new()).await;
        let printed = printed?;
        closed?;
        let lacks = |program: &&str| printed.contains(&format!("{LACKS}{program}"));
        Ok(programs
            .iter()
            .filter(|program| lacks(program))
            .map(ToString::to_string)
            .collect())
    }

    /// Types a line into the terminal `name`; returns what it shows until [`ENDED`].
    async fn typed(&self, name: &str, line: &str) -> Result<String, Trouble> {
        let path = self.below(&format!("terminals/websocket/{name}"));
        let broken = |error: &dyn std::fmt::Display| Trouble::Broken(format!("{path}: {error}"));
        let mut socket = self.open(&path).await?;
        let words = json!(["stdin", format!("{line}\r")]).to_string();
        socket
            .send(Message::text(words))
            .await
            .map_err(|error| broken(&error))?;
        let mut shown = String::new();
        while let Some(message) = socket.next().await {
            let message = message.map_err(|error| broken(&error))?;
            let parts = message
                .to_text()
                .ok()
                .and_then(|text| serde_json::from_str::<Vec<Value>>(text).ok());
            let text = parts.as_deref().and_then(|parts| match parts {
                [kind, text] if kind == "stdout" => text.as_str(),
                _ => None,
            });
            shown.push_str(text.unwrap_or_default());
            if shown.contains(ENDED) {
                let _ = socket.close(None).await;
                return Ok(shown);
            }
        }
        Err(broken(&"the terminal closed before its shell answered"))
    }
}

/// A line for a shell of any kind, which names each program that it does not find.
fn question(programs: &[&str]) -> String {
    let mut line = String::new();
    let (lacks, ended) = (LACKS.trim_end(), ENDED.rsplit('-').next().unwrap_or_default());
    for program in programs {
        // Writing to a string cannot fail.
        let _ = write!(
            line,
            "command -v {program} >/dev/null || printf '{lacks} %s\\n' {program}; "
        );
    }
    line + &format!("printf 'floe-%s\\n' {ended}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_holds_no_answer() {
        let line = question(&["python", "pip"]);
        for answer in [ENDED, "floe-lacks python", "floe-lacks pip"] {
            assert!(!line.contains(answer), "{line}");
        }
    }
}
