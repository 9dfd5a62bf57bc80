//! Notebooks, as text.

use serde_json::json;

/// A notebook of code cells.
pub fn notebook(cells: &[&str]) -> String {
    let cells = cells.iter().enumerate().map(|(index, source)| {
        json!({
            "cell_type": "code",
            "id": format!("cell-{index}"),
            "metadata": {},
            "source": source,
            "outputs": [],
            "execution_count": null,
        })
    });
    let cells = cells.collect::<Vec<_>>();
    json!({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}).to_string()
}
