//! Events on a pipe that carries other output too: RS (0x1E), a JSON object, a line feed (RFC 7464).
//!
//! The other output is arbitrary bytes from arbitrary programs, so the decoder never fails: whatever is not a framed
//! event is text, and a line that is too long to be an event stays text without being held in memory.
//!
//! The frame itself is a few lines; what takes care is passing on what is no event, which readers of JSON sequences do not.
//!
//! A host that asked for it gets each record sealed: numbered from 1, with the proof that the agent made it.

use std::io::{self, Write};
use std::sync::{Mutex, OnceLock, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::seal::Key;
use super::{Event, Record, Sink};

const RECORD_SEPARATOR: u8 = 0x1E;

/// No more bytes than this are passed on of what is printed outside of tests.
pub const MOST_OUTPUT: usize = 16 << 20;

/// An event longer than this is not one: the agent bounds what it sends well below.
const LONGEST_EVENT: usize = 4 * 1024 * 1024;

/// Writes each event as a frame of this module and flushes it: how the agent speaks to its host.
pub struct Wire {
    out: Mutex<(Encoder, Box<dyn Write + Send>)>,
    failed: OnceLock<io::Error>,
}

impl Wire {
    /// Writes to `writer` what `encoder` makes of events.
    #[must_use]
    pub fn new(encoder: Encoder, writer: Box<dyn Write + Send>) -> Self {
        Self {
            out: Mutex::new((encoder, writer)),
            failed: OnceLock::new(),
        }
    }
}

impl Sink for Wire {
    fn emit(&self, event: Event) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let (encoder, writer) = &mut *out;
        if self.failed.get().is_none() {
            let frame = encoder.encode(&Record::now(event));
            if let Err(error) = writer.write_all(&frame).and_then(|()| writer.flush()) {
                let _ = self.failed.set(error);
            }
        }
    }
}

/// Makes frames of records.
#[derive(Debug, Default)]
pub struct Encoder {
    key: Option<Key>,
    last: u64,
}

impl Encoder {
    /// An encoder that seals each record.
    #[must_use]
    pub fn sealed(key: Key) -> Self {
        Self {
            key: Some(key),
            last: 0,
        }
    }

    /// The bytes that carry `record`. They begin on a line of their own only if the pipe stood at a line's start, which
    /// the decoder does not need.
    #[must_use]
    pub fn encode(&mut self, record: &Record) -> Vec<u8> {
        // A record holds strings, numbers and maps with string keys only: serialization cannot fail.
        let text = serde_json::value::to_raw_value(record).unwrap_or_default();
        let mut bytes = vec![RECORD_SEPARATOR];
        if let Some(key) = &self.key {
            self.last += 1;
            let sealed = Sealed {
                number: self.last,
                proof: key.proof(self.last, text.get()),
                record: &text,
            };
            serde_json::to_writer(&mut bytes, &sealed).unwrap_or_default();
        } else {
            bytes.extend_from_slice(text.get().as_bytes());
        }
        bytes.push(b'\n');
        bytes
    }
}

/// A record with its proof.
#[derive(Serialize, Deserialize)]
struct Sealed<'a> {
    #[serde(rename = "n")]
    number: u64,
    proof: String,
    #[serde(borrow)]
    record: &'a RawValue,
}

/// A piece of a decoded stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    /// A framed event.
    Record(Box<Record>),
    /// What is framed like an event and is not the next of the agent's.
    Refused(Refusal),
    /// Bytes that belong to no event, in order, not necessarily whole lines.
    Text(Vec<u8>),
}

/// Why a record counts for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The agent did not make it.
    #[error("a record came out of the container that is not the agent's: something in it poses as the agent")]
    Unproven,
    /// Records before it did not arrive.
    #[error("records of the agent are missing: number {expected} was to come, and {found} came")]
    Missing {
        /// The number that was to come.
        expected: u64,
        /// The number that came.
        found: u64,
    },
}

