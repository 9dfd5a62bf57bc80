//! Runs that are left to the cluster, and what it does with them meanwhile.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use floe::event::{CauseKind, Verdict};
use floe::run::log;
use floe::run::outcome::Outcome;
use world::{Ended, run};

use super::cluster::Bench;

impl Bench {
    /// Leaves a run of all tests. Returns its name.
    fn leave(&self, arguments: &[&str]) -> String {
        let ended = self.test(&[&["--detach"], arguments].concat()).expect(0);
        let run = self.site.run();
        let run = run.file_name().unwrap().to_str().unwrap().to_owned();
        ended.says(&[&run, &format!("floe attach {run}")]);
        run
    }

    /// Another checkout of the same files, which never saw any run.
    fn elsewhere(&self) -> Elsewhere<'_> {
        let directory = tempfile::tempdir().unwrap();
        let here = self.site.repository.path();
        run(Command::new("cp")
            .arg("-r")
            .arg(here)
            .arg(directory.path().join("checkout")));
        let path = directory.path().join("checkout");
        fs::remove_dir_all(path.join(".floe")).unwrap();
        Elsewhere {
            bench: self,
            path,
            _directory: directory,
        }
    }

    /// Waits until the tests of no pod run any more.
    fn wait_for_the_end(&self) {
        for _ in 0..600 {
            let active = "jsonpath={.items[*].status.active}";
            if self.namespace.kubectl(&["get", "jobs", "--output", active]).is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        panic!("its Jobs go on");
    }
}

struct Elsewhere<'a> {
    bench: &'a Bench,
    path: PathBuf,
    _directory: tempfile::TempDir,
}

impl Elsewhere<'_> {
    fn call(&self, arguments: &[&str]) -> Ended {
        let directory = self.path.to_str().unwrap();
        let words = [&["--directory", directory], arguments].concat();
        Ended::of(self.bench.prepared(&words).output().unwrap())
    }

    fn outcome(&self, run: &str) -> Outcome {
        outcome(&self.path, run)
    }
}

fn outcome(repository: &Path, run: &str) -> Outcome {
    Outcome::of(&log::read(&repository.join(".floe/runs").join(run).join("events.jsonl")).unwrap())
}

mod long {
    use super::*;

    #[test]
    #[ignore = "needs a cluster, which takes a quarter of an hour to build"]
    fn a_run_that_was_left_is_finished_from_another_checkout_as_if_nobody_had_left() {
        let bench = Bench::new(&["true", "sleep 3", "true"]);
        let run = bench.leave(&["--shards", "2"]);
        bench.call(&["runs"]).expect(0).prints(&[&run, "detached"]);
        let elsewhere = bench.elsewhere();
        let listed = elsewhere.call(&["runs", "--on", "kubernetes"]).expect(0);
        listed.prints(&[&run, "tiny", "2 pods"]);
        bench.wait_for_the_end();
        let there = ["attach", run.as_str(), "--on", "kubernetes"];
        let attached = elsewhere.call(&there).expect(0);
        assert_eq!(attached.stderr.matches("PASS ").count(), 4, "{}", attached.stderr);
        let outcome = elsewhere.outcome(&run);
        assert!(outcome.passed && outcome.summary.passed == 4, "{outcome:?}");
        // It took what the tests took, and not what it took to hear of them.
        assert!(outcome.seconds.unwrap() > 3.0, "{outcome:?}");
        assert_eq!(fs::read_dir(elsewhere.path.join(".floe/evidence")).unwrap().count(), 1);
        assert_eq!(bench.namespace.left(), "");
        bench.call(&["attach", &run]).expect(3).says(&["knows no run"]);
    }

    #[test]
    #[ignore = "needs a cluster, which takes a quarter of an hour to build"]
    fn a_pod_that_goes_while_nobody_looks_hides_neither_a_pass_nor_a_failure() {
        let bench = Bench::new(&["true", "sleep 8; echo what it says; false"]);
        let run = bench.leave(&["--shards", "2"]);
        bench.namespace.wait_for_begun(2);
        bench.namespace.kubectl(&["delete", "pods", "--all", "--wait=false"]);
        std::thread::sleep(Duration::from_secs(2));
        bench
            .call(&["attach", &run])
            .expect(100)
            .says(&["what it says", "FAIL "]);
        let outcome = bench.outcome();
        assert_eq!((outcome.summary.passed, outcome.summary.failed), (2, 1), "{outcome:?}");
        assert_eq!(bench.namespace.left(), "");
    }

