//! A disk that fills up: records are refused with 507, reading goes on, and nothing acknowledged is lost.

use crate::load::Load;
use crate::service::{Service, day_ago, say_skipped};
use crate::table::Table;
use std::path::PathBuf;
use std::process::{Command, Stdio};

const DISK: &str = "size=48m";

/// A small disk of its own; gone when dropped.
struct Disk(PathBuf);

impl Disk {
    /// A small disk at a new folder, or none where this user may not mount any.
    fn new(at: PathBuf) -> Option<Self> {
        std::fs::create_dir(&at).unwrap();
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", DISK, "tmpfs"]).arg(&at).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success()).then_some(Self(at))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Detached at once, although a process that is being killed may still use it.
        let _unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_refuses_records_and_goes_on_reading() {
    // Once with room kept in reserve, once filled to the last byte.
    for reserve in ["16", "0"] {
        let folder = tempfile::tempdir().unwrap();
        let Some(disk) = Disk::new(folder.path().join("disk")) else {
            // Mounting takes a privilege that CI need not have, so that this is no failure there.
            return say_skipped("no small disk can be mounted here");
        };
        let environment = [("TOLLBOOK_STORE__RESERVE_MIB", reserve)];
        let mut service = Service::start_with(&disk.0, &environment);
        let mut load = Load::new(3);
        let (mut acknowledged, mut refused) = (0, 0);
        for body in 0..100 {
            let (rows, bulk) = if body % 2 == 0 { (400, 3000) } else { (50, 100) };
            let answer = service.post_ndjson(load.ndjson(&format!("body{body}"), rows, bulk, &day_ago(1)));
            if answer.status == 200 {
                acknowledged += rows;
                continue;
            }
            assert_eq!(
                (answer.status, answer.problem().as_str()),
                (507, "storage-full"),
                "{}",
                answer.text()
            );
            refused += 1;
            assert_eq!(export(&service), acknowledged, "reserve of {reserve} MiB, after body {body}");
            if refused == 5 {
                break;
            }
        }
        assert!(acknowledged > 1000 && refused == 5, "{acknowledged} records, {refused} refusals");
        assert!(service.runs(), "{}", service.logged());
        service.kill();
        let service = Service::start_with(&disk.0, &environment);
        assert_eq!(export(&service), acknowledged, "reserve of {reserve} MiB, after a restart");
    }
}

fn export(service: &Service) -> usize {
    let table = Table::of(&service.export("&columns=source_key").body);
    let keys = table.counts("source_key");
    assert_eq!(keys.len(), table.rows.len(), "each record once");
    keys.len()
}
