//! An HTTP server of channels whose answers can be made to fail.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing but this status is sent.
    Status(u16),
    /// The file's full length is announced, this many of its bytes are sent, and the connection is closed.
    Truncate(usize),
    /// One byte in the file's middle is another.
    Corrupt,
    /// The answer comes this much later.
    Delay(Duration),
    /// No answer comes until the client or the server goes.
    Hang,
    /// The connection is reset before an answer.
    Reset,
}

/// A request that the server took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`, and so on.
    pub method: String,
    /// As it was asked for, with the token if it had one, without a query.
    pub path: String,
    /// `user:password`, if the request had them.
    pub credentials: Option<String>,
    /// The status of the answer; 0 where none came.
    pub status: u16,
}

/// A server of one directory, and of others below names of theirs, until it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The first segment of a path and the directory that serves what follows; the empty one serves all other paths.
    mounts: Mutex<Vec<(String, PathBuf)>>,
    faults: Mutex<Vec<Planned>>,
    credentials: Mutex<Option<String>>,
    token: Mutex<Option<String>>,
    requests: Mutex<Vec<Request>>,
    stopped: AtomicBool,
}

/// A fault that is to befall requests for paths that contain `part`.
#[derive(Debug)]
struct Planned {
    part: String,
    fault: Fault,
    /// How many more requests it is for.
    left: usize,
}

/// What is sent in answer.
#[derive(Debug, Default)]
struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// How many bytes of the body are sent, if not all.
    cut: Option<usize>,
}

impl Server {
    /// Serves a directory on a free port of the loopback interface.
    pub fn start(directory: &Path) -> Self {
        Self::listen(Ipv4Addr::LOCALHOST.into(), directory)
    }

    /// Serves a directory on a free port of every interface, so that containers reach it.
    pub fn start_everywhere(directory: &Path) -> Self {
        Self::listen(Ipv4Addr::UNSPECIFIED.into(), directory)
    }

    fn listen(interface: IpAddr, directory: &Path) -> Self {
        let listener = TcpListener::bind((interface, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        locked(&state.mounts).push((String::new(), directory.to_owned()));
        let served = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if served.stopped.load(Ordering::SeqCst) {
                    break;
                }
                let state = Arc::clone(&served);
                thread::spawn(move || state.serve(stream));
            }
        });
        Self { address, state }
    }

    /// Serves `directory` below `/name/`, as a mirror serves many channels.
    pub fn mount(&self, name: &str, directory: &Path) {
        locked(&self.state.mounts).push((name.to_owned(), directory.to_owned()));
    }

    /// The server's URL, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port())
    }

    /// The server's URL with a user and a password in it.
    pub fn url_with(&self, credentials: &str) -> String {
        format!("http://{credentials}@127.0.0.1:{}", self.port())
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Lets every request fail whose path contains `part`. The fault planned last comes first.
    pub fn fail(&self, part: &str, fault: Fault) {
        self.fail_first(usize::MAX, part, fault);
    }

    /// Lets the next `count` requests fail whose path contains `part`.
    pub fn fail_first(&self, count: usize, part: &str, fault: Fault) {
        let (part, left) = (part.to_owned(), count);
        locked(&self.state.faults).push(Planned { part, fault, left });
    }

    /// Ends all faults.
    pub fn heal(&self) {
        locked(&self.state.faults).clear();
    }

    /// Answers requests with these credentials, `user:password`, and no others.
    pub fn require_credentials(&self, credentials: &str) {
        *locked(&self.state.credentials) = Some(credentials.to_owned());
    }

    /// Answers requests below `/t/TOKEN/`, and no others.
    pub fn require_token(&self, token: &str) {
        *locked(&self.state.token) = Some(token.to_owned());
    }

    /// The requests so far, in the order of their answers.
    pub fn requests(&self) -> Vec<Request> {
        locked(&self.state.requests).clone()
    }

    /// Forgets the requests so far.
    pub fn forget_requests(&self) {
        locked(&self.state.requests).clear();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        // The listening thread sees that it is to stop as it takes a connection.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port()));
    }
}

impl State {
    /// Serves the one request of a connection.
    fn serve(&self, mut stream: TcpStream) {
        let Some(head) = peek_head(&stream) else { return };
        let mut words = head.split_whitespace();
        let method = words.next().unwrap_or_default().to_owned();
        let path = words
            .next()
            .unwrap_or_default()
            .split('?')
            .next()
            .unwrap_or_default()
            .to_owned();
        let credentials = header(&head, "authorization")
            .and_then(|value| value.strip_prefix("Basic "))
            .and_then(|value| STANDARD.decode(value).ok())
            .and_then(|value| String::from_utf8(value).ok());
        let fault = self.fault(&path);
        let log = |status| {
            let (method, path, credentials) = (method.clone(), path.clone(), credentials.clone());
            locked(&self.requests).push(Request {
                method,
                path,
                credentials,
                status,
            });
        };
        if fault == Some(Fault::Reset) {
            // The request is still unread, so that closing resets the connection.
            log(0);
            return;
        }
        if stream.read_exact(&mut vec![0; head.len()]).is_err() {
            return;
        }
        if fault == Some(Fault::Hang) {
            log(0);
            self.hang(&stream);
            return;
        }
        if let Some(Fault::Delay(time)) = fault {
            thread::sleep(time);
        }
        let mut answer = match fault {
            Some(Fault::Status(status)) => Answer::plain(status),
            _ => self.answer(&path, credentials.as_deref(), header(&head, "if-none-match")),
        };
        match fault {
            Some(Fault::Truncate(bytes)) => answer.cut = Some(bytes.min(answer.body.len())),
            Some(Fault::Corrupt) if !answer.body.is_empty() => {
                let middle = answer.body.len() / 2;
                answer.body[middle] ^= 0xff;
            }
            _ => {}
        }
        log(answer.status);
        answer.send(&mut stream, method == "HEAD");
    }

