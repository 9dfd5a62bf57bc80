//! A registry that keeps lists of referrers.
//!
//! No registry that has this part of the distribution specification is in a package repository that floe's tests can rely
//! on, so this one is a stand-in: Debian's docker-registry, with the list of the specification 1.1 kept in front of it
//! (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers>).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::proxy::{Passing, Proxy, Reply, Turn};

impl Proxy {
    /// A registry that keeps lists of referrers.
    pub fn with_referrers() -> Self {
        let mut lists = BTreeMap::<String, Vec<Value>>::new();
        Self::new(move |request| turn(&mut lists, request))
    }
}

fn turn(lists: &mut BTreeMap<String, Vec<Value>>, request: &Passing) -> Turn {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    if let Some((_, digest)) = path.split_once("/referrers/") {
        return Turn::Answer(listed(lists.get(digest).map_or(&[], Vec::as_slice), query));
    }
    if request.method == "PUT" && path.contains("/manifests/") {
        let manifest: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let Some(subject) = manifest["subject"]["digest"].as_str() else {
            return Turn::Pass;
        };
        let mut entry = json!({
            "mediaType": manifest["mediaType"],
            "digest": path.rsplit('/').next(),
            "size": request.body.len(),
            "artifactType": manifest["artifactType"],
        });
        if manifest["annotations"].is_object() {
            entry["annotations"] = manifest["annotations"].clone();
        }
        lists.entry(subject.to_owned()).or_default().push(entry);
        return Turn::Alter(|reply| reply.headers.push(("OCI-Subject".to_owned(), "kept".to_owned())));
    }
    Turn::Pass
}

fn listed(entries: &[Value], query: &str) -> Reply {
    let wanted = query.split('&').find_map(|pair| pair.strip_prefix("artifactType="));
    let wanted = wanted.map(|wanted| wanted.replace("%2F", "/").replace("%2B", "+"));
    let of_type = |entry: &&Value| {
        wanted
            .as_ref()
            .is_none_or(|wanted| entry["artifactType"] == wanted.as_str())
    };
    let media_type = "application/vnd.oci.image.index.v1+json";
    let index = json!({
        "schemaVersion": 2,
        "mediaType": media_type,
        "manifests": entries.iter().filter(of_type).collect::<Vec<_>>(),
    });
    let mut reply = Reply::new(200, ("Content-Type", media_type), index.to_string());
    if wanted.is_some() {
        let applied = ("OCI-Filters-Applied".to_owned(), "artifactType".to_owned());
        reply.headers.push(applied);
    }
    reply
}
