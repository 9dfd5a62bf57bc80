//! How long it takes until an image of some gigabytes is in a registry of this machine, beside `docker push`.
//!
//! `scripts/bench push [--rounds N] [--markdown FILE]`. Both sides push the same image, each to a registry of its own that has
//! nothing, and the median of the rounds counts. What misses its bar makes the run fail.

#[path = "../measure/mod.rs"]
#[expect(dead_code, reason = "other benchmarks measure more")]
mod measure;

mod image;

use std::io;
use std::process::ExitCode;

use clap::Parser;

use image::Image;
use measure::run::Asked;
use measure::{Bar, Row, median, medians};
use world::LocalRegistry;

/// Times pushes of a large image.
#[derive(Debug, Parser)]
#[command(name = "push")]
struct Arguments {
    #[command(flatten)]
    asked: Asked,
}

fn main() -> io::Result<ExitCode> {
    let arguments = Arguments::parse();
    let run = arguments.asked.begin("push", 3)?;
    let rounds = run.rounds;
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
    run.end(&rows, &[])
}
