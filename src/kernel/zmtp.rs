//! The sockets of kernels: ZMTP 3.0 without encryption (<https://rfc.zeromq.org/spec/23/>), in bounded memory.
//!
//! A cell can print a gigabyte in one message. Its strings are shortened while they are read, so that what remains is
//! still JSON, and the rest never has to fit into memory.
//!
//! No crate does both: `zeromq` and what builds on it take a message whole into memory, and lose one where a read is
//! cancelled.

use std::io;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::port::{Port, Stream};

/// The longest string of a message that is kept whole, in bytes.
const LONGEST_STRING: usize = 8 << 20;

/// The most that is kept of a message, in bytes. Beyond it, what remains is no longer valid.
const LARGEST_MESSAGE: usize = 2 * LONGEST_STRING;

/// The most parts of a message that are kept; what follows them are binary buffers.
const MOST_PARTS: usize = 64;

const MORE: u8 = 1;
const LONG: u8 = 2;
const COMMAND: u8 = 4;

/// What kind of socket this end is.
#[derive(Debug, Clone, Copy)]
pub enum Kind<'a> {
    /// Sends requests and receives replies, under an identity by which the other end knows it.
    Dealer(&'a [u8]),
    /// Receives everything that is published.
    Subscriber,
}

/// A connected socket.
#[derive(Debug)]
pub struct Socket {
    stream: Box<dyn Stream>,
    buffer: BytesMut,
    decoder: Decoder,
}

/// A message as it was received.
#[derive(Debug, Default, PartialEq)]
pub struct Multipart {
    /// Its parts.
    pub parts: Vec<Vec<u8>>,
    /// How many bytes of it were not kept.
    pub dropped: u64,
}

