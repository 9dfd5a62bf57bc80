//! How long it takes until an image of some gigabytes is in a registry of this machine, beside `docker push`.
//!
//! `scripts/bench push [--rounds N] [--markdown FILE]`. Both sides push the same image, each to a registry of its own that has
//! nothing, and the median of the rounds counts. What misses its bar makes the run fail.

#[path = "../measure/mod.rs"]
#[expect(dead_code, reason = "other benchmarks measure more")]
mod measure;

mod image;

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use image::Image;
use measure::{Bar, Row, machine, median, medians, table};
use world::LocalRegistry;

/// Times pushes of a large image.
#[derive(Debug, Parser)]
#[command(name = "push")]
struct Arguments {
    /// How many rounds to take the median of
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Also write the table, with the machine and the versions, into this page
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// What cargo says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> io::Result<ExitCode> {
    let arguments = Arguments::parse();
    let page = arguments.markdown.as_deref().map(table::page).transpose()?;
    let rounds = usize::from(arguments.rounds);
    let image = Image::new();
    let mut mounted = Vec::new();
    let [[gzip], [zstd], [docker]] = medians(
        rounds,
        [
            &mut || {
                image.forget_layers();
                let registry = LocalRegistry::start();
                let first = image.push(&registry.address("hub"), "gzip");
                mounted.push(image.push(&registry.address("other"), "gzip"));
                [first]
            },
            &mut || {
                image.forget_layers();
                [image.push(&LocalRegistry::start().address("hub"), "zstd")]
            },
            &mut || [image.push_by_docker(&LocalRegistry::start().address("hub/big"))],
        ],
    );
    let size = image.size() / 100_000_000;
    let (whole, tenths) = (size / 10, size % 10);
    let rows = [
        Row::new(
            format!("the first push of an image of {whole}.{tenths} GB"),
            gzip,
            ("docker push", docker),
            Some(Bar::Times(0.3)),
        ),
        Row::new("  with zstd", zstd, ("docker push", docker), None),
        Row::alone("the same to another repository", median(mounted), None),
    ];
    writeln!(io::stdout(), "{}", table::plain(&rows))?;
    if let (Some(file), Some(page)) = (arguments.markdown, page) {
        let section = table::markdown("push", &rows, &machine::describe(&[]), rounds);
        fs::write(&file, table::with_section(&page, "push", &section))?;
    }
    if rows.iter().any(Row::is_missed) {
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