/// A frame that holds no event: text that only looks like one.
struct NoEvent;

/// Splits a stream into events and text, however it is cut into pieces.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The bytes of an event that has begun, without its separator; `None` outside an event.
    pending: Option<Vec<u8>>,
    /// The key of the agent, where records are sealed.
    key: Option<Key>,
    /// The number of the last record.
    last: u64,
}

impl Decoder {
    /// A decoder that believes records with a proof alone.
    #[must_use]
    pub fn sealed(key: Key) -> Self {
        Self {
            key: Some(key),
            ..Self::default()
        }
    }

    /// Decodes the next bytes of the stream.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Vec<Piece> {
        let mut pieces = Pieces::default();
        while !bytes.is_empty() {
            match self.pending.as_mut() {
                None => match bytes.iter().position(|&b| b == RECORD_SEPARATOR) {
                    None => {
                        pieces.text(bytes);
                        bytes = &[];
                    }
                    Some(start) => {
                        pieces.text(&bytes[..start]);
                        bytes = &bytes[start + 1..];
                        self.pending = Some(Vec::new());
                    }
                },
                Some(pending) => {
                    let end = bytes.iter().position(|&b| b == b'\n' || b == RECORD_SEPARATOR);
                    let taken = end.unwrap_or(bytes.len());
                    pending.extend_from_slice(&bytes[..taken]);
                    bytes = &bytes[taken..];
                    if end.is_some() {
                        let whole = self.pending.take().unwrap_or_default();
                        match self.read(&whole) {
                            Ok(piece) if bytes[0] == b'\n' => {
                                pieces.0.extend(piece);
                                bytes = &bytes[1..];
                            }
                            // Not an event after all. What ended it is looked at again: a line feed as text, a
                            // separator as the start of another event.
                            _ => pieces.unframed(&whole),
                        }
                    } else if pending.len() > LONGEST_EVENT {
                        let whole = self.pending.take().unwrap_or_default();
                        pieces.unframed(&whole);
                    }
                }
            }
        }
        pieces.0
    }

    /// What a frame holds: nothing where it has come before.
    fn read(&mut self, whole: &[u8]) -> Result<Option<Piece>, NoEvent> {
        let record = |bytes| serde_json::from_slice(bytes).map(Piece::Record).map_err(|_| NoEvent);
        let Some(key) = &self.key else {
            return record(whole).map(Some);
        };
        let Ok(sealed) = serde_json::from_slice::<Sealed<'_>>(whole) else {
            return record(whole).map(|_| Some(Piece::Refused(Refusal::Unproven)));
        };
        if !key.proves(sealed.number, sealed.record.get(), &sealed.proof) {
            return Ok(Some(Piece::Refused(Refusal::Unproven)));
        }
        let (expected, found) = (self.last + 1, sealed.number);
        if found < expected {
            return Ok(None);
        }
        self.last = found;
        if found > expected {
            return Ok(Some(Piece::Refused(Refusal::Missing { expected, found })));
        }
        record(sealed.record.get().as_bytes()).map(Some)
    }

    /// What is left when the stream has ended: an event cut short is text.
    #[must_use]
    pub fn finish(self) -> Vec<Piece> {
        let mut pieces = Pieces::default();
        if let Some(pending) = self.pending {
            pieces.unframed(&pending);
        }
        pieces.0
    }
}

#[derive(Default)]
struct Pieces(Vec<Piece>);

impl Pieces {
    fn text(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if let Some(Piece::Text(last)) = self.0.last_mut() {
            last.extend_from_slice(bytes);
        } else {
            self.0.push(Piece::Text(bytes.to_vec()));
        }
    }

    fn unframed(&mut self, bytes: &[u8]) {
        self.text(&[RECORD_SEPARATOR]);
        self.text(bytes);
    }
}

#[cfg(test)]
mod tests;
