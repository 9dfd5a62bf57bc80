//! The API of a cluster, in memory: what is created there is found, patched and removed again. No pod ever runs; a test says
//! what there is of pods and of their logs.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Method, Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

use crate::engine::Cluster;

/// An API in memory.
#[derive(Clone, Default)]
pub struct Api(Arc<Mutex<State>>);

#[derive(Default)]
pub struct State {
    /// The objects, by path.
    objects: BTreeMap<String, Value>,
    /// What each request for a log returns in turn; the last one again and again.
    logs: VecDeque<&'static str>,
    /// The requests, less those that only look.
    pub changes: Vec<String>,
    /// What is refused: the method and the end of the path.
    pub forbidden: Option<(Method, &'static str)>,
    version: u64,
}

impl Api {
    /// The cluster.
    pub fn cluster(&self) -> Cluster {
        let api = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let api = api.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect_bytes().await.unwrap_or_default();
                let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
                let (code, text) = api
                    .state()
                    .answer(&parts.method, parts.uri.path(), parts.uri.query(), body);
                let response = Response::builder().status(code);
                Ok::<_, Infallible>(response.body(Full::new(Bytes::from(text))).unwrap())
            }
        });
        Cluster::of(Client::new(service, "ns"), "ns")
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// The names of the objects of a kind, e.g. `jobs`.
    pub fn names(&self, kind: &str) -> Vec<String> {
        let state = self.state();
        let of_kind = state.objects.keys().filter_map(|path| {
            let (rest, name) = path.rsplit_once('/')?;
            rest.ends_with(&format!("/{kind}")).then(|| name.to_owned())
        });
        of_kind.collect()
    }

    /// Gives a Job a pod with this status, whose log comes in these pieces.
    pub fn give_pod(&self, job: &str, status: &Value, log: &[&'static str]) {
        let pod = json!({
            "metadata": {"name": format!("{job}-pod"), "uid": "pod", "labels": {"job-name": job}},
            "status": status,
        });
        let mut state = self.state();
        state
            .objects
            .insert(format!("/api/v1/namespaces/ns/pods/{job}-pod"), pod);
        state.logs = log.iter().copied().collect();
    }

    /// Gives an object a status.
    pub fn give_status(&self, kind: &str, name: &str, status: Value) {
        let mut state = self.state();
        let end = format!("/{kind}/{name}");
        let object = state.objects.iter_mut().find(|(path, _)| path.ends_with(&end));
        object.unwrap().1["status"] = status;
    }

    /// Removes an object, as the cluster does by itself.
    pub fn remove(&self, kind: &str, name: &str) {
        let mut state = self.state();
        let end = format!("/{kind}/{name}");
        state.objects.retain(|path, _| !path.ends_with(&end));
        state.collect_garbage();
    }
}

impl State {
    fn answer(&mut self, method: &Method, path: &str, query: Option<&str>, body: Value) -> (u16, String) {
        if *method != Method::GET {
            self.changes.push(format!("{method} {path}"));
        }
        if let Some((forbidden, end)) = &self.forbidden
            && forbidden == method
            && path.ends_with(end)
        {
            return refused(403, "forbidden by the test");
        }
        match *method {
            Method::POST => self.create(path, body),
            Method::PATCH => self.patch(path, &body),
            Method::DELETE if self.objects.remove(path).is_none() => refused(404, "not found"),
            Method::DELETE => {
                self.collect_garbage();
                let done = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"});
                (200, done.to_string())
            }
            _ if path.ends_with("/log") => {
                let log = self.logs.front().copied().unwrap_or_default();
                if self.logs.len() > 1 {
                    self.logs.pop_front();
                }
                (200, log.to_owned())
            }
            _ => match self.objects.get(path) {
                Some(object) => (200, object.to_string()),
                None if is_collection(path) => (200, self.list(path, query)),
                None => refused(404, "not found"),
            },
        }
    }

    fn create(&mut self, path: &str, mut object: Value) -> (u16, String) {
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        self.version += 1;
        object["metadata"]["uid"] = json!(format!("uid-{}", self.version));
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        if let Some(texts) = object["stringData"].as_object().cloned() {
            let encoded = texts
                .into_iter()
                .map(|(name, text)| (name, json!(STANDARD.encode(text.as_str().unwrap()))));
            object["data"] = Value::Object(encoded.collect());
            object.as_object_mut().unwrap().remove("stringData");
        }
        self.objects.insert(format!("{path}/{name}"), object.clone());
        (201, object.to_string())
    }

    fn patch(&mut self, path: &str, change: &Value) -> (u16, String) {
        self.version += 1;
        let version = self.version.to_string();
        let Some(object) = self.objects.get_mut(path) else {
            return refused(404, "not found");
        };
        let expected = &change["metadata"]["resourceVersion"];
        if !expected.is_null() && *expected != object["metadata"]["resourceVersion"] {
            return refused(409, "the object has been modified");
        }
        merge(object, change);
        object["metadata"]["resourceVersion"] = json!(version);
        (200, object.to_string())
    }

    fn list(&self, path: &str, query: Option<&str>) -> String {
        let selector = query
            .into_iter()
            .flat_map(|query| url::form_urlencoded::parse(query.as_bytes()));
        let selector = selector.into_iter().find(|(name, _)| name == "labelSelector");
        let wanted = selector.and_then(|(_, value)| {
            let (name, value) = value.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        });
        let is_wanted = |object: &&Value| {
            let labels = &object["metadata"]["labels"];
            wanted
                .as_ref()
                .is_none_or(|(name, value)| labels[name.as_str()] == json!(value))
        };
        let below = self.objects.iter().filter(|(other, _)| {
            let name = other.strip_prefix(path).and_then(|rest| rest.strip_prefix('/'));
            name.is_some_and(|name| !name.contains('/'))
        });
        let items = below.map(|(_, object)| object).filter(is_wanted).collect::<Vec<_>>();
        json!({"metadata": {}, "items": items}).to_string()
    }

    /// Removes what has owners, none of which is there any more.
    fn collect_garbage(&mut self) {
        let there = self.objects.values().map(|object| object["metadata"]["uid"].clone());
        let there = there.collect::<Vec<_>>();
        self.objects.retain(|_, object| {
            let owners = object["metadata"]["ownerReferences"].as_array();
            owners.is_none_or(|owners| owners.iter().any(|owner| there.contains(&owner["uid"])))
        });
    }
}

fn is_collection(path: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or_default();
    ["jobs", "pods", "secrets", "configmaps", "events"].contains(&last)
}

fn refused(code: u16, message: &str) -> (u16, String) {
    let reason = if code == 404 { "NotFound" } else { "Test" };
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    });
    (code, status.to_string())
}

/// Merges a patch, as RFC 7386 has it.
fn merge(object: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = json!({});
    }
    let object = object.as_object_mut().unwrap();
    for (name, value) in patch {
        if value.is_null() {
            object.remove(name);
        } else {
            merge(object.entry(name).or_insert(Value::Null), value);
        }
    }
}
