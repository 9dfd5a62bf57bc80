//! Streams in which events and other output are mixed, however they are cut.

use std::sync::Arc;

use super::*;

fn record(text: &str) -> Record {
    Record {
        at: jiff::Timestamp::UNIX_EPOCH,
        number: 0,
        log: 0,
        event: Event::Warning { text: text.to_owned() },
    }
}

fn encode(record: &Record) -> Vec<u8> {
    Encoder::default().encode(record)
}

fn decode(stream: &[u8], chunk: usize) -> Vec<Piece> {
    decode_by(Decoder::default(), stream, chunk)
}

fn decode_by(mut decoder: Decoder, stream: &[u8], chunk: usize) -> Vec<Piece> {
    let mut all = Pieces::default();
    let parts = stream.chunks(chunk).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let mut pieces = parts.iter().flat_map(|part| decoder.feed(part)).collect::<Vec<_>>();
    pieces.extend(decoder.finish());
    for piece in pieces {
        match piece {
            Piece::Text(bytes) => all.text(&bytes),
            other => all.0.push(other),
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

#[test]
fn a_sealed_record_counts_once_and_only_as_the_agent_made_it() {
    let key = Key::random();
    let mut agent = Encoder::sealed(key.clone());
    let frames = ["one", "two", "three"].map(|text| agent.encode(&record(text)));
    let of = |frames: &[&[u8]]| decode_by(Decoder::sealed(key.clone()), &frames.concat(), 7);
    let taken = |text: &str| Piece::Record(Box::new(record(text)));
    let [one, two, three] = frames.each_ref().map(Vec::as_slice);
    assert_eq!(of(&[one, two, three]), [taken("one"), taken("two"), taken("three")]);
    // A log that is followed again from an earlier place.
    assert_eq!(
        of(&[one, two, one, two, three]),
        [taken("one"), taken("two"), taken("three")]
    );
    let missing = Piece::Refused(Refusal::Missing { expected: 2, found: 3 });
    assert_eq!(of(&[one, three]), [taken("one"), missing]);
    let unproven = || Piece::Refused(Refusal::Unproven);
    assert_eq!(of(&[one, &encode(&record("plain"))]), [taken("one"), unproven()]);
    let other = Encoder::sealed(Key::random()).encode(&record("other"));
    assert_eq!(of(&[&other]), [unproven()]);
    let changed = String::from_utf8(one.to_vec()).unwrap().replace("one", "0ne");
    assert_eq!(of(&[changed.as_bytes()]), [unproven()]);
    let renumbered = String::from_utf8(one.to_vec()).unwrap().replace("\"n\":1", "\"n\":2");
    assert_eq!(of(&[renumbered.as_bytes()]), [unproven()]);
    assert_eq!(of(&[b"\x1e{\"n\":1}\n"]), [Piece::Text(b"\x1e{\"n\":1}\n".to_vec())]);
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
    let agent = Wire::new(Encoder::default(), Box::new(pipe.clone()));
    agent.emit(warning("one"));
    agent.emit(warning("two"));
    assert!(agent.failed.get().is_none());
    let (bytes, flushes) = pipe.0.lock().unwrap().clone();
    assert_eq!(flushes, 2, "an event waited in a buffer");
    let pieces = Decoder::default().feed(&bytes);
    let texts = pieces.iter().map(|piece| match piece {
        Piece::Record(record) => record.event.clone(),
        other => panic!("{other:?} is no event"),
    });
    assert_eq!(texts.collect::<Vec<_>>(), [warning("one"), warning("two")]);
}

#[test]
fn a_closed_pipe_is_remembered_and_stops_nothing() {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let agent = Wire::new(Encoder::default(), Box::new(writer));
    agent.emit(warning("one"));
    agent.emit(warning("two"));
    assert_eq!(agent.failed.get().unwrap().kind(), io::ErrorKind::BrokenPipe);
}