impl Socket {
    /// Connects to a port that is listened to.
    pub async fn connect(port: &Port, kind: Kind<'_>) -> io::Result<Self> {
        let mut stream = port.connect().await?;
        stream.write_all(&greeting()).await?;
        let mut theirs = [0; 64];
        stream.read_exact(&mut theirs).await?;
        // Signature, then the version's two numbers, then the mechanism.
        if theirs[0] != 0xff || theirs[9] != 0x7f || theirs[10] < 3 || !theirs[12..].starts_with(b"NULL\0") {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the kernel's socket speaks no ZMTP 3",
            ));
        }
        let mut ours = frame(COMMAND, &ready(kind));
        if matches!(kind, Kind::Subscriber) {
            ours.extend(frame(0, b"\x01"));
        }
        stream.write_all(&ours).await?;
        Ok(Self {
            stream,
            buffer: BytesMut::with_capacity(64 * 1024),
            decoder: Decoder::default(),
        })
    }

    /// Sends a message of these parts.
    pub async fn send(&mut self, parts: &[Vec<u8>]) -> io::Result<()> {
        let last = parts.len().saturating_sub(1);
        let frames = parts.iter().enumerate();
        let frames = frames.flat_map(|(index, part)| frame(if index < last { MORE } else { 0 }, part));
        self.stream.write_all(&frames.collect::<Vec<u8>>()).await
    }

    /// The next message. Nothing is lost when this is dropped before it is ready.
    pub async fn receive(&mut self) -> io::Result<Multipart> {
        loop {
            if let Some(message) = self.decoder.decode(&mut self.buffer) {
                return Ok(message);
            }
            // The decoder has taken all there was.
            self.buffer.reserve(64 * 1024);
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

fn greeting() -> [u8; 64] {
    let mut greeting = [0; 64];
    greeting[0] = 0xff;
    greeting[9] = 0x7f;
    greeting[10] = 3;
    greeting[12..16].copy_from_slice(b"NULL");
    greeting
}

/// The command that ends the handshake.
fn ready(kind: Kind<'_>) -> Vec<u8> {
    let mut body = b"\x05READY".to_vec();
    let mut property = |name: &[u8], value: &[u8]| {
        body.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        body.extend(name);
        body.extend(u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
        body.extend(value);
    };
    match kind {
        Kind::Dealer(identity) => {
            property(b"Socket-Type", b"DEALER");
            property(b"Identity", identity);
        }
        Kind::Subscriber => property(b"Socket-Type", b"SUB"),
    }
    body
}

fn frame(flags: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(body.len() + 9);
    if let Ok(length) = u8::try_from(body.len()) {
        frame.extend([flags, length]);
    } else {
        frame.push(flags | LONG);
        frame.extend((body.len() as u64).to_be_bytes());
    }
    frame.extend(body);
    frame
}

/// Puts messages together from whatever pieces arrive.
#[derive(Debug, Default)]
struct Decoder {
    message: Multipart,
    kept: usize,
    frame: Option<Frame>,
}

/// The frame that is being read.
#[derive(Debug)]
struct Frame {
    flags: u8,
    left: u64,
    part: Vec<u8>,
    strings: Strings,
}

impl Decoder {
    /// Takes bytes until a message is complete, all of them if none is.
    fn decode(&mut self, buffer: &mut BytesMut) -> Option<Multipart> {
        loop {
            let mut frame = match self.frame.take() {
                Some(frame) => frame,
                None => Frame::read_head(buffer)?,
            };
            let available = buffer.len().min(usize::try_from(frame.left).unwrap_or(usize::MAX));
            let bytes = buffer.split_to(available);
            frame.left -= available as u64;
            self.keep(&mut frame, &bytes);
            if frame.left > 0 {
                self.frame = Some(frame);
                return None;
            }
            if frame.flags & COMMAND != 0 {
                continue;
            }
            if self.message.parts.len() < MOST_PARTS {
                self.message.parts.push(frame.part);
            }
            if frame.flags & MORE == 0 {
                self.kept = 0;
                return Some(std::mem::take(&mut self.message));
            }
        }
    }

    fn keep(&mut self, frame: &mut Frame, bytes: &[u8]) {
        let room = LARGEST_MESSAGE.saturating_sub(self.kept);
        let before = frame.part.len();
        frame.strings.shorten(bytes, &mut frame.part);
        frame.part.truncate(before + room);
        let kept = frame.part.len() - before;
        self.kept += kept;
        self.message.dropped += (bytes.len() - kept) as u64;
    }
}

impl Frame {
    /// Takes flags and length, if both are there.
    fn read_head(buffer: &mut BytesMut) -> Option<Self> {
        let flags = *buffer.first()?;
        let size = if flags & LONG == 0 { 2 } else { 9 };
        if buffer.len() < size {
            return None;
        }
        buffer.advance(1);
        let left = if flags & LONG == 0 {
            buffer.get_u8().into()
        } else {
            buffer.get_u64()
        };
        Some(Self {
            flags,
            left,
            part: Vec::new(),
            strings: Strings::default(),
        })
    }
}

/// Follows the strings of a JSON text and leaves out what is too long of them.
#[derive(Debug, Default)]
struct Strings {
    inside: bool,
    escape: Escape,
    /// Bytes of the string that were kept.
    length: usize,
    cut: bool,
}

/// Where in an escape sequence the text is.
#[derive(Debug, Default, Clone, Copy)]
enum Escape {
    #[default]
    Outside,
    /// Behind the first half of a pair, which must not be kept without the other.
    Between,
    /// Behind the backslash.
    Begun,
    /// Behind `\u` and these digits.
    Unit([u8; 4], usize),
}

impl Strings {
    /// Appends to `text` what is kept of the next `bytes`.
    fn shorten(&mut self, bytes: &[u8], text: &mut Vec<u8>) {
        let mut rest = bytes;
        while let Some(&first) = rest.first() {
            // Stretches without anything special are taken at once.
            let ordinary = match (self.inside, self.escape) {
                (false, _) => memchr::memchr(b'"', rest).unwrap_or(rest.len()),
                (true, Escape::Outside | Escape::Between) => memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len()),
                (true, Escape::Begun | Escape::Unit(..)) => 0,
            };
            if ordinary > 0 {
                self.ordinary(&rest[..ordinary], text);
            } else {
                self.special(first, text);
            }
            rest = &rest[ordinary.max(1)..];
        }
    }

    fn ordinary(&mut self, stretch: &[u8], text: &mut Vec<u8>) {
        self.escape = Escape::Outside;
        if !self.inside {
            text.extend(stretch);
        } else if !self.cut {
            let mut kept = stretch.len().min(LONGEST_STRING.saturating_sub(self.length));
            self.cut = kept < stretch.len();
            // Not within a character: all of its bytes but the first begin with these two bits.
            while self.cut && kept > 0 && stretch[kept] & 0b1100_0000 == 0b1000_0000 {
                kept -= 1;
            }
            text.extend(&stretch[..kept]);
            self.length += kept;
        }
    }

    /// A quotation mark, or a byte of an escape sequence.
    fn special(&mut self, byte: u8, text: &mut Vec<u8>) {
        let before = self.escape;
        self.escape = match before {
            Escape::Outside | Escape::Between if byte == b'"' => {
                *self = Self {
                    inside: !self.inside,
                    ..Self::default()
                };
                text.push(byte);
                return;
            }
            Escape::Outside | Escape::Between => Escape::Begun,
            Escape::Begun if byte == b'u' => Escape::Unit([0; 4], 0),
            Escape::Begun => Escape::Outside,
            Escape::Unit(mut digits, count) => {
                digits[count] = byte;
                match count {
                    0..3 => Escape::Unit(digits, count + 1),
                    _ if matches!(digits, [b'd' | b'D', b'8' | b'9' | b'a' | b'b' | b'A' | b'B', ..]) => {
                        Escape::Between
                    }
                    _ => Escape::Outside,
                }
            }
        };
        self.cut |= matches!(before, Escape::Outside) && self.length >= LONGEST_STRING;
        if !self.cut {
            text.push(byte);
            self.length += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What comes of a text that arrives in pieces of this size.
    fn shortened(text: &str, piece: usize) -> String {
        let (mut strings, mut kept) = (Strings::default(), Vec::new());
        for piece in text.as_bytes().chunks(piece) {
            strings.shorten(piece, &mut kept);
        }
        String::from_utf8(kept).unwrap()
    }

    fn decoded(bytes: &[u8], piece: usize) -> Vec<Multipart> {
        let (mut decoder, mut messages) = (Decoder::default(), Vec::new());
        let mut buffer = BytesMut::new();
        for piece in bytes.chunks(piece) {
            buffer.extend_from_slice(piece);
            messages.extend(std::iter::from_fn(|| decoder.decode(&mut buffer)));
        }
        messages
    }

    #[test]
    fn messages_are_the_same_in_whatever_pieces_they_arrive() {
        let long = vec![b'x'; 300];
        let frames = [(MORE, &b"a"[..]), (0, &long), (COMMAND, b"\x05READY"), (0, b"")];
        let bytes: Vec<u8> = frames.iter().flat_map(|(flags, body)| frame(*flags, body)).collect();
        let parts = |parts: &[&[u8]]| Multipart {
            parts: parts.iter().map(|part| part.to_vec()).collect(),
            dropped: 0,
        };
        for piece in [1, 2, 3, 7, 1000] {
            assert_eq!(
                decoded(&bytes, piece),
                [parts(&[b"a", &long]), parts(&[b""])],
                "{piece}"
            );
        }
    }

    #[test]
    fn a_huge_message_takes_bounded_memory_and_tells_what_it_lost() {
        let huge = vec![b'['; 3 * LARGEST_MESSAGE];
        let [message] = &decoded(&frame(0, &huge), 65536)[..] else {
            panic!()
        };
        assert_eq!(message.parts[0].len(), LARGEST_MESSAGE);
        assert_eq!(message.dropped, 2 * LARGEST_MESSAGE as u64);
    }

    #[test]
    fn a_long_string_is_shortened_to_valid_json() {
        for (piece, unit) in [
            (65536, "x"),
            (65536, "ä"),
            (4097, "\\n"),
            (4099, "\\ud83d\\ude00"),
            (65536, "\\\\"),
        ] {
            let text = format!(
                r#"{{"a": "y{}", "b": "\"c"}}"#,
                unit.repeat(LONGEST_STRING / unit.len() + 50)
            );
            let kept = shortened(&text, piece);
            let value: serde_json::Value = serde_json::from_str(&kept).unwrap();
            assert_eq!(value["b"], "\"c", "{unit}");
            assert!(
                (LONGEST_STRING - 20..LONGEST_STRING + 30).contains(&kept.len()),
                "{unit}: {}",
                kept.len()
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_short_is_kept_as_it_is(text in "\\PC{0,20}[\"\\\\u]{0,9}\\PC{0,20}", piece in 1_usize..9) {
            let json = serde_json::json!([text, 1, {"k": text}]).to_string();
            prop_assert_eq!(shortened(&json, piece), json);
        }
    }
}
