//! The report of a run as one HTML page that needs nothing else, and no script.
//!
//! Everything in it may come out of a container. Text is made visible and escaped: the template escapes whatever it
//! prints, except for the fields whose names end in `html`, which `ansi` alone writes. The page's policy allows its own
//! style, by its digest, and pictures that are part of it; a browser runs and fetches nothing, whatever got in.

mod ansi;
mod chart;
mod failure;
mod heading;
mod name;
mod page;
mod size;
mod table;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use tera::{Context, Tera};

use super::executed::Executed;
use super::location::Locations;
use crate::run::account::Account;

const TEMPLATE: &str = include_str!("html/page.html");
const STYLE: &str = include_str!("html/style.css");

/// The page of a run. `executed` holds the notebooks that lie beside it.
pub fn to_string(account: &Account, executed: &Executed, places: &Locations) -> Result<String, tera::Error> {
    let mut context = Context::from_serialize(page::Page::of(account, executed, places))?;
    context.insert("style", STYLE);
    context.insert("policy", &policy());
    Tera::one_off(TEMPLATE, &context, true)
}

/// What the page may do: have this style, and the pictures that are part of it.
fn policy() -> String {
    let digest = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    format!("default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'")
}

#[cfg(test)]
mod tests;
