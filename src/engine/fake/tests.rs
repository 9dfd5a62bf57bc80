//! What the engine in memory does by itself.

use super::*;

fn labels() -> BTreeMap<String, String> {
    BTreeMap::from([("org.floe.run".to_owned(), "1".to_owned())])
}

#[tokio::test]
async fn a_container_without_an_end_runs_until_it_is_killed() {
    let fake = Fake::new();
    fake.add_image("a:1", BTreeMap::new());
    fake.script_run(Run {
        output: b"hello".to_vec(),
        exit: None,
        ..Run::default()
    });
    let request = ContainerRequest {
        image: "a:1".to_owned(),
        labels: labels(),
        ..ContainerRequest::default()
    };
    let container = fake.start(&request).await.unwrap();
    let (sender, mut output) = mpsc::channel(1);
    let (followed, exit, ()) = tokio::join!(fake.follow(&container, sender), fake.wait(&container), async {
        assert_eq!(output.recv().await.unwrap(), b"hello");
        assert!(fake.containers("org.floe.run=1").await.unwrap()[0].running);
        fake.kill(&container).await.unwrap();
    });
    followed.unwrap();
    assert_eq!(exit.unwrap().code, 137);
    assert!(!fake.containers("org.floe.run").await.unwrap()[0].running);
    fake.remove(&container).await.unwrap();
    assert!(fake.containers("org.floe.run").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_scripted_failure_ends_one_call() {
    let fake = Fake::new();
    let id = fake.add_image("a:1", labels());
    fake.script_failure("image", refused("inspect a:1".to_owned(), "busy"));
    assert!(fake.image("a:1").await.is_err());
    assert_eq!(fake.image("a:1").await.unwrap().unwrap().id, id);
    assert_eq!(fake.calls(), ["image a:1", "image a:1"]);
}
