//! Resources whose replacement must be supervised: found in a plan as `tofu` and `terraform` print it.

use serde::Deserialize;

use super::gate::Withheld;

/// A guarded resource that a plan removes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guarded {
    /// Its address.
    pub address: String,
    /// Whether another takes its place.
    pub replaced: bool,
}

impl std::fmt::Display for Guarded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = if self.replaced { "replaced" } else { "destroyed" };
        write!(f, "{} is {what}", self.address)
    }
}

/// What floe reads of a plan: <https://opentofu.org/docs/internals/json-format/>.
#[derive(Deserialize)]
struct Plan {
    #[serde(rename = "format_version")]
    _format: String,
    #[serde(default)]
    resource_changes: Vec<Planned>,
}

#[derive(Deserialize)]
struct Planned {
    address: String,
    change: Change,
}

#[derive(Deserialize)]
struct Change {
    actions: Vec<String>,
}

/// The resources that the printed plan deletes or replaces and that match one of the patterns, in the order of the plan.
///
/// In a pattern `*` stands for any text and `?` for one character; a pattern also means all that lies in what it matches, a
/// module's resources and the instances of a resource. Brackets are those of addresses.
pub fn guarded(printed: &str, patterns: &[String]) -> Result<Vec<Guarded>, Withheld> {
    let plan = read(printed)?;
    let removed = plan.resource_changes.into_iter().filter_map(|planned| {
        let has = |action: &str| planned.change.actions.iter().any(|other| other == action);
        let matched = patterns.iter().any(|pattern| covers(pattern, &planned.address));
        (has("delete") && matched).then(|| Guarded {
            replaced: has("create"),
            address: planned.address,
        })
    });
    Ok(removed.collect())
}

/// The plan is all that is printed, or its last line that begins an object: make shows what it runs.
fn read(printed: &str) -> Result<Plan, Withheld> {
    let whole = serde_json::from_str::<Plan>(printed);
    whole.or_else(|error| {
        let last = printed.lines().rfind(|line| line.starts_with('{'));
        let found = last.and_then(|line| serde_json::from_str::<Plan>(line).ok());
        found.ok_or_else(|| Withheld::NoPlan {
            reason: error.to_string(),
        })
    })
}

fn covers(pattern: &str, address: &str) -> bool {
    let ends = address
        .char_indices()
        .filter(|(_, c)| matches!(c, '.' | '['))
        .map(|(at, _)| at);
    let mut ends = ends.chain([address.len()]);
    ends.any(|end| matches(pattern.as_bytes(), &address.as_bytes()[..end]))
}

/// Whether a text is what a pattern says, by going back to the last `*` where it is not.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut star = None;
    while read < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(&c) if c == b'?' || c == text[read] => (at, read) = (at + 1, read + 1),
            _ => match star {
                Some((back, from)) => {
                    star = Some((back, from + 1));
                    (at, read) = (back + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|&c| c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_what_lies_in_what_it_matches() {
        for (pattern, address, expected) in [
            ("module.eks.*", "module.eks.aws_eks_cluster.this[0]", true),
            ("module.eks.*", "module.eks.module.node.aws_x.y[\"a.b\"]", true),
            ("module.eks", "module.eks.aws_eks_cluster.this", true),
            ("module.eks", "module.eks[\"one\"].aws_eks_cluster.this", true),
            ("module.eks", "module.eks2.aws_eks_cluster.this", false),
            ("aws_lb.hub", "aws_lb.hub[0]", true),
            ("aws_lb.hub[0]", "aws_lb.hub[0]", true),
            ("aws_lb.hub[0]", "aws_lb.hub[1]", false),
            ("*.aws_lb.*", "module.net.aws_lb.hub", true),
            ("*aws_lb*", "aws_lb.hub", true),
            ("aws_l?", "aws_lb.hub", true),
            ("aws_route53_*", "aws_lb.hub", false),
            ("", "aws_lb.hub", false),
        ] {
            assert_eq!(covers(pattern, address), expected, "{pattern} {address}");
        }
    }

    /// What `terraform show -json` of 1.11.4 prints, less what floe does not read.
    const PLAN: &str = r#"{"format_version":"1.2","resource_changes":[
        {"address":"terraform_data.dns","change":{"actions":["delete","create"]},"action_reason":"replace_because_cannot_update"},
        {"address":"terraform_data.first","change":{"actions":["create","delete"]}},
        {"address":"terraform_data.gone","change":{"actions":["delete"]}},
        {"address":"terraform_data.other","change":{"actions":["update"]}},
        {"address":"terraform_data.same","change":{"actions":["no-op"]}},
        {"address":"null_resource.gone","change":{"actions":["delete"]}}]}"#;

    #[test]
    fn what_is_deleted_or_replaced_in_either_order_is_found_among_what_is_guarded() {
        let found = guarded(PLAN, &["terraform_data".to_owned()]).unwrap();
        let said = found.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            said,
            [
                "terraform_data.dns is replaced",
                "terraform_data.first is replaced",
                "terraform_data.gone is destroyed"
            ]
        );
        let of_make = format!("tofu show -json plan\n{}\n", PLAN.replace('\n', ""));
        assert_eq!(guarded(&of_make, &["null_*".to_owned()]).unwrap().len(), 1);
    }

    #[test]
    fn what_is_no_plan_is_refused_and_an_empty_plan_is_not() {
        for text in ["", "No changes.", "{}", "{\"resource_changes\": 1}"] {
            assert!(guarded(text, &[]).is_err(), "{text}");
        }
        assert!(guarded(r#"{"format_version":"1.2"}"#, &[]).unwrap().is_empty());
    }
}
