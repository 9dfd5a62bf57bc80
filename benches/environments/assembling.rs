//! The layers of a frozen environment of pip packages alone, beside pip itself, which installs them.

use std::fs;
use std::io;
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::thread;
use std::time::Duration;

use world::{run, take_layers};

use super::measure::{Bar, Row, medians, time};
use super::specs;
use super::workplace::{Workplace, copy, remove};

const NAME: &str = "layered";

/// Both find their packages in their caches; pip compiles what it installs, and layers hold the same bytecode.
pub fn measure(workplace: &Workplace, rounds: usize) -> Vec<Row> {
    let list = workplace.file("layered.pip", specs::PINS);
    let environments = list.with_file_name("environments");
    let directory = environments.join(NAME);
    fs::create_dir_all(&directory).unwrap();
    let prefix = workplace.prefix(NAME);
    run(&mut workplace.floe(&["env-create", NAME]));
    let bare = workplace.prefix("layered-bare");
    run(&mut copy(&prefix, &bare));
    run(&mut workplace.floe(&["env-update", NAME, list.to_str().unwrap()]));
    run(&mut workplace.floe(&["env-export", NAME, "--to", directory.to_str().unwrap()]));
    let layers = &mut || {
        remove(&prefix);
        let socket = directory.join("host.sock");
        let _ = fs::remove_file(&socket);
        let host = UnixListener::bind(&socket).unwrap();
        let mut assemble = workplace.floe(&["env-assemble", NAME, "--layers", "20"]);
        assemble
            .env("FLOE_ENVIRONMENTS", &environments)
            .env("SSH_AUTH_SOCK", &socket);
        [handed_over(&host, &mut assemble)]
    };
    let pip = &mut || {
        remove(&prefix);
        run(&mut copy(&bare, &prefix));
        let mut install = workplace.command(&workplace.conda_dir().join("bin/pip"));
        let install = install.arg("--python").arg(prefix.join("bin/python"));
        [time(install.args(["install", "--quiet", "--requirement"]).arg(&list))]
    };
    let [[layers], [pip]] = medians(rounds, [layers, pip]);
    vec![Row::new(
        format!("frozen spec to layers, {} pip packages", specs::PINS.lines().count()),
        layers,
        ("pip install", pip),
        Some(Bar::Times(0.2)),
    )]
}

/// How long a program takes that hands all of its layers over to `host`.
fn handed_over(host: &UnixListener, assemble: &mut Command) -> Duration {
    thread::scope(|scope| {
        let taken = scope.spawn(|| {
            let (agent, _) = host.accept()?;
            take_layers(&agent, |_| true, |layer| io::copy(layer, &mut io::sink()).map(drop))
        });
        let took = time(assemble);
        let taken = taken.join().unwrap().unwrap();
        assert!(!taken.sent.is_empty(), "{assemble:?} handed nothing over");
        took
    })
}
