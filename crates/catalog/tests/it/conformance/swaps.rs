//! Promises of the manifest port about swapping, dooming and forgetting.

use super::{Ports, bare, batch, id, part, rollup, swap};
use tollbook_kit::fault::Code;
use tollbook_model::ports::{BatchContent, DoomedObject, NewBatch, NewPart};

pub(crate) async fn a_swap_dooms_and_publishes(ports: Ports) {
    ports.journal.append(vec![batch(1, 3, 0), batch(2, 4, 0)]).await.unwrap();
    assert!(ports.manifest.replace(swap(&[id(1)], &[], vec![bare(part(10, 0, 3))], 5)).await.unwrap());
    let seen = ports.everything().await;
    assert_eq!(seen.batches.iter().map(|batch| batch.id).collect::<Vec<_>>(), [id(2)]);
    assert_eq!(seen.parts, [part(10, 0, 3)]);
    assert!(ports.manifest.replace(swap(&[id(2)], &[id(10)], vec![bare(part(11, 0, 7))], 6)).await.unwrap());
    let seen = ports.everything().await;
    assert_eq!((seen.batches, seen.parts, seen.watermark), (vec![], vec![part(11, 0, 7)], 7));
    let contents = ports.journal.contents(&[id(1), id(2)]).await.unwrap();
    let inline = |text: &'static str| BatchContent::Inline(text.into());
    assert_eq!(
        contents,
        [inline("batch 1"), inline("batch 2")],
        "a running export still reads doomed batches"
    );
}

pub(crate) async fn a_swap_of_what_is_not_live_changes_nothing(ports: Ports) {
    ports.journal.append(vec![batch(1, 1, 0), batch(2, 1, 0)]).await.unwrap();
    assert!(ports.manifest.replace(swap(&[id(1)], &[], vec![bare(part(10, 0, 1))], 5)).await.unwrap());
    let before = ports.everything().await;
    for (what, batches, parts) in [
        ("a doomed batch", vec![id(2), id(1)], vec![]),
        ("an unknown batch", vec![id(2), id(77)], vec![id(10)]),
        ("an unknown part", vec![id(2)], vec![id(10), id(77)]),
        ("the same batch twice", vec![id(2), id(2)], vec![]),
        ("a batch for a part", vec![], vec![id(2)]),
    ] {
        let new = vec![NewPart { part: part(11, 0, 2), rollups: vec![rollup(0, 2)] }];
        assert!(!ports.manifest.replace(swap(&batches, &parts, new, 6)).await.unwrap(), "{what}");
        assert_eq!(ports.everything().await, before, "{what}");
        assert_eq!(ports.manifest.rollups(&[id(11)]).await.unwrap(), [], "{what}");
    }
    assert_eq!(ports.manifest.doomed(i64::MAX, 10).await.unwrap().len(), 1);
    let repeated = swap(&[id(2)], &[], vec![bare(part(10, 0, 1))], 7);
    assert_eq!(ports.manifest.replace(repeated).await.unwrap_err().code(), Code::Internal, "a known part id");
    assert_eq!(ports.everything().await, before);
}

pub(crate) async fn doomed_things_are_listed_oldest_first(ports: Ports) {
    let object = NewBatch { content: BatchContent::Object("journal/2".into()), ..batch(2, 1, 0) };
    ports.journal.append(vec![batch(1, 1, 0), object, batch(3, 1, 0)]).await.unwrap();
    for (batches, parts, new, at_ms) in [
        (vec![id(2)], vec![], vec![bare(part(10, 0, 1))], 20),
        (vec![id(1)], vec![], vec![], 10),
        (vec![], vec![id(10)], vec![], 30),
    ] {
        assert!(ports.manifest.replace(swap(&batches, &parts, new, at_ms)).await.unwrap());
    }
    let expected = [
        DoomedObject { id: id(1), path: None, doomed_at_ms: 10 },
        DoomedObject { id: id(2), path: Some("journal/2".into()), doomed_at_ms: 20 },
        DoomedObject { id: id(10), path: Some(part(10, 0, 1).path), doomed_at_ms: 30 },
    ];
    for (until_ms, limit, count) in
        [(9, 10, 0), (10, 10, 1), (29, 10, 2), (30, 10, 3), (i64::MAX, 2, 2), (30, 0, 0)]
    {
        let doomed = ports.manifest.doomed(until_ms, limit).await.unwrap();
        assert_eq!(doomed, expected[..count], "until {until_ms}, at most {limit}");
    }
    assert!(ports.manifest.names_object("journal/2").await.unwrap(), "doomed objects are named");
}

pub(crate) async fn forgotten_things_are_gone_and_live_ones_stay(ports: Ports) {
    let object = NewBatch { content: BatchContent::Object("journal/2".into()), ..batch(2, 1, 0) };
    ports.journal.append(vec![batch(1, 1, 0), object, batch(3, 1, 0)]).await.unwrap();
    let published = vec![bare(part(10, 0, 1)), bare(part(11, 0, 1))];
    assert!(ports.manifest.replace(swap(&[id(1), id(2)], &[], published, 5)).await.unwrap());
    assert!(ports.manifest.replace(swap(&[], &[id(10)], vec![], 6)).await.unwrap());
    let live = ports.everything().await;
    ports.manifest.forget(&[id(1), id(2), id(3), id(10), id(11), id(99)]).await.unwrap();
    assert_eq!(ports.everything().await, live, "what is live is not forgotten");
    assert_eq!(ports.manifest.doomed(i64::MAX, 10).await.unwrap(), []);
    assert_eq!(ports.journal.contents(&[id(1)]).await.unwrap_err().code(), Code::Internal);
    assert!(ports.journal.contents(&[id(3)]).await.is_ok());
    assert!(!ports.manifest.names_object("journal/2").await.unwrap());
    assert!(!ports.manifest.names_object(&part(10, 0, 1).path).await.unwrap());
    assert!(ports.manifest.names_object(&part(11, 0, 1).path).await.unwrap());
    let next = ports.journal.append(vec![batch(4, 1, 0)]).await.unwrap();
    assert_eq!(next[0].first_sequence, 4, "numbers of what was forgotten are not given again");
}

pub(crate) async fn rollups_live_and_go_with_their_part(ports: Ports) {
    let first = NewPart { part: part(10, 0, 9), rollups: vec![rollup(3, 4), rollup(1, 5)] };
    let second = NewPart { part: part(11, 0, 1), rollups: vec![rollup(7, 1)] };
    assert!(ports.manifest.replace(swap(&[], &[], vec![first, second], 1)).await.unwrap());
    assert!(ports.manifest.replace(swap(&[], &[id(10)], vec![], 2)).await.unwrap());
    let mut rollups = ports.manifest.rollups(&[id(11), id(10), id(99)]).await.unwrap();
    rollups.sort_by_key(|(part, rollup)| (*part, rollup.hour));
    assert_eq!(rollups, [(id(10), rollup(1, 5)), (id(10), rollup(3, 4)), (id(11), rollup(7, 1))]);
    ports.manifest.forget(&[id(10)]).await.unwrap();
    assert_eq!(ports.manifest.rollups(&[id(10), id(11)]).await.unwrap(), [(id(11), rollup(7, 1))]);
}
