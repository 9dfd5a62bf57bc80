//! How large the image was, and what took how much of it.

use serde::Serialize;

use super::chart::percent;
use super::name::visible;
use crate::event::{ImageSize, Portion};
use crate::quantity::bytes;

#[derive(Debug, Serialize)]
pub(super) struct Size {
    all: String,
    environments: Vec<Bar>,
    packages: Vec<Bar>,
    repeated: Vec<Bar>,
    grown: Vec<Bar>,
    layers: Vec<Bar>,
}

/// What takes a part of the image, as wide as that is beside the largest of its kind.
#[derive(Debug, Serialize)]
struct Bar {
    name: String,
    value: String,
    width: String,
}

impl Size {
    pub(super) fn of(size: &ImageSize) -> Self {
        Self {
            all: bytes(size.bytes),
            environments: bars(&size.environments),
            packages: bars(&size.packages),
            repeated: bars(&size.repeated),
            grown: bars(&size.grown),
            layers: bars(&size.layers),
        }
    }
}

fn bars(portions: &[Portion]) -> Vec<Bar> {
    let largest = portions
        .iter()
        .map(|portion| portion.bytes)
        .max()
        .unwrap_or_default()
        .max(1);
    #[expect(clippy::cast_precision_loss, reason = "it is the width of a drawing")]
    let width = |part: u64| percent(100.0 * part as f64 / largest as f64);
    let bar = |portion: &Portion| Bar {
        name: visible(&portion.name),
        value: bytes(portion.bytes),
        width: width(portion.bytes),
    };
    portions.iter().map(bar).collect()
}
