//! Which packages an environment comes to: channel indices, asked for what was asked for, and a solver.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rattler_conda_types::{Channel, GenericVirtualPackage, MatchSpec, PackageName, RepoDataRecord, Subdir};
use rattler_repodata_gateway::{Gateway, GatewayError, RepoData, RepoDataSource, Source};
use rattler_solve::{ChannelPriority, SolveError, SolverImpl as _, SolverTask};

use super::channels::{self, Channels};
use super::error::{broke_off, status};
use super::request::{Request, named_in};
use super::session::Session;
use super::{CondaError, Config, pinned, runtime};
use crate::event::{Event, Sink};
use crate::spec::env::CondaSpec;
use crate::spec::frozen::CondaPackage;

/// How many names are offered for one that no channel has.
const OFFERED: usize = 5;

/// How often an index is read that breaks off on the way.
const ATTEMPTS: u32 = 3;

/// How long to wait before reading an index again.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// What is to be solved.
pub(super) struct Problem<'a> {
    /// What is asked for.
    pub(super) requests: &'a [Request],
    /// What must hold of packages that come along.
    pub(super) constraints: Vec<MatchSpec>,
    /// What is installed, and stays where it can.
    pub(super) installed: Vec<&'a RepoDataRecord>,
    /// The platform to solve for.
    pub(super) platform: Subdir,
    /// What the machine itself offers, such as `__glibc`.
    pub(super) machine: Vec<GenericVirtualPackage>,
}

/// What is asked where no environment is concerned.
#[derive(Debug)]
pub struct Question<'a> {
    /// Where packages come from beside what the specs name.
    pub config: &'a Config,
    /// The platform to solve for.
    pub platform: Subdir,
    /// The channels that are named; those that are configured come behind them.
    pub named: &'a [String],
    /// What is asked for.
    pub specs: &'a [CondaSpec],
    /// What the machine itself offers, such as `__glibc`.
    pub machine: Vec<GenericVirtualPackage>,
    /// What stays where it can.
    pub kept: Vec<CondaPackage>,
}

/// Chooses packages where no environment is concerned.
pub fn solve(question: Question<'_>, sink: &dyn Sink) -> Result<Vec<RepoDataRecord>, CondaError> {
    let mut channels = Channels::new(question.config, question.named)?;
    let requests = question.specs.iter().map(|spec| Request::parse(spec, &mut channels));
    let requests = requests.collect::<Result<Vec<_>, _>>()?;
    let session = Session::open(question.config, channels.access.clone(), sink)?;
    runtime(async {
        let kept = pinned::kept(&session, &channels, question.platform, &question.kept).await?;
        let problem = Problem {
            requests: &requests,
            constraints: Vec::new(),
            installed: kept.iter().collect(),
            platform: question.platform,
            machine: question.machine,
        };
        solution(&session, &channels, &problem).await
    })?
}

/// The packages that solve the problem, in the order of their names.
pub(super) async fn solution(
    session: &Session<'_>,
    channels: &Channels,
    problem: &Problem<'_>,
) -> Result<Vec<RepoDataRecord>, CondaError> {
    let wanted = problem.requests.iter().map(|request| request.matching.clone());
    let platforms = [problem.platform, Subdir::NoArch];
    let repodata = index(session, channels, platforms, wanted.collect(), true).await?;
    let unmatched = unmatched(session, channels, problem, &repodata).await?;
    let task = |priority| SolverTask {
        locked_packages: problem.installed.clone(),
        virtual_packages: problem.machine.clone(),
        specs: problem
            .requests
            .iter()
            .map(|request| request.matching.clone())
            .collect(),
        constraints: problem.constraints.clone(),
        channel_priority: priority,
        ..repodata.iter().collect::<SolverTask<_>>()
    };
    let mut result = rattler_solve::resolvo::Solver.solve(task(ChannelPriority::Strict));
    if matches!(result, Err(SolveError::Unsolvable(_))) && channels.have_priorities() {
        // As conda does by itself: another channel may help out where the first one has no fitting package.
        result = rattler_solve::resolvo::Solver.solve(task(ChannelPriority::Flexible));
        if result.is_ok() {
            session.sink.emit(Event::Warning {
                text: "strict channel priority has no solution: some packages come from a later channel although an \
                       earlier one has them, too"
                    .to_owned(),
            });
        }
    }
    let mut records = match result {
        Ok(solution) => solution.records,
        Err(SolveError::Unsolvable(words)) => {
            let explanation = session.access.hide(&words.join("\n"));
            return Err(CondaError::Unsatisfiable {
                specs: named_in(problem.requests, &explanation),
                explanation,
                available: unmatched,
            });
        }
        Err(error) => return Err(CondaError::of("solving", &error, |text| session.access.hide(text))),
    };
    records.sort_by(|a, b| a.package_record.name.cmp(&b.package_record.name));
    Ok(records)
}

