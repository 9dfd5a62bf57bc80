//! Events on a pipe that carries other output too: RS (0x1E), a JSON object, a line feed (RFC 7464).
//!
//! The other output is arbitrary bytes from arbitrary programs, so the decoder never fails: whatever is not a framed
//! event is text, and a line that is too long to be an event stays text without being held in memory.

use std::io::{self, Write};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::{Event, Record, Sink};

const RECORD_SEPARATOR: u8 = 0x1E;

/// An event longer than this is not one: the agent bounds what it sends well below.
const LONGEST_EVENT: usize = 4 * 1024 * 1024;

/// Writes each event as a frame of this module and flushes it: how the agent speaks to its host.
pub struct Wire {
    writer: Mutex<Box<dyn Write + Send>>,
    failed: OnceLock<io::Error>,
}

impl Wire {
    /// Writes to `writer`.
    #[must_use]
    pub fn new(writer: Box<dyn Write + Send>) -> Self {
        Self {
            writer: Mutex::new(writer),
            failed: OnceLock::new(),
        }
    }

    /// Why the host did not get every event, if it did not.
    #[must_use]
    pub fn failed(&self) -> Option<&io::Error> {
        self.failed.get()
    }
}

impl Sink for Wire {
    fn emit(&self, event: Event) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if self.failed.get().is_none() {
            let frame = encode(&Record::now(event));
            if let Err(error) = writer.write_all(&frame).and_then(|()| writer.flush()) {
                let _ = self.failed.set(error);
            }
        }
    }
}

/// A piece of a decoded stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    /// A framed event.
    Record(Box<Record>),
    /// Bytes that belong to no event, in order, not necessarily whole lines.
    Text(Vec<u8>),
}

/// The bytes that carry `record`. They begin on a line of their own only if the pipe stood at a line's start, which the
/// decoder does not need.
#[must_use]
pub fn encode(record: &Record) -> Vec<u8> {
    let mut bytes = vec![RECORD_SEPARATOR];
    // A record holds strings, numbers and maps with string keys only: serialization cannot fail.
    serde_json::to_writer(&mut bytes, record).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// Splits a stream into events and text, however it is cut into pieces.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The bytes of an event that has begun, without its separator; `None` outside an event.
    pending: Option<Vec<u8>>,
}

impl Decoder {
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
                        match serde_json::from_slice(&whole) {
                            Ok(record) if bytes[0] == b'\n' => {
                                pieces.record(record);
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

    fn record(&mut self, record: Record) {
        self.0.push(Piece::Record(Box::new(record)));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{Event, Record};
    use super::*;

    fn record(text: &str) -> Record {
        Record {
            at: jiff::Timestamp::UNIX_EPOCH,
            event: Event::Warning { text: text.to_owned() },
        }
    }

    fn decode(stream: &[u8], chunk: usize) -> Vec<Piece> {
        let mut decoder = Decoder::default();
        let mut all = Pieces::default();
        let parts = stream.chunks(chunk).map(<[u8]>::to_vec).collect::<Vec<_>>();
        let mut pieces = parts.iter().flat_map(|part| decoder.feed(part)).collect::<Vec<_>>();
        pieces.extend(decoder.finish());
        for piece in pieces {
            match piece {
                Piece::Text(bytes) => all.text(&bytes),
                Piece::Record(record) => all.record(*record),
            }
        }
        all.0
    }

    #[test]
    fn events_are_found_in_other_output_however_it_is_cut() {
        let mut stream = b"no newline before".to_vec();
        stream.extend(encode(&record("one\n\x1e\u{7f}two")));
        stream.extend(b"\xff\x00 text\n");
        stream.extend(encode(&record("three")));
        for chunk in 1..stream.len() {
            let pieces = decode(&stream, chunk);
            assert_eq!(
                pieces,
                [
                    Piece::Text(b"no newline before".to_vec()),
                    Piece::Record(Box::new(record("one\n\x1e\u{7f}two"))),
                    Piece::Text(b"\xff\x00 text\n".to_vec()),
                    Piece::Record(Box::new(record("three"))),
                ],
                "cut every {chunk} bytes"
            );
        }
    }

    #[test]
    fn a_separator_in_other_output_is_text_and_hides_no_event() {
        let mut stream = b"\x1enot json\n\x1e".to_vec();
        stream.extend(encode(&record("x")));
        stream.extend(b"\x1e{\"event\":\"warning\"");
        let pieces = decode(&stream, 7);
        assert_eq!(
            pieces,
            [
                Piece::Text(b"\x1enot json\n\x1e".to_vec()),
                Piece::Record(Box::new(record("x"))),
                Piece::Text(b"\x1e{\"event\":\"warning\"".to_vec()),
            ]
        );
    }

    #[test]
    fn an_endless_line_after_a_separator_is_not_held_in_memory() {
        let mut decoder = Decoder::default();
        decoder.feed(b"\x1e");
        let chunk = vec![b'x'; 64 * 1024];
        let mut text = 0;
        for _ in 0..200 {
            for piece in decoder.feed(&chunk) {
                if let Piece::Text(bytes) = piece {
                    text += bytes.len();
                }
            }
        }
        assert!(text > 8 * 1024 * 1024, "only {text} bytes were passed on");
    }

    fn warning(text: &str) -> Event {
        Event::Warning { text: text.to_owned() }
    }

    /// A writer that keeps what it takes and counts how often it is flushed.
    #[derive(Clone, Default)]
    struct Pipe(Arc<Mutex<(Vec<u8>, usize)>>);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().0.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            self.0.lock().unwrap().1 += 1;
            Ok(())
        }
    }

    #[test]
    fn the_host_reads_what_the_agent_emits_as_it_happens() {
        let pipe = Pipe::default();
        let agent = Wire::new(Box::new(pipe.clone()));
        agent.emit(warning("one"));
        agent.emit(warning("two"));
        assert!(agent.failed().is_none());
        let (bytes, flushes) = pipe.0.lock().unwrap().clone();
        assert_eq!(flushes, 2, "an event waited in a buffer");
        let pieces = Decoder::default().feed(&bytes);
        let texts = pieces.iter().map(|piece| match piece {
            Piece::Record(record) => record.event.clone(),
            Piece::Text(text) => panic!("{text:?} is outside any event"),
        });
        assert_eq!(texts.collect::<Vec<_>>(), [warning("one"), warning("two")]);
    }

    #[test]
    fn a_closed_pipe_is_remembered_and_stops_nothing() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let agent = Wire::new(Box::new(writer));
        agent.emit(warning("one"));
        agent.emit(warning("two"));
        assert_eq!(agent.failed().unwrap().kind(), io::ErrorKind::BrokenPipe);
    }
}
