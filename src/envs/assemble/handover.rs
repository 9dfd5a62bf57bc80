//! Layers on their way to the host.

use std::io::{self, BufRead as _, BufReader, BufWriter, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde::Serialize;

use super::layer::Layer;
use super::store::Store;
use crate::envs::EnvsError;
use crate::envs::error::io_error;
use crate::image::assembly::{Offer, Offered, Sent, Wanted};
use crate::passage::Door;
use crate::reference::EnvironmentName;

/// Bytes that are sent at once.
const PIECE: usize = 1 << 20;

/// Offers the layers of an environment to the host, and sends those that it wants, by the way that it wants them by.
pub(super) fn hand_over(
    (host, door): (UnixStream, Option<Door>),
    environment: &EnvironmentName,
    layers: &[Layer],
    store: &Store,
) -> Result<(), EnvsError> {
    let failed = io_error(Path::new("the connection to the host"));
    let offered = layers.iter().map(|layer| Offered {
        digest: store.layer(&layer.key()),
        bytes: layer.bytes(),
    });
    let offer = Offer::Layers {
        environment: environment.clone(),
        layers: offered.collect(),
        door: door.as_ref().map(|door| door.place().to_owned()),
    };
    line(&host, &offer).map_err(failed)?;
    let mut heard = BufReader::new(&host);
    let mut answer = String::new();
    heard.read_line(&mut answer).map_err(failed)?;
    let wanted = serde_json::from_str::<Wanted>(&answer).map_err(|error| failed(error.into()))?;
    let way = match door.filter(|_| wanted.by_door) {
        Some(door) => door.admitted(),
        None => host.try_clone(),
    };
    let mut out = BufWriter::with_capacity(PIECE, way.map_err(failed)?);
    for layer in wanted.layers.iter().filter_map(|&index| layers.get(index)) {
        let key = layer.key();
        let digest = layer.write(store.layer(&key).as_ref(), &mut out)?;
        store.remember(&key, &digest)?;
        line(&mut out, &Sent { digest }).map_err(failed)?;
    }
    out.into_inner().map_err(|error| failed(error.into_error()))?;
    end(&host, heard).map_err(failed)
}

/// Says that an environment cannot be assembled.
pub(super) fn decline(host: &UnixStream, offer: &Offer) -> Result<(), EnvsError> {
    let declined = (|| {
        line(host, offer)?;
        end(host, host)
    })();
    declined.map_err(io_error(Path::new("the connection to the host")))
}

fn line(mut out: impl Write, message: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec(message)?;
    text.push(b'\n');
    out.write_all(&text)?;
    out.flush()
}

/// Waits until the host has read everything: the step of the build that this is ends the connection.
fn end(host: &UnixStream, mut heard: impl io::Read) -> io::Result<()> {
    host.shutdown(Shutdown::Write)?;
    heard.read_to_end(&mut Vec::new()).map(drop)
}
