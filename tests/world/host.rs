//! The program outside of an image's build, to which an agent hands the layers of an environment.

use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

/// What an agent has handed over.
#[derive(Debug)]
pub struct HandedOver {
    /// What it offered: the environment, and of each layer the bytes and, where it is known, the digest.
    pub offer: Value,
    /// What it said of each layer that was wanted, once it was sent; with its place among those offered.
    pub sent: Vec<(usize, Value)>,
}

/// Has the layers of an environment handed over by the agent behind a connection: those of the offered ones that are
/// wanted, each to `receive`, which reads all of it.
///
/// # Errors
///
/// The agent breaks off, says no layers or what is no JSON, or `receive` fails.
pub fn take_layers(
    agent: &UnixStream,
    wants: impl Fn(&Value) -> bool,
    mut receive: impl FnMut(&mut dyn Read) -> io::Result<()>,
) -> io::Result<HandedOver> {
    let mut heard = BufReader::new(agent);
    let offer = said(&mut heard)?["layers"].take();
    let layers = offer["layers"]
        .as_array()
        .ok_or_else(|| io::Error::other(offer.to_string()))?;
    let wanted = (0..layers.len()).filter(|&place| wants(&layers[place]));
    let wanted = wanted.collect::<Vec<_>>();
    let mut answers = agent;
    writeln!(answers, "{}", json!({"layers": wanted, "by_door": false}))?;
    let mut sent = Vec::new();
    for place in wanted {
        let bytes = layers[place]["bytes"].as_u64().unwrap_or_default();
        receive(&mut (&mut heard).take(bytes))?;
        sent.push((place, said(&mut heard)?));
    }
    Ok(HandedOver { offer, sent })
}

fn said(heard: &mut impl BufRead) -> io::Result<Value> {
    let mut text = String::new();
    heard.read_line(&mut text)?;
    Ok(serde_json::from_str(&text)?)
}