/// What the channels say of the packages that `wanted` names and, if `deep`, of all that those may need.
pub(super) async fn index(
    session: &Session<'_>,
    channels: &Channels,
    platforms: [Subdir; 2],
    wanted: Vec<MatchSpec>,
    deep: bool,
) -> Result<Vec<RepoData>, CondaError> {
    let mut sources = channels.sources();
    if sources.is_empty() {
        return Err(CondaError::NoChannel);
    }
    let mut without_noarch = BTreeSet::new();
    let mut attempt = 1;
    loop {
        let query = session.gateway.query(sources.clone(), platforms, wanted.clone());
        let error = match query.recursive(deep).await {
            Ok(output) => return Ok(output.repodata),
            Err(error) => error,
        };
        if broke_off(&error) && attempt < ATTEMPTS {
            tokio::time::sleep(RETRY_INTERVAL * attempt).await;
            attempt += 1;
            continue;
        }
        let GatewayError::SubdirNotFoundError(missing) = &error else {
            return Err(unreadable(session, channels, &error));
        };
        let channel = missing.channel.clone();
        let address = channel.base_url.url().clone();
        let has_platform = exists(session, &channel, platforms[0]).await;
        if !has_platform || !without_noarch.insert(address.to_string()) {
            return Err(CondaError::NoSuchChannel {
                channel: address.to_string(),
                mirror: session.access.shown(&address),
            });
        }
        let single: Arc<dyn RepoDataSource> = Arc::new(PlatformOnly {
            gateway: session.gateway.clone(),
            channel: channel.clone(),
        });
        for source in &mut sources {
            // A group of channels has another order of priority, which one without `noarch` cannot have a part in.
            if matches!(source, Source::Channel(known) if known.base_url == channel.base_url) {
                *source = Source::from(Arc::clone(&single));
            }
        }
    }
}

/// The error where a channel cannot be read.
fn unreadable(session: &Session<'_>, channels: &Channels, error: &GatewayError) -> CondaError {
    let text = error.to_string();
    let channel = channels.addresses().find(|url| text.contains(url.as_str()));
    if let Some(status @ (401 | 403)) = status(error) {
        let channel = channel.or_else(|| channels.addresses().next());
        return CondaError::Refused {
            channel: channel.as_ref().map(ToString::to_string).unwrap_or_default(),
            mirror: channel.and_then(|url| session.access.shown(&url)),
            status,
        };
    }
    let names = match channel {
        Some(url) => vec![channels::name(&url)],
        None => channels.names(),
    };
    CondaError::of(
        format!("reading the channel index of {}", names.join(", ")),
        error,
        |text| session.access.hide(text),
    )
}

/// Whether the channel has an index for the platform.
async fn exists(session: &Session<'_>, channel: &Channel, platform: Subdir) -> bool {
    let Ok(url) = channel.platform_url(platform).join("repodata.json") else {
        return false;
    };
    if url.scheme() == "file" {
        return url.to_file_path().is_ok_and(|path| path.exists());
    }
    let answer = session.client.client().head(url).send().await;
    answer.is_ok_and(|answer| answer.status().is_success())
}

/// A channel that has no `noarch` packages, as one that someone made for a single platform.
struct PlatformOnly {
    gateway: Gateway,
    channel: Channel,
}

