//! What every kind of object store must do; each implementation is run through the same checks.

use super::{Blobs, DirectoryBlobs, MemoryBlobs, read_whole};
use std::sync::Arc;
use tollbook_kit::clock::SystemClock;

fn check_all(blobs: &dyn Blobs) {
    whole_objects_come_back_and_can_be_replaced(blobs);
    nothing_is_visible_before_it_is_published(blobs);
    ranges_are_exact(blobs);
    listing_ends_at_segments(blobs);
    a_renamed_object_keeps_bytes_and_time(blobs);
    an_open_object_outlives_its_erasure(blobs);
    keys_cannot_leave_the_store(blobs);
    assert!(blobs.free_bytes().unwrap() > 0);
}

fn keys(blobs: &dyn Blobs, prefix: &str) -> Vec<String> {
    let mut keys: Vec<String> = blobs.list(prefix).unwrap().into_iter().map(|object| object.path).collect();
    keys.sort();
    keys
}

fn whole_objects_come_back_and_can_be_replaced(blobs: &dyn Blobs) {
    blobs.put("whole/a b=c.arrow", b"first").unwrap();
    blobs.put("whole/a b=c.arrow", b"second one").unwrap();
    blobs.put("whole/empty", b"").unwrap();
    assert_eq!(read_whole(blobs, "whole/a b=c.arrow").unwrap(), "second one");
    assert_eq!(read_whole(blobs, "whole/empty").unwrap(), "");
    let listed = blobs.list("whole").unwrap();
    assert_eq!(listed.iter().find(|object| object.path == "whole/a b=c.arrow").unwrap().bytes, 10);
    assert!(listed.iter().all(|object| object.written_at_ms > 1_500_000_000_000));
}

fn nothing_is_visible_before_it_is_published(blobs: &dyn Blobs) {
    let mut writer = blobs.create("stream/part").unwrap();
    writer.write_all(b"0123").unwrap();
    assert!(blobs.open("stream/part").is_err());
    writer.write_all(b"4567").unwrap();
    writer.publish().unwrap();
    assert_eq!(read_whole(blobs, "stream/part").unwrap(), "01234567");
    let mut dropped = blobs.create("stream/never").unwrap();
    dropped.write_all(b"x").unwrap();
    drop(dropped);
    assert_eq!(keys(blobs, "stream"), ["stream/part"]);
}

fn ranges_are_exact(blobs: &dyn Blobs) {
    blobs.put("ranges/a", b"0123456789").unwrap();
    let reader = blobs.open("ranges/a").unwrap();
    assert_eq!(reader.size(), 10);
    assert_eq!(reader.read_at(3, 4).unwrap(), "3456");
    assert_eq!(reader.read_at(10, 0).unwrap(), "");
    assert!(reader.read_at(7, 4).is_err());
    assert!(reader.read_at(u64::MAX, 2).is_err());
}

fn listing_ends_at_segments(blobs: &dyn Blobs) {
    for key in ["tenant=a/x", "tenant=a/deep/y", "tenant=ab/z"] {
        blobs.put(key, b"1").unwrap();
    }
    assert_eq!(keys(blobs, "tenant=a"), ["tenant=a/deep/y", "tenant=a/x"]);
    assert_eq!(keys(blobs, "tenant=a/"), ["tenant=a/deep/y", "tenant=a/x"]);
    assert_eq!(keys(blobs, "nothing"), Vec::<String>::new());
}

fn a_renamed_object_keeps_bytes_and_time(blobs: &dyn Blobs) {
    blobs.put("renamed/deep/a", b"moved").unwrap();
    blobs.put("renamed/other/b", b"in the way").unwrap();
    let written_at_ms = blobs.list("renamed/deep").unwrap()[0].written_at_ms;
    blobs.rename("renamed/deep/a", "renamed/other/b").unwrap();
    assert_eq!(keys(blobs, "renamed"), ["renamed/other/b"]);
    assert_eq!(read_whole(blobs, "renamed/other/b").unwrap(), "moved");
    assert_eq!(blobs.list("renamed").unwrap()[0].written_at_ms, written_at_ms);
    blobs.rename("renamed/deep/a", "renamed/new/c").unwrap();
    assert_eq!(keys(blobs, "renamed"), ["renamed/other/b"], "there was nothing to rename");
}

fn an_open_object_outlives_its_erasure(blobs: &dyn Blobs) {
    blobs.put("erased/a", b"still here").unwrap();
    let reader = blobs.open("erased/a").unwrap();
    blobs.delete("erased/a").unwrap();
    blobs.delete("erased/a").unwrap();
    assert!(blobs.open("erased/a").is_err());
    assert_eq!(reader.read_at(0, 10).unwrap(), "still here");
}

fn keys_cannot_leave_the_store(blobs: &dyn Blobs) {
    for key in ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", ".hidden", "a/.b", "a\\b", "a\0b"] {
        assert!(blobs.put(key, b"x").is_err(), "{key:?}");
        assert!(blobs.open(key).is_err(), "{key:?}");
        assert!(blobs.delete(key).is_err(), "{key:?}");
        assert!(blobs.rename(key, "x").is_err(), "{key:?}");
        assert!(blobs.rename("x", key).is_err(), "{key:?}");
    }
}

#[test]
fn memory_conforms() {
    check_all(&MemoryBlobs::new(Arc::new(SystemClock::new())));
}

#[test]
fn a_directory_conforms() {
    let folder = tempfile::tempdir().unwrap();
    check_all(&DirectoryBlobs::open(folder.path().join("made/for/it")).unwrap());
}
