//! A disk that fills up: records are refused with 507, reading goes on, and nothing acknowledged is lost.
//!
//! An export begins with its entry in the audit log, for which the reserve leaves room. Without a reserve a disk filled to
//! the last byte can refuse it: an export that nobody can be told of is not made.

use crate::load::Load;
use crate::service::{Service, day_ago, say_skipped, wait_for};
use crate::table::Table;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

const DISK: &str = "size=48m";
const ENLARGED: &str = "size=64m";
/// Bound of the wait for room after a restart.
const PATIENCE: Duration = Duration::from_secs(20);

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

impl Disk {
    /// Makes room, as an operator does who is told that there is none.
    fn enlarge(&self) {
        let mut command = Command::new("mount");
        let enlarged = command.args(["-o", &format!("remount,{ENLARGED}")]).arg(&self.0).status();
        assert!(enlarged.is_ok_and(|status| status.success()), "the disk cannot be made larger");
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
        let Some(disk) = Disk::new(folder.path().join("data")) else {
            // Mounting takes a privilege that CI need not have, so that this is no failure there.
            return say_skipped("no small disk can be mounted here");
        };
        let environment = [("TOLLBOOK_STORE__RESERVE_MIB", reserve)];
        let mut service = Service::start_with(folder.path(), &environment);
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
            let exported = export(&service);
            let is_told = exported.is_some() || reserve == "0";
            assert!(
                is_told && exported.is_none_or(|rows| rows == acknowledged),
                "{reserve} MiB, body {body}"
            );
            if refused == 5 {
                break;
            }
        }
        assert!(acknowledged > 1000 && refused == 5, "{acknowledged} records, {refused} refusals");
        assert!(service.runs(), "{}", service.logged());
        service.kill();
        if reserve == "0" {
            // Whether what the kill left behind is so much that sweeping it makes room enough is chance.
            disk.enlarge();
        }
        let service = Service::start_with(folder.path(), &environment);
        let exported = wait_for(PATIENCE, || export(&service));
        assert_eq!(exported, Some(acknowledged), "reserve of {reserve} MiB, after a restart");
    }
}

/// What cannot be logged is not logged; nobody's request fails for that.
#[test]
fn a_full_disk_of_logs_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut service = Service::start_logging_to(folder.path(), &[("TOLLBOOK_LOG__FILTER", "trace")], full);
    service.post_ndjson(Load::new(3).ndjson("body", 50, 0, &day_ago(1))).expect(200);
    assert_eq!(export(&service), Some(50));
    service.client.get("/api/v1/nothing-here").expect(404);
    assert!(service.runs());
    assert!(service.stop().success());
}

/// Records in an export; none when it was refused for want of room.
fn export(service: &Service) -> Option<usize> {
    let answer = service.client.get("/api/v1/cdr/export?from=2000-01-01&to=2100-01-01&columns=source_key");
    if answer.status == 507 {
        assert_eq!(answer.problem(), "storage-full");
        return None;
    }
    let table = Table::of(&answer.expect(200).body);
    let keys = table.counts("source_key");
    assert_eq!(keys.len(), table.rows.len(), "each record once");
    Some(keys.len())
}