    /// The fault that is to befall a request, which is one fewer to come.
    fn fault(&self, path: &str) -> Option<Fault> {
        let mut faults = locked(&self.faults);
        let planned = faults
            .iter_mut()
            .rev()
            .find(|planned| planned.left > 0 && path.contains(&planned.part))?;
        planned.left = planned.left.saturating_sub(1);
        Some(planned.fault)
    }

    /// Holds a connection open without a word.
    fn hang(&self, stream: &TcpStream) {
        let pause = Duration::from_millis(50);
        stream.set_read_timeout(Some(pause)).unwrap();
        while !self.stopped.load(Ordering::SeqCst) {
            // The end of the stream says that the client is gone.
            if stream.peek(&mut [0]).is_ok_and(|count| count == 0) {
                break;
            }
        }
    }

    /// The answer where nothing goes wrong.
    fn answer(&self, path: &str, credentials: Option<&str>, known: Option<&str>) -> Answer {
        if let Some(required) = locked(&self.credentials).as_deref()
            && credentials != Some(required)
        {
            let mut answer = Answer::plain(401);
            answer
                .headers
                .push(("WWW-Authenticate", "Basic realm=\"channel\"".to_owned()));
            return answer;
        }
        let path = match locked(&self.token).as_deref() {
            None => path,
            Some(token) => match path.strip_prefix(&format!("/t/{token}")) {
                Some(path) => path,
                None => return Answer::plain(403),
            },
        };
        let Some(file) = self.file(path) else {
            return Answer::plain(404);
        };
        let Ok(body) = fs::read(&file) else {
            return Answer::plain(404);
        };
        let about = fs::metadata(&file).unwrap();
        let tag = format!("\"{:x}-{:x}-{:x}\"", about.len(), about.mtime(), about.mtime_nsec());
        let mut answer = if known == Some(tag.as_str()) {
            Answer::plain(304)
        } else {
            Answer {
                status: 200,
                body,
                ..Answer::default()
            }
        };
        answer.headers.push(("ETag", tag));
        if file.extension().is_some_and(|extension| extension == "html") {
            answer.headers.push(("Content-Type", "text/html".to_owned()));
        }
        answer
    }

    /// The file that a path names.
    fn file(&self, path: &str) -> Option<PathBuf> {
        let path = path.trim_start_matches('/').replace("%2B", "+");
        if path.split('/').any(|part| part == "..") {
            return None;
        }
        let mounts = locked(&self.mounts);
        let below = |name: &str| path.strip_prefix(name)?.strip_prefix('/');
        let mounted = mounts.iter().filter(|(name, _)| !name.is_empty());
        let mut mounted = mounted.filter_map(|(name, directory)| Some(directory.join(below(name)?)));
        let mut file = mounted.next().unwrap_or_else(|| mounts[0].1.join(&path));
        if file.is_dir() {
            file.push("index.html");
        }
        file.is_file().then_some(file)
    }
}

impl Answer {
    fn plain(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    fn send(&self, stream: &mut TcpStream, head_only: bool) {
        let mut lines = vec![format!("HTTP/1.1 {} -", self.status), "Connection: close".to_owned()];
        if self.status != 304 {
            lines.push(format!("Content-Length: {}", self.body.len()));
        }
        lines.extend(self.headers.iter().map(|(name, value)| format!("{name}: {value}")));
        let head = lines.join("\r\n") + "\r\n\r\n";
        let body = &self.body[..self.cut.unwrap_or(self.body.len())];
        let body = if head_only { &[] } else { body };
        // A client may go before it has the whole answer.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        let _ = stream.shutdown(Shutdown::Write);
    }
}

/// The head of a request, left in the stream; nothing if the client goes before its end.
fn peek_head(stream: &TcpStream) -> Option<String> {
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let count = stream.peek(&mut bytes).ok().filter(|count| *count > 0)?;
        let text = String::from_utf8_lossy(&bytes[..count]);
        if let Some(end) = text.find("\r\n\r\n") {
            return Some(text[..end + 4].to_owned());
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut headers = head.lines().filter_map(|line| line.split_once(':'));
    headers
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}
