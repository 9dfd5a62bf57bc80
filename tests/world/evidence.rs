//! Evidence as another machine reads it from a registry.

use serde_json::{Value, json};

/// A statement that the image with the manifest `digest` passed its tests: one, the script of `m`.
pub fn statement(digest: &str) -> Value {
    let hex = |digest: &str| json!({ "sha256": digest.trim_start_matches("sha256:") });
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": "localhost/hub/m", "digest": hex(digest) }],
        "predicateType": "https://in-toto.io/attestation/test-result/v0.1",
        "predicate": {
            "result": "PASSED",
            "configuration": [{ "name": "test-definitions", "digest": hex(&"d".repeat(64)) }],
            "url": "runs/run-1",
            "passedTests": ["m::test"],
        },
    })
}
