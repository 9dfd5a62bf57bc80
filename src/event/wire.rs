//! Events on a pipe that carries other output too: RS (0x1E), a JSON object, a line feed (RFC 7464).
//!
//! The other output is arbitrary bytes from arbitrary programs, so the decoder never fails: whatever is not a framed
//! event is text, and a line that is too long to be an event stays text without being held in memory.

use super::Record;

const RECORD_SEPARATOR: u8 = 0x1E;

/// An event longer than this is not one: the agent bounds what it sends well below.
const LONGEST_EVENT: usize = 4 * 1024 * 1024;

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
}
