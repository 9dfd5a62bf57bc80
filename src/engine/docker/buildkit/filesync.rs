//! Serves the files of a build by BuildKit's `FileSync` protocol, in which only what changed is sent.
//!
//! Per request, this side sends the metadata of every file, the engine compares it with what it kept of an earlier
//! build, and asks for the content of the rest by number.
//!
//! bollard speaks to BuildKit without it: its builds send the whole context each time.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bollard_buildkit_proto::fsutil::types::packet::PacketType;
use bollard_buildkit_proto::fsutil::types::{Packet, Stat};
use bollard_buildkit_proto::moby::filesync::packet::file_sync_server::FileSync;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::requested::Requested;
use crate::context::{Context, Entry, EntryKind};
use crate::engine::EngineError;

/// The name under which the engine asks for the Dockerfile.
pub(super) const DOCKERFILE: &str = "Dockerfile";

/// Bytes of a file's content in one packet.
const PIECE: usize = 32 * 1024;

/// Packets that wait for the connection.
const WAITING: usize = 16;

/// The files that a build may ask for.
pub(super) struct Files {
    context: Context,
    dockerfile: String,
    failure: Failure,
}

impl Files {
    /// The files of `context`, and a Dockerfile with this text. A file that cannot be read is left in `failure`.
    pub fn new(context: Context, dockerfile: String, failure: Failure) -> Self {
        Self {
            context,
            dockerfile,
            failure,
        }
    }
}

/// Where the first file that cannot be read is left, since the engine repeats only words.
#[derive(Clone, Default)]
pub(super) struct Failure(Arc<Mutex<Option<EngineError>>>);

impl Failure {
    /// The reason, if there was one.
    pub fn take(&self) -> Option<EngineError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, error: EngineError) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(error);
    }
}

type Reply = Result<Packet, Status>;

#[tonic::async_trait]
impl FileSync for Files {
    type DiffCopyStream = ReceiverStream<Reply>;
    type TarStreamStream = ReceiverStream<Reply>;

    async fn diff_copy(&self, request: Request<Streaming<Packet>>) -> Result<Response<Self::DiffCopyStream>, Status> {
        let source = match request
            .metadata()
            .get("dir-name")
            .map(tonic::metadata::MetadataValue::as_bytes)
        {
            Some(b"context") => Source::Context(self.context.clone(), Requested::new(request.metadata())),
            Some(b"dockerfile") => Source::Dockerfile(self.dockerfile.clone()),
            other => {
                let name = String::from_utf8_lossy(other.unwrap_or_default()).into_owned();
                return Err(Status::not_found(format!("there is no directory {name:?}")));
            }
        };
        let (outbox, replies) = mpsc::channel(WAITING);
        // Unbounded, so that reading requests never waits for sending metadata; it holds a number per file at most.
        let (forward, inbox) = mpsc::unbounded_channel();
        let mut incoming = request.into_inner();
        tokio::spawn(async move {
            while let Ok(Some(packet)) = incoming.message().await {
                if forward.send(packet).is_err() {
                    break;
                }
            }
        });
        let failure = self.failure.clone();
        tokio::task::spawn_blocking(move || {
            if let Err(Stop::Failed(error)) = answer(source, inbox, &outbox) {
                let status = Status::internal(error.to_string());
                failure.set(error);
                let _ = outbox.blocking_send(Err(status));
            }
        });
        Ok(Response::new(ReceiverStream::new(replies)))
    }

    async fn tar_stream(&self, _: Request<Streaming<Packet>>) -> Result<Response<Self::TarStreamStream>, Status> {
        Err(Status::unimplemented("files are served by DiffCopy"))
    }
}

enum Source {
    Context(Context, Requested),
    Dockerfile(String),
}

/// Why an answer ended early.
enum Stop {
    Failed(EngineError),
    /// The engine no longer listens.
    Gone,
}

fn answer(
    source: Source,
    mut inbox: mpsc::UnboundedReceiver<Packet>,
    outbox: &mpsc::Sender<Reply>,
) -> Result<(), Stop> {
    let (stats, contents) = listing(source).map_err(Stop::Failed)?;
    for stat in stats {
        send(outbox, PacketType::PacketStat, 0, Some(stat), Vec::new())?;
    }
    send(outbox, PacketType::PacketStat, 0, None, Vec::new())?;
    while let Some(packet) = inbox.blocking_recv() {
        match PacketType::try_from(packet.r#type) {
            Ok(PacketType::PacketReq) => {
                if let Some(content) = contents.get(packet.id as usize) {
                    content.send(packet.id, outbox)?;
                }
                // An empty packet ends a file.
                send(outbox, PacketType::PacketData, packet.id, None, Vec::new())?;
            }
            Ok(PacketType::PacketFin) => return send(outbox, PacketType::PacketFin, 0, None, Vec::new()),
            _ => return Err(Stop::Gone),
        }
    }
    Err(Stop::Gone)
}

