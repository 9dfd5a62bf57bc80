//! Makes the conda channel that the tests install from, for trials by hand: `cargo run --example test-channel -- DIRECTORY`.
//!
//! What it downloads stays in the directory, too, and the channel's URL goes to standard output.

use std::io::Write as _;
use std::path::PathBuf;

use world::channel::Channel;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args_os().nth(1).map(PathBuf::from);
    let directory = std::path::absolute(directory.ok_or("test-channel: where should the channel go?")?)?;
    let channel = Channel::cached(&directory);
    writeln!(std::io::stdout(), "{}", channel.file_url())?;
    Ok(())
}