#[async_trait]
impl RepoDataSource for PlatformOnly {
    async fn fetch_package_records(
        &self,
        platform: Subdir,
        name: &PackageName,
    ) -> Result<Vec<Arc<RepoDataRecord>>, GatewayError> {
        if platform == Subdir::NoArch {
            return Ok(Vec::new());
        }
        let wanted = MatchSpec {
            name: name.clone().into(),
            ..MatchSpec::default()
        };
        let output = self.gateway.query([self.channel.clone()], [platform], [wanted]).await?;
        Ok(output.iter().flat_map(RepoData::iter_arc).cloned().collect())
    }

    fn package_names(&self, _: Subdir) -> Vec<String> {
        Vec::new()
    }
}

/// The versions that there are of requested packages of which no version fits. A requested package that no channel has
/// at all is an error.
async fn unmatched(
    session: &Session<'_>,
    channels: &Channels,
    problem: &Problem<'_>,
    repodata: &[RepoData],
) -> Result<Vec<String>, CondaError> {
    let names = |repodata: &[RepoData]| {
        let records = repodata.iter().flat_map(RepoData::iter);
        records
            .map(|record| record.package_record.name.clone())
            .collect::<BTreeSet<_>>()
    };
    let fitting = names(repodata);
    let unmatched = problem
        .requests
        .iter()
        .filter(|request| {
            let virtually = request.name.as_normalized().starts_with("__");
            !fitting.contains(&request.name) && !virtually && request.matching.url.is_none()
        })
        .filter(|request| {
            problem
                .installed
                .iter()
                .all(|record| record.package_record.name != request.name)
        })
        .collect::<Vec<_>>();
    if unmatched.is_empty() {
        return Ok(Vec::new());
    }
    let platforms = [problem.platform, Subdir::NoArch];
    let any = unmatched.iter().map(|request| MatchSpec {
        name: request.name.clone().into(),
        ..MatchSpec::default()
    });
    let any = index(session, channels, platforms, any.collect(), false).await?;
    let known = names(&any);
    let unknown = unmatched
        .iter()
        .filter(|request| !known.contains(&request.name))
        .collect::<Vec<_>>();
    if let Some(first) = unknown.first() {
        let names = session.gateway.names(channels.each().cloned(), platforms).await;
        let names = names.map(|output| output.names).unwrap_or_default();
        return Err(CondaError::Unknown {
            near: near(first.name.as_normalized(), names.iter().map(PackageName::as_normalized)),
            specs: unknown.iter().map(|request| request.spec.clone()).collect(),
            channels: channels.names(),
        });
    }
    let available = known.iter().map(|name| {
        let records = any.iter().flat_map(RepoData::iter).map(|record| &record.package_record);
        let versions = records
            .filter(|package| package.name == *name)
            .map(|package| &package.version);
        let versions = versions.collect::<BTreeSet<_>>().into_iter().rev().take(OFFERED);
        let versions = versions.map(ToString::to_string).collect::<Vec<_>>();
        format!("{} {}", name.as_normalized(), versions.join(", "))
    });
    Ok(available.collect())
}

/// The names that look most like `name`.
fn near<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let limit = 1 + name.len() / 5;
    let plain = |text: &str| text.replace(['_', '.'], "-");
    let wanted = plain(name);
    let mut found = names
        .filter_map(|other| {
            let other_plain = plain(other);
            let distance = strsim::levenshtein(&wanted, &other_plain);
            let part = wanted.len() > 3 && other_plain.split('-').any(|word| word == wanted);
            (distance <= limit || part).then(|| (distance, other.to_owned()))
        })
        .collect::<Vec<_>>();
    found.sort();
    found.dedup();
    found.truncate(OFFERED);
    found.into_iter().map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_alike_are_offered() {
        let names = ["numpy", "numba", "scipy", "ruamel.yaml", "jupyter-core"];
        assert_eq!(near("nunpy", names.into_iter()), ["numpy"]);
        assert_eq!(near("ruamel_yaml", names.into_iter()), ["ruamel.yaml"]);
        assert_eq!(near("jupyter", names.into_iter()), ["jupyter-core"]);
        assert!(near("tensorflow", names.into_iter()).is_empty());
    }
}