    #[test]
    #[ignore = "needs a cluster, which takes a quarter of an hour to build"]
    fn what_is_left_of_a_run_whose_jobs_somebody_deletes_runs_again() {
        let bench = Bench::new(&["true", "true"]);
        let run = bench.leave(&["--shards", "2"]);
        bench.wait_for_the_end();
        let jobs = bench.namespace.kubectl(&["get", "jobs", "--output", "name"]);
        bench.namespace.kubectl(&["delete", jobs.lines().next().unwrap()]);
        let attached = bench.call(&["attach", &run]).expect(0);
        attached.says(&["1 of 2 shards are gone"]);
        assert!(bench.outcome().passed);
        assert_eq!(bench.namespace.left(), "");
    }

    #[test]
    #[ignore = "needs a cluster, which takes a quarter of an hour to build"]
    fn who_comes_back_may_leave_again_be_killed_or_end_the_run() {
        let bench = Bench::new(&["echo early", "sleep 300"]);
        let run = bench.leave(&["--shards", "2"]);
        bench.namespace.wait_for_tests(1);
        let words = ["attach", run.as_str()];
        let attached = bench.begin_call(&words);
        std::thread::sleep(Duration::from_secs(4));
        bench.call(&words).expect(102).says(&["another floe follows"]);
        attached.interrupt();
        attached.end().expect(130).says(&["left again"]);
        let attached = bench.begin_call(&words);
        std::thread::sleep(Duration::from_secs(4));
        attached.kill();
        // No other run takes away what nobody follows at the moment.
        let other = bench.test(&["-E", "env(a)"]).expect(0);
        assert!(!other.stderr.contains("removed"), "{}", other.stderr);
        bench
            .call(&["prune", "--on", "kubernetes", "--yes"])
            .expect(0)
            .prints(&[&run, "detached"]);
        bench.namespace.wait_for_tests(1);
        bench.call(&["attach", &run, "--cancel"]).expect(130);
        let outcome = outcome(bench.site.repository.path(), &run);
        let verdict = |owner: &str| {
            &outcome
                .tests
                .iter()
                .find(|test| test.id.owner == owner)
                .unwrap()
                .verdict
        };
        assert!(!outcome.passed && *verdict("a") == Verdict::Passed, "{outcome:?}");
        assert!(
            matches!(verdict("b"), Verdict::Failed(cause) if cause.kind == CauseKind::NotRun),
            "{outcome:?}"
        );
        assert_eq!(bench.namespace.left(), "");
    }

    #[test]
    #[ignore = "needs a cluster, which takes a quarter of an hour to build"]
    fn of_a_pod_that_is_evicted_what_had_no_verdict_runs_again() {
        let bench = Bench::new(&["true", "sleep 8"]);
        let run = bench.begin(&["--shards", "1", "--jobs", "1"]);
        bench.namespace.wait_for_tests(1);
        std::thread::sleep(Duration::from_secs(3));
        bench.namespace.evict_all();
        let ended = run.end().expect(0);
        ended.says(&["was lost", "another runs the 2 tests"]);
        assert!(bench.outcome().passed);
        assert_eq!(bench.namespace.left(), "");
    }

    #[test]
    #[ignore = "needs a cluster, which takes a quarter of an hour to build"]
    fn prune_removes_what_a_killed_call_left_and_a_detached_run_only_by_its_name() {
        let bench = Bench::new(&["sleep 300"]);
        let killed = bench.begin(&["-E", "env(a)"]);
        bench.namespace.wait_for_tests(1);
        killed.kill();
        let there = ["prune", "--on", "kubernetes"];
        let nobody = bench.call(&there).expect(102);
        nobody.says(&["1 run from the cluster would go"]);
        bench
            .call(&[&there[..], &["--yes"]].concat())
            .expect(0)
            .says(&["Removed 1 run"]);
        assert_eq!(bench.namespace.left(), "");
        let run = bench.leave(&["-E", "env(a)"]);
        bench.call(&there).expect(0).says(&["Nothing is to go"]);
        let named = [&there[..], &["--run", &run, "--yes"]].concat();
        bench.call(&named).expect(0).says(&["Removed 1 run"]);
        assert_eq!(bench.namespace.left(), "");
    }
}
