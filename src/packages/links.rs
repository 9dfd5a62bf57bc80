//! Which package of an environment needs which.

use std::collections::{BTreeMap, BTreeSet};

use super::requirement::{self, Requirement};
use super::{Asked, Environment, Manager};
use crate::spec::frozen::normalized;

/// One package needs another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The other package: its index in the environment.
    pub package: usize,
    /// What is said of its version; empty where nothing is.
    pub constraint: String,
}

/// What needs what in an environment, and which lines ask for it. Packages are named by their indexes.
#[derive(Debug)]
pub struct Links<'a> {
    /// The environment.
    pub environment: &'a Environment,
    /// What each package needs.
    pub needs: Vec<Vec<Link>>,
    /// What needs each package.
    pub needed_by: Vec<Vec<Link>>,
    /// What bears each package with a constraint, without needing it.
    pub limited_by: Vec<Vec<Link>>,
    /// The lines that ask for each package or limit it.
    pub asked: Vec<Vec<&'a Asked>>,
}

/// The packages of an environment by name.
struct Names {
    conda: BTreeMap<String, usize>,
    pip: BTreeMap<String, usize>,
    /// conda packages by the spelling of pip.
    spelled: BTreeMap<String, usize>,
}

impl Names {
    fn of(environment: &Environment) -> Self {
        let mut names = Self {
            conda: BTreeMap::new(),
            pip: BTreeMap::new(),
            spelled: BTreeMap::new(),
        };
        for (index, package) in environment.packages.iter().enumerate() {
            if package.manager == Manager::Pip {
                names.pip.insert(package.name.clone(), index);
            } else {
                names.conda.insert(package.name.clone(), index);
                names.spelled.entry(normalized(&package.name)).or_insert(index);
            }
        }
        names
    }

    /// What a name stands for to those who ask `by`. conda knows its own packages; what conda installed is there for pip.
    fn find(&self, name: &str, by: Manager) -> Option<usize> {
        let spelled = normalized(name);
        let of_pip = self.pip.get(&spelled);
        let found = match by {
            Manager::Pip => of_pip.or_else(|| self.spelled.get(&spelled)),
            Manager::Conda | Manager::Venv => self.conda.get(&name.to_lowercase()),
        };
        found.copied()
    }

    /// What a line of a spec file stands for. Where environments are venvs, pip installs what lists for conda name.
    fn asked(&self, asked: &Asked) -> Option<usize> {
        self.find(&asked.name, asked.by)
            .or_else(|| self.find(&asked.name, Manager::Pip))
    }
}

impl<'a> Links<'a> {
    /// Finds the links of an environment.
    #[must_use]
    pub fn of(environment: &'a Environment) -> Self {
        let count = environment.packages.len();
        let names = Names::of(environment);
        let mut asked = vec![Vec::new(); count];
        let mut extras = vec![BTreeSet::<String>::new(); count];
        for line in &environment.asked {
            if let Some(index) = names.asked(line) {
                asked[index].push(line);
                extras[index].extend(line.extras.iter().cloned());
            }
        }
        let needs = needs(environment, &names, &mut extras);
        let limits = environment.packages.iter().map(|package| {
            let limits = package.limits.iter().filter_map(|text| Requirement::of_conda(text));
            let limits = limits.filter_map(|limit| Some((names.find(&limit.name, Manager::Conda)?, limit.constraint)));
            limits
                .map(|(package, constraint)| Link { package, constraint })
                .collect()
        });
        Self {
            environment,
            needed_by: reversed(&needs),
            limited_by: reversed(&limits.collect::<Vec<_>>()),
            needs,
            asked,
        }
    }
}

/// What each package needs. An extra that one package asks of another makes that need more, and so on.
fn needs(environment: &Environment, names: &Names, extras: &mut [BTreeSet<String>]) -> Vec<Vec<Link>> {
    let machine = environment.python().and_then(requirement::machine);
    let stated = environment.packages.iter().map(|package| {
        let read = match package.manager {
            Manager::Pip => Requirement::of_pip,
            Manager::Conda | Manager::Venv => Requirement::of_conda,
        };
        package.needs.iter().filter_map(|text| read(text)).collect::<Vec<_>>()
    });
    let stated = stated.collect::<Vec<_>>();
    let mut needs = vec![Vec::new(); stated.len()];
    let mut due = (0..stated.len()).collect::<Vec<_>>();
    while let Some(index) = due.pop() {
        let manager = environment.packages[index].manager;
        let wanted = requirement::extras(extras[index].iter());
        let mut links = BTreeMap::<usize, Vec<String>>::new();
        for need in stated[index]
            .iter()
            .filter(|need| need.holds(machine.as_ref(), &wanted))
        {
            let Some(package) = names.find(&need.name, manager).filter(|found| *found != index) else {
                continue;
            };
            let constraints = links.entry(package).or_default();
            if !need.constraint.is_empty() && !constraints.contains(&need.constraint) {
                constraints.push(need.constraint.clone());
            }
            let known = extras[package].len();
            extras[package].extend(need.extras.iter().cloned());
            if extras[package].len() > known {
                due.push(package);
            }
        }
        needs[index] = links
            .into_iter()
            .map(|(package, constraints)| Link {
                package,
                constraint: constraints.join(","),
            })
            .collect();
    }
    needs
}

fn reversed(links: &[Vec<Link>]) -> Vec<Vec<Link>> {
    let mut reversed = vec![Vec::new(); links.len()];
    for (from, links) in links.iter().enumerate() {
        for link in links {
            reversed[link.package].push(Link {
                package: from,
                constraint: link.constraint.clone(),
            });
        }
    }
    reversed
}
