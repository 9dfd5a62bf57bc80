//! What is read where the engine keeps it does not pass through the engine, where floe and the engine see the same files.

use std::fs;

use world::{Ended, LocalRegistry, run};

use super::{BY_FLOE, printed, tested};
use crate::counter::Counter;

#[test]
fn what_is_read_where_the_engine_keeps_it_leads_past_the_engine_where_it_sees_the_same_files() {
    let site = tested();
    let counter = Counter::start(site.repository.path());
    let told = site.command(&["image", "tiny"]).expect(0).stdout;
    let image = told.split_whitespace().next().unwrap();
    let holds = run(site.docker().args(["image", "inspect", "--format", "{{.Size}}", image]));
    let holds = holds.trim().parse::<u64>().unwrap();
    let temporary = site.repository.path().join("temporary");
    fs::create_dir(&temporary).unwrap();
    let pushed = [true, false].map(|seen| {
        // What has been compressed once is kept.
        let _ = fs::remove_dir_all(site.repository.path().join(".floe/cache/layers"));
        let registry = LocalRegistry::start();
        let mut call = site.prepared(&["push", "tiny", "--registry", &registry.address("hub")]);
        let mut call = counter.through(call.envs(BY_FLOE), &temporary, seen);
        counter.answered();
        let ended = Ended::of(call.output().unwrap()).expect(0);
        assert!(!ended.stderr.contains("the engine saves"), "{}", ended.stderr);
        let answered = counter.answered();
        assert_eq!(answered < holds / 2, seen, "{answered} of {holds}");
        printed(&ended).digest().unwrap()
    });
    assert_eq!(pushed[0], pushed[1]);
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0, "nothing is left");
}
