//! Tests on a real cluster, which `tests/engine/kubernetes/up` makes of Debian's source package.

mod cluster;
mod left;

mod long {
    use std::time::Duration;

    use floe::event::{CauseKind, Event};
    use world::{Ended, LocalRegistry};

    use super::cluster::Bench;

    #[test]
    #[ignore = "needs a cluster, which takes a quarter of an hour to build"]
    fn a_suite_passes_on_the_cluster_and_what_it_proves_lets_the_image_be_pushed() {
        let bench = Bench::new(&["true", "true", "true", "true"]);
        let passed = bench.test(&["--shards", "2"]).expect(0);
        assert_eq!(passed.stderr.matches("PASS ").count(), 5, "{}", passed.stderr);
        let outcome = bench.outcome();
        assert!(outcome.passed && outcome.summary.passed == 5, "{outcome:?}");
        let pushed = bench
            .site
            .prepared(&["push", "tiny"])
            .env("REGISTRY", bench.registry())
            .output();
        Ended::of(pushed.unwrap()).expect(0);
        assert_eq!(bench.namespace.left(), "");
    }

    #[test]
    #[ignore = "needs a cluster, which takes a quarter of an hour to build"]
    fn a_test_that_fails_fails_there_and_hides_no_other() {
        let bench = Bench::new(&["true", "echo what it says; false", "true"]);
        bench
            .test(&["--shards", "3"])
            .expect(100)
            .says(&["what it says", "FAIL "]);
        let outcome = bench.outcome();
        assert_eq!((outcome.summary.passed, outcome.summary.failed), (3, 1), "{outcome:?}");
        assert_eq!(bench.namespace.left(), "");
    }

    #[test]
    #[ignore = "needs a cluster, which takes a quarter of an hour to build"]
    fn of_a_pod_that_somebody_deletes_what_had_no_verdict_runs_again() {
        let bench = Bench::new(&["true", "sleep 8"]);
        let run = bench.begin(&["--shards", "1", "--jobs", "1"]);
        bench.namespace.wait_for_tests(1);
        std::thread::sleep(Duration::from_secs(3));
        bench.namespace.kubectl(&["delete", "pods", "--all", "--wait=false"]);
        let ended = run.end().expect(0);
        // The mission's own script, which started the other tests, had not ended either.
        ended.says(&["was lost", "another runs the 2 tests"]);
        assert!(bench.outcome().passed);
        assert_eq!(bench.namespace.left(), "");
    }

    #[test]
    #[ignore = "needs a cluster, which takes a quarter of an hour to build"]
    fn a_pod_without_memory_says_so_of_the_tests_that_ran() {
        // What lies in shared memory stays there, and the agent is the largest process beside it.
        let bench = Bench::new(&["true", "dd if=/dev/zero of=/dev/shm/x bs=1000000 count=60; sleep 60"]);
        bench.settings("resources: {limits: {memory: 64Mi}}\n");
        bench
            .test(&["-E", "env(b)"])
            .expect(100)
            .says(&["OOM ", "killed for memory"]);
        assert_eq!(bench.namespace.left(), "");
    }

    #[test]
    #[ignore = "needs a cluster, which takes a quarter of an hour to build"]
    fn an_image_that_no_node_can_pull_is_told_in_the_nodes_own_words() {
        // floe is logged in, and the nodes are not.
        let bench = Bench::with_registry(LocalRegistry::start_for_a_user(), &["true"]);
        bench
            .test(&[])
            .expect(102)
            .says(&["INFRA ", "ErrImagePull: ", "imagePullSecrets in kubernetes.yml"]);
        assert_eq!(bench.namespace.left(), "");
    }

    #[test]
    #[ignore = "needs a cluster, which takes a quarter of an hour to build"]
    fn what_a_namespace_has_no_room_for_is_told_in_the_clusters_own_words() {
        let bench = Bench::new(&["true"]);
        bench.settings("pendingTimeoutSeconds: 5\n");
        bench.namespace.kubectl(&["create", "quota", "none", "--hard=pods=0"]);
        bench.test(&[]).expect(75).says(&["INFRA ", "exceeded quota: none"]);
        bench.namespace.kubectl(&["delete", "quota", "none"]);
        bench.settings("pendingTimeoutSeconds: 5\nnodeSelector: {pool: none}\n");
        bench
            .test(&[])
            .expect(75)
            .says(&["INFRA ", "Unschedulable: 0/1 nodes are available"]);
        assert_eq!(bench.namespace.left(), "");
    }

    #[test]
    #[ignore = "needs a cluster, which takes a quarter of an hour to build"]
    fn an_interrupt_ends_the_tests_and_leaves_no_job() {
        let bench = Bench::new(&["sleep 300", "sleep 300"]);
        let run = bench.begin(&["--shards", "2"]);
        bench.namespace.wait_for_tests(2);
        std::thread::sleep(Duration::from_secs(2));
        run.interrupt();
        run.end().expect(130);
        let kinds = bench.outcome();
        let kinds = kinds.failures().map(|(_, cause)| cause.kind).collect::<Vec<_>>();
        assert!(kinds.iter().all(|kind| *kind == CauseKind::NotRun), "{kinds:?}");
        assert_eq!(bench.namespace.left(), "");
    }

    #[test]
    #[ignore = "needs a cluster, which takes a quarter of an hour to build"]
    fn what_a_floe_that_was_killed_left_there_goes_with_the_next_run() {
        let bench = Bench::new(&["sleep 60"]);
        let run = bench.begin(&["-E", "env(a)"]);
        bench.namespace.wait_for_tests(1);
        run.kill();
        assert_ne!(bench.namespace.left(), "");
        bench
            .test(&["-E", "test(mission)"])
            .says(&["removed 1 container of a run that was killed"]);
        assert_eq!(bench.namespace.left(), "");
    }

    #[test]
    #[ignore = "needs a cluster, which takes a quarter of an hour to build"]
    fn a_test_sees_no_token_no_key_and_no_service_of_the_namespace() {
        let seen = "ls() { for f in \"$1\"/*; do echo \"$f\"; done; }; ls /var/run/secrets/kubernetes.io; \
                    while read -r line; do echo \"$line\"; done </proc/self/environ; export; \
                    (: </proc/1/environ) 2>/dev/null && echo OPEN; (: >/opt/floe/bin/x) 2>/dev/null && echo WRITTEN; true";
        let bench = Bench::new(&[seen]);
        bench
            .namespace
            .kubectl(&["create", "service", "clusterip", "nosy", "--tcp=80"]);
        bench.test(&["--verbose", "-E", "env(a)"]).expect(0);
        let printed = bench.events().into_iter().filter_map(|event| match event {
            Event::TestFinished(test) => Some(test.output),
            _ => None,
        });
        let printed = printed.collect::<String>();
        for secret in ["token", "FLOE_EVENTS", "NOSY", "OPEN", "WRITTEN"] {
            assert!(!printed.contains(secret), "{secret}: {printed}");
        }
    }
}
