//! Something between a client and a registry that goes wrong as it is told to, and that knows more than the registry.

use std::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::LocalRegistry;

/// A request as it passes by.
#[derive(Debug, Clone)]
pub struct Passing {
    /// Its method.
    pub method: String,
    /// Its path and query.
    pub path: String,
    /// Its headers, as they are written.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

/// What becomes of a request.
pub enum Turn {
    /// The registry answers it.
    Pass,
    /// This is the answer, and the registry hears nothing.
    Answer(Reply),
    /// The connection breaks, and the registry hears nothing.
    Drop,
    /// The registry answers it, and the answer is lost on its way.
    Lose,
    /// The registry answers it, and the answer is another when it arrives.
    Alter(fn(&mut Reply)),
}

impl Reply {
    /// An answer with one header and this body.
    pub fn new(status: u16, header: (&str, &str), body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![(header.0.to_owned(), header.1.to_owned())],
            body: body.into(),
        }
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        value(&self.headers, name)
    }
}

impl Passing {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        value(&self.headers, name)
    }
}

type Rule = Box<dyn FnMut(&Passing) -> Turn + Send>;

/// A registry with something between it and its clients. It lives as long as the test.
pub struct Proxy {
    /// The registry itself.
    pub registry: LocalRegistry,
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Something in front of a registry that does with each request what `rule` says.
    pub fn new(rule: impl FnMut(&Passing) -> Turn + Send + 'static) -> Self {
        Self::around(LocalRegistry::start(), rule)
    }

    /// The same in front of this registry.
    pub fn around(registry: LocalRegistry, rule: impl FnMut(&Passing) -> Turn + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let rule: Arc<Mutex<Rule>> = Arc::new(Mutex::new(Box::new(rule)));
        let (upstream, heard) = (registry.port(), Arc::clone(&seen));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (rule, heard) = (Arc::clone(&rule), Arc::clone(&heard));
                // A client that goes away in the middle is no fault of the test's.
                thread::spawn(move || serve(stream, upstream, &rule, &heard));
            }
        });
        Self { registry, port, seen }
    }

    /// What REGISTRY is set to for repositories below `path`.
    pub fn address(&self, path: &str) -> String {
        format!("localhost:{}/{path}", self.port)
    }

    /// The requests so far, as method and path.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve(stream: TcpStream, upstream: u16, rule: &Mutex<Rule>, seen: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut client = BufReader::new(stream);
    while let Some(request) = read_request(&mut client)? {
        seen.lock()
            .unwrap()
            .push(format!("{} {}", request.method, request.path));
        let turn = rule.lock().unwrap()(&request);
        let head = request.method == "HEAD";
        let reply = match turn {
            Turn::Drop => return Ok(()),
            Turn::Answer(reply) => reply,
            Turn::Pass => forward(&request, upstream)?,
            Turn::Lose => {
                forward(&request, upstream)?;
                return Ok(());
            }
            Turn::Alter(alter) => {
                let mut reply = forward(&request, upstream)?;
                alter(&mut reply);
                reply
            }
        };
        write_reply(client.get_mut(), &reply, head)?;
    }
    Ok(())
}

/// The registry's own answer.
fn forward(request: &Passing, upstream: u16) -> io::Result<Reply> {
    let mut stream = TcpStream::connect(("127.0.0.1", upstream))?;
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.path);
    for (name, value) in &request.headers {
        let own = ["connection", "transfer-encoding", "content-length", "accept-encoding"];
        if !own.contains(&name.to_ascii_lowercase().as_str()) {
            let _ = write!(head, "{name}: {value}\r\n");
        }
    }
    let length = request.body.len();
    let _ = write!(head, "Content-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(&request.body)?;
    let mut answer = BufReader::new(stream);
    let mut line = String::new();
    answer.read_line(&mut line)?;
    let status = line.split_whitespace().nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other("the registry answers nothing"))?;
    let headers = read_headers(&mut answer)?;
    let body = if request.method == "HEAD" {
        Vec::new()
    } else {
        read_body(&mut answer, &headers, true)?
    };
    Ok(Reply { status, headers, body })
}

fn write_reply(stream: &mut TcpStream, reply: &Reply, head: bool) -> io::Result<()> {
    let mut text = format!("HTTP/1.1 {} Told\r\n", reply.status);
    for (name, value) in &reply.headers {
        let own = ["connection", "transfer-encoding"].contains(&name.to_ascii_lowercase().as_str());
        let length = name.eq_ignore_ascii_case("content-length");
        // What an answer to HEAD says of the length is the only thing that does.
        if !own && (!length || head) {
            let _ = write!(text, "{name}: {value}\r\n");
        }
    }
    if !head {
        let _ = write!(text, "Content-Length: {}\r\n", reply.body.len());
    }
    stream.write_all((text + "\r\n").as_bytes())?;
    if head { Ok(()) } else { stream.write_all(&reply.body) }
}

fn read_request(client: &mut BufReader<TcpStream>) -> io::Result<Option<Passing>> {
    let mut line = String::new();
    if client.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let headers = read_headers(client)?;
    let body = read_body(client, &headers, false)?;
    Ok(Some(Passing {
        method,
        path,
        headers,
        body,
    }))
}

fn read_headers(from: &mut BufReader<TcpStream>) -> io::Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        from.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            return Ok(headers);
        };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
}

fn read_body(
    from: &mut BufReader<TcpStream>,
    headers: &[(String, String)],
    until_the_end: bool,
) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if value(headers, "transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        loop {
            let mut line = String::new();
            from.read_line(&mut line)?;
            let size = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
            let mut chunk = vec![0; size + 2];
            from.read_exact(&mut chunk)?;
            if size == 0 {
                return Ok(body);
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }
    match value(headers, "content-length").map(str::parse) {
        Some(Ok(length)) => {
            body.resize(length, 0);
            from.read_exact(&mut body)?;
        }
        _ if until_the_end => {
            from.read_to_end(&mut body)?;
        }
        _ => {}
    }
    Ok(body)
}

fn value<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}