fn send(
    outbox: &mpsc::Sender<Reply>,
    kind: PacketType,
    id: u32,
    stat: Option<Stat>,
    data: Vec<u8>,
) -> Result<(), Stop> {
    let packet = Packet {
        r#type: kind.into(),
        stat,
        id,
        data,
    };
    outbox.blocking_send(Ok(packet)).map_err(|_| Stop::Gone)
}

/// The content of a listed file.
enum Content {
    /// Directories and links have none.
    None,
    Text(String),
    File {
        path: PathBuf,
        size: u64,
    },
}

impl Content {
    fn send(&self, id: u32, outbox: &mpsc::Sender<Reply>) -> Result<(), Stop> {
        match self {
            Self::None => Ok(()),
            Self::Text(text) => text
                .as_bytes()
                .chunks(PIECE)
                .try_for_each(|piece| send(outbox, PacketType::PacketData, id, None, piece.to_vec())),
            Self::File { path, size } => {
                let failed = |source| {
                    Stop::Failed(EngineError::File {
                        path: path.clone(),
                        source,
                    })
                };
                // What a file gained since it was listed is left out; what it lost cannot be made up.
                let mut file = File::open(path).map_err(failed)?.take(*size);
                while file.limit() > 0 {
                    let mut piece = vec![0; PIECE];
                    let read = file.read(&mut piece).map_err(failed)?;
                    if read == 0 {
                        return Err(failed(io::Error::new(
                            io::ErrorKind::UnexpectedEof,
                            "the file became shorter while it was read",
                        )));
                    }
                    piece.truncate(read);
                    send(outbox, PacketType::PacketData, id, None, piece)?;
                }
                Ok(())
            }
        }
    }
}

/// The metadata of the files of `source` in the order of the protocol, and their contents in the same order.
fn listing(source: Source) -> Result<(Vec<Stat>, Vec<Content>), EngineError> {
    match source {
        Source::Context(context, requested) => {
            let listed = requested.select(context.entries()?).into_iter().map(described);
            Ok(listed.collect::<Result<Vec<_>, _>>()?.into_iter().unzip())
        }
        Source::Dockerfile(text) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let stat = Stat {
                path: DOCKERFILE.to_owned(),
                mode: 0o644,
                size: text.len().try_into().unwrap_or(i64::MAX),
                // Two texts of one length must not look alike, so that the engine asks for each.
                mod_time: now.as_nanos().try_into().unwrap_or(i64::MAX),
                ..Stat::default()
            };
            Ok((vec![stat], vec![Content::Text(text)]))
        }
    }
}

fn described(entry: Entry) -> Result<(Stat, Content), EngineError> {
    // Go's `os.FileMode`, in which the engine reads modes, has bits of its own above the permissions.
    const GO_MODES: [(u32, u32); 3] = [(0o4000, 1 << 23), (0o2000, 1 << 22), (0o1000, 1 << 20)];
    const GO_DIRECTORY: u32 = 1 << 31;
    const GO_SYMLINK: u32 = 1 << 27;

    let mut stat = Stat {
        path: text(&entry.path)?,
        mode: entry.mode & 0o777,
        mod_time: entry.modified,
        ..Stat::default()
    };
    for (unix, go) in GO_MODES {
        if entry.mode & unix != 0 {
            stat.mode |= go;
        }
    }
    let content = match entry.kind {
        EntryKind::Directory => {
            stat.mode |= GO_DIRECTORY;
            Content::None
        }
        EntryKind::Symlink(target) => {
            stat.mode |= GO_SYMLINK;
            stat.linkname = text(&target)?;
            Content::None
        }
        EntryKind::File { source, size } => {
            stat.size = size.try_into().unwrap_or(i64::MAX);
            Content::File { path: source, size }
        }
    };
    Ok((stat, content))
}

fn text(path: &Path) -> Result<String, EngineError> {
    path.to_str().map(str::to_owned).ok_or_else(|| EngineError::File {
        path: path.to_owned(),
        source: io::Error::new(io::ErrorKind::InvalidFilename, "a name in a build must be UTF-8"),
    })
}
