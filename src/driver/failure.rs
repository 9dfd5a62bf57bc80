//! A driver that fails, sorted as builds are: what may pass by itself, and what somebody must mend.

use super::DriverError;
use crate::fault::Trouble;
use crate::process::Exit;

/// Words of faults that pass by themselves, beside those of networks and servers, in small letters.
const PASSING: &[&str] = &[
    // Helm
    "another operation (install/upgrade/rollback) is in progress",
    "the object has been modified; please apply your changes to the latest version",
    "etcdserver: ",
    "the server is currently unable to handle the request",
    "client rate limiter wait",
    "too many requests",
    // OpenTofu and Terraform
    "error acquiring the state lock",
    "error locking state",
    "state is already locked",
    // clouds
    "throttling",
    "throttled",
    "rate exceeded",
    "requestlimitexceeded",
    "slowdown",
    "http2: client connection lost",
];

/// Words of faults that another attempt meets again, though they look like those of networks.
const LASTING: &[&str] = &[
    // Helm waits until pods are ready: that they never are says something of them.
    "timed out waiting for the condition",
    "has been rolled back due to atomic being set",
    "release name check failed",
    "the server has asked for the client to provide credentials",
    "is forbidden",
    "accessdenied",
    "expiredtoken",
    "invalidclienttokenid",
    "signaturedoesnotmatch",
];

/// What to do about a fault, by words that tell it.
const HINTS: &[(&[&str], &str)] = &[
    (
        &[
            "timed out waiting for the condition",
            "has been rolled back due to atomic being set",
        ],
        "the new pods did not become ready in time: `kubectl get pods,events` of the namespace tells why",
    ),
    (
        &["another operation (install/upgrade/rollback) is in progress"],
        "somebody else deploys now, or a call was killed: wait, or look at `helm history`; `helm rollback` frees a release \
         that stays so",
    ),
    (
        &["state lock", "error locking state", "state is already locked"],
        "somebody else deploys now: try again when they are done; a lock that nobody holds is removed by `force-unlock`",
    ),
    (
        &["missing in charts/ directory", "helm dependency build"],
        "`helm dependency build` of the chart's directory fetches them",
    ),
    (
        &[
            "provide credentials",
            "unauthorized",
            "expiredtoken",
            "invalidclienttokenid",
            "no valid credential",
        ],
        "log in to the account of the stage first",
    ),
    (
        &["is forbidden", "accessdenied"],
        "the account in use is not allowed to: ask for the right, or log in as somebody else",
    ),
    (
        &["context", "does not exist"],
        "`kubectl config get-contexts` lists the contexts that there are",
    ),
];

/// Says whether a step of a driver failed: `output` is what it printed.
pub fn of(what: &'static str, exit: Option<Exit>, output: &str) -> Result<(), DriverError> {
    if exit.is_some_and(Exit::success) {
        return Ok(());
    }
    Err(DriverError::Failed {
        what,
        exit,
        cause: cause(output).unwrap_or_else(|| "it printed nothing".to_owned()),
        temporary: is_temporary(output),
        hint: hint(output),
    })
}

/// Whether another attempt may succeed.
fn is_temporary(output: &str) -> bool {
    // What it printed long before it failed was of things that went well.
    let lines = output.lines().collect::<Vec<_>>();
    let last = lines[lines.len().saturating_sub(LAST)..].join("\n").to_lowercase();
    let names = |words: &[&str]| words.iter().any(|word| last.contains(word));
    !names(LASTING) && (names(PASSING) || Trouble::passing(&last).is_some())
}

/// How many of the last lines tell why a step failed.
const LAST: usize = 20;

fn hint(output: &str) -> Option<&'static str> {
    let output = output.to_lowercase();
    // Of several words, one is enough; of a context, both are needed.
    let fits = |(words, _): &&(&[&str], &str)| match words {
        ["context", rest] => output.contains("context") && output.contains(rest),
        words => words.iter().any(|word| output.contains(word)),
    };
    HINTS.iter().find(fits).map(|(_, hint)| *hint)
}

