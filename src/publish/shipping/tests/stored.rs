//! Layers that are read where the engine keeps them.

use super::*;
use crate::image::store;

impl Case {
    /// Has the engine's own directory give these files of an image, and no more because of an error.
    fn keeps(&self, id: &Digest, layers: &[(&[u8], &[u8])], error: Option<&str>) {
        let digests = layers.iter().map(|(layer, _)| Digest::of(layer)).collect::<Vec<_>>();
        let configuration = format!("{digests:?}");
        let mut files = vec![(store::configuration(id), configuration.as_bytes())];
        files.extend(
            layers
                .iter()
                .map(|(layer, content)| (store::layer(&Digest::of(layer)), *content)),
        );
        self.engine.script_stored(id, archive(&files), error);
    }

    /// What was said of how the layers are read.
    fn notes(&self) -> Vec<String> {
        let events = self.events.events().into_iter();
        let notes = events.filter_map(|event| match event {
            Event::Note { text } => Some(text),
            _ => None,
        });
        notes.collect()
    }
}

#[tokio::test]
async fn layers_that_are_read_where_the_engine_keeps_them_are_saved_by_nobody() {
    let case = Case::new();
    let (one, two): (&[u8], &[u8]) = (b"one", b"another");
    let id = Digest::of(format!("{:?}", [one, two].map(Digest::of)).as_bytes());
    assert_eq!(case.saved(&[one, two]), id);
    case.keeps(&id, &[(one, one), (two, two)], None);
    case.ship(&id, "r.example/m").await.unwrap().unwrap();
    assert_eq!((case.exports(), case.notes()), (0, Vec::new()));
    assert_eq!(case.registry.content("m"), [one, two]);
    let configuration = &case.registry.images.lock().unwrap()[0].configuration;
    assert_eq!(Digest::of(configuration), id);
}

#[tokio::test]
async fn what_cannot_be_read_there_or_is_not_what_it_is_called_comes_out_of_the_saved_image() {
    let (one, two): (&[u8], &[u8]) = (b"one", b"another");
    let of_digests = "not all that it keeps has the digests";
    let denied = "image: Permission denied";
    for (layers, error, said) in [
        (vec![(one, one)], Some(denied), denied),
        (vec![], Some(denied), denied),
        (vec![(one, one), (two, b"damaged")], None, of_digests),
        (vec![(one, one)], None, of_digests),
    ] {
        let case = Case::new();
        let id = case.saved(&[one, two]);
        case.keeps(&id, &layers, error);
        case.ship(&id, "r.example/m").await.unwrap().unwrap();
        assert_eq!(case.exports(), 1);
        assert_eq!(case.registry.content("m"), [one, two]);
        let notes = case.notes();
        assert!(matches!(&notes[..], [note] if note.contains(said)), "{notes:?}");
    }
}