/// The line that says why: the last one that calls itself an error, less the frame that Terraform draws around it, else
/// the last one, less what make says of a recipe that failed.
fn cause(output: &str) -> Option<String> {
    let framed = |line: &str| line.trim().trim_start_matches(['│', '╷', '╵', '|']).trim().to_owned();
    let lines = output.lines().map(framed).filter(|line| !line.is_empty());
    let lines = lines.collect::<Vec<_>>();
    let of_make = |line: &&String| line.starts_with("make") && line.contains("***");
    let recent = &lines[lines.len().saturating_sub(LAST)..];
    let says_error = |line: &&String| line.starts_with("Error: ") || line.starts_with("error: ");
    let found = recent.iter().rfind(says_error);
    let found = found.or_else(|| recent.iter().rfind(|line| !of_make(line)));
    found.or(lines.last()).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What programs said, whether it may pass, and the cause. The first block is what Helm 3.17.3, Terraform 1.11.4 and make
    /// 4.3 printed.
    const SAID: &[(&str, bool, &str)] = &[
        (
            "Error: Kubernetes cluster unreachable: Get \"http://127.0.0.1:9/version\": dial tcp 127.0.0.1:9: connect: \
             connection refused\n",
            true,
            "Error: Kubernetes cluster unreachable: Get \"http://127.0.0.1:9/version\": dial tcp 127.0.0.1:9: connect: \
             connection refused",
        ),
        (
            "Error: Kubernetes cluster unreachable: context \"zz\" does not exist\n",
            false,
            "Error: Kubernetes cluster unreachable: context \"zz\" does not exist",
        ),
        (
            "Error: repo nochart not found\n",
            false,
            "Error: repo nochart not found",
        ),
        (
            "\nError: Error acquiring the state lock\n\nError message: resource temporarily unavailable\nopen \
             .terraform.tfstate.lock.info: no such file or directory\n\nTerraform acquires a state lock to protect the state \
             from being written\nby multiple users at the same time. Please resolve the issue above and try\nagain. For most \
             commands, you can disable locking with the \"-lock=false\"\nflag, but this is not recommended.\n",
            true,
            "Error: Error acquiring the state lock",
        ),
        (
            "╷\n│ Error: Reference to undeclared input variable\n│ \n│   on main.tf line 3, in resource:\n│    3:   input = \
             var.nope\n│ \n│ An input variable with the name \"nope\" has not been declared.\n╵\n",
            false,
            "Error: Reference to undeclared input variable",
        ),
        (
            "cp: cannot stat 'nope': No such file or directory\nmake: *** [Makefile:2: deploy] Error 1\n",
            false,
            "cp: cannot stat 'nope': No such file or directory",
        ),
        (
            "make: *** No rule to make target 'x'.  Stop.\n",
            false,
            "make: *** No rule to make target 'x'.  Stop.",
        ),
        // As their issues quote them.
        (
            "Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress",
            true,
            "Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress",
        ),
        (
            "Error: UPGRADE FAILED: release hub failed, and has been rolled back due to atomic being set: timed out waiting \
             for the condition",
            false,
            "Error: UPGRADE FAILED: release hub failed, and has been rolled back due to atomic being set: timed out waiting \
             for the condition",
        ),
        (
            "Unable to connect to the server: net/http: TLS handshake timeout",
            true,
            "Unable to connect to the server: net/http: TLS handshake timeout",
        ),
        (
            "Unable to connect to the server: dial tcp: lookup api.example.org: no such host",
            true,
            "Unable to connect to the server: dial tcp: lookup api.example.org: no such host",
        ),
        (
            "Unable to connect to the server: x509: certificate signed by unknown authority",
            false,
            "Unable to connect to the server: x509: certificate signed by unknown authority",
        ),
        (
            "error: You must be logged in to the server (Unauthorized)",
            false,
            "error: You must be logged in to the server (Unauthorized)",
        ),
        (
            "│ Error: reading EKS Cluster (hub): operation error EKS: DescribeCluster, https response error StatusCode: 400, \
             api error ThrottlingException: Rate exceeded",
            true,
            "Error: reading EKS Cluster (hub): operation error EKS: DescribeCluster, https response error StatusCode: 400, \
             api error ThrottlingException: Rate exceeded",
        ),
        (
            "│ Error: AccessDenied: User is not authorized to perform: route53:ListHostedZones",
            false,
            "Error: AccessDenied: User is not authorized to perform: route53:ListHostedZones",
        ),
        (
            "Error: INSTALLATION FAILED: Post \"https://10.0.0.1/api\": 503 Service Unavailable",
            true,
            "Error: INSTALLATION FAILED: Post \"https://10.0.0.1/api\": 503 Service Unavailable",
        ),
        (
            "Error: UPGRADE FAILED: etcdserver: request timed out",
            true,
            "Error: UPGRADE FAILED: etcdserver: request timed out",
        ),
        ("", false, "it printed nothing"),
    ];

    #[test]
    fn what_may_pass_is_told_from_what_must_be_mended_and_the_cause_is_named() {
        for (said, passes, why) in SAID {
            let Err(DriverError::Failed { cause, temporary, .. }) = of("apply", Some(Exit::Code(1)), said) else {
                panic!("{said}");
            };
            assert_eq!((temporary, cause.as_str()), (*passes, *why), "{said}");
        }
    }

    #[test]
    fn a_trouble_that_was_overcome_long_before_the_end_decides_nothing() {
        let said = format!(
            "connection refused, trying again\n{}Error: no such variable\n",
            "done\n".repeat(40)
        );
        assert!(!is_temporary(&said));
    }
}
