//! Objects that no row of the control database names: set aside first, erased only days later.
//!
//! As a rule they are leftovers of a crash between writing and naming. But with a control database that is missing, or
//! older than the lake, they are the records themselves; so nothing here erases an object of journal or lake directly.
//! Parts of exports are treated alike: most are what an attempt left that died before it could name them, and one that is
//! being written cannot be seen before it is whole, and is named seconds after.
//!
//! Layout of keys: `set-aside/<YYYY-MM-DD of the move>/<the former key>`.

use super::sweep::SweepParts;
use crate::artifacts;
use crate::blob::Blobs;
use crate::config::{StoreConfig, millis};
use crate::record_keys::DAY_MS;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::sync::Arc;
use tollbook_kit::fault::{Code, Fault, ResultExt};
use tollbook_model::ports::Manifest;

/// Folders whose objects must be named by a row.
const NAMED: [&str; 3] = ["journal", "lake", artifacts::FOLDER];
/// Where the others go.
const SET_ASIDE: &str = "set-aside";

/// Refuses to start on a lake of which the control database knows nothing at all: one of the two is the wrong one.
///
/// # Errors
/// `conflict`, naming the ways out; `unavailable` or `internal` when it cannot be told.
pub async fn refuse_unknown_lake(manifest: &dyn Manifest, blobs: Arc<dyn Blobs>) -> Result<(), Fault> {
    let knows_live = !manifest.scopes().await?.is_empty();
    if knows_live || !manifest.doomed(i64::MAX, 1).await?.is_empty() {
        return Ok(());
    }
    let parts = tokio::task::spawn_blocking(move || {
        let listed = blobs.list("lake")?;
        Ok::<_, Fault>(listed.iter().filter(|object| object.path.ends_with(".parquet")).count())
    })
    .await
    .fault("waiting for a listing of the lake")??;
    if parts == 0 {
        return Ok(());
    }
    let text = format!(
        "lake/ in the data folder holds {parts} parquet files, but the control database knows no record: restore the \
         catalog.sqlite that belongs to this lake, or move lake/ and journal/ out of the data folder to start empty"
    );
    Err(Fault::new(Code::Conflict, text))
}

/// Sets aside what no row names and is not just about to be named. Answers how many objects.
///
/// # Errors
/// `storage_full`, `unavailable` or `internal`; the next search goes on.
pub(super) async fn set_aside(parts: &SweepParts) -> Result<u64, Fault> {
    let now_ms = parts.clock.now_ms();
    let folder = format!("{SET_ASIDE}/{}", utc_date(now_ms)?);
    let before_ms = now_ms.saturating_sub(millis(parts.config.unnamed_age));
    let mut unnamed = Vec::new();
    for path in list_written_before(&parts.blobs, before_ms).await? {
        if !parts.manifest.names_object(&path).await? {
            unnamed.push(path);
        }
    }
    let objects = unnamed.len() as u64;
    if objects == 0 {
        return Ok(0);
    }
    tracing::warn!(
        objects,
        folder,
        erased_after_days = parts.config.set_aside_for.as_secs() / 86_400,
        "setting aside files that catalog.sqlite does not name. Many of them mean that it is missing, or older than the \
         lake: then stop the service, restore the right catalog.sqlite, move what is in this folder of the data folder \
         back to where it was, and start again. A few are leftovers of a crash and need no care"
    );
    let blobs = Arc::clone(&parts.blobs);
    let rename = move |path: &String| blobs.rename(path, &format!("{folder}/{path}"));
    tokio::task::spawn_blocking(move || unnamed.iter().try_for_each(rename))
        .await
        .fault("waiting for objects to be set aside")??;
    Ok(objects)
}

/// Erases what was set aside long enough ago. Answers how many objects.
///
/// # Errors
/// `internal`; the next search goes on.
pub(super) async fn erase_set_aside(parts: &SweepParts) -> Result<u64, Fault> {
    let (blobs, config, now_ms) = (Arc::clone(&parts.blobs), Arc::clone(&parts.config), parts.clock.now_ms());
    let erasing = tokio::task::spawn_blocking(move || {
        let mut erased = 0;
        for object in blobs.list(SET_ASIDE)? {
            if is_due(&object.path, &config, now_ms) {
                blobs.delete(&object.path)?;
                erased += 1;
            }
        }
        Ok::<u64, Fault>(erased)
    });
    let erased = erasing.await.fault("waiting for objects set aside to be erased")??;
    if erased > 0 {
        tracing::info!(objects = erased, "erased files that were set aside and that nobody wanted back");
    }
    Ok(erased)
}

async fn list_written_before(blobs: &Arc<dyn Blobs>, before_ms: i64) -> Result<Vec<String>, Fault> {
    let blobs = Arc::clone(blobs);
    tokio::task::spawn_blocking(move || {
        let mut old = Vec::new();
        for folder in NAMED {
            let listed = blobs.list(folder)?.into_iter();
            old.extend(listed.filter(|object| object.written_at_ms < before_ms).map(|object| object.path));
        }
        Ok(old)
    })
    .await
    .fault("waiting for a listing of objects")?
}

/// The whole day of the move counts as its moment, so that nothing is erased early. What is not of the layout was put
/// there by somebody else and stays.
fn is_due(path: &str, config: &StoreConfig, now_ms: i64) -> bool {
    let mut segments = path.split('/').skip(1);
    let Some(day) = segments.next().and_then(|name| name.parse::<Date>().ok()) else { return false };
    let Ok(midnight) = day.to_zoned(TimeZone::UTC) else { return false };
    let end_ms = midnight.timestamp().as_millisecond().saturating_add(DAY_MS);
    segments.next().is_some() && end_ms.saturating_add(millis(config.set_aside_for)) <= now_ms
}

fn utc_date(ms: i64) -> Result<Date, Fault> {
    let moment = Timestamp::from_millisecond(ms).fault("telling the date")?;
    Ok(moment.to_zoned(TimeZone::UTC).date())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lay_aside_for_seven_whole_days_is_due() {
        let config = StoreConfig::default();
        let noon_ms = |date: &str| format!("{date}T12:00:00Z").parse::<Timestamp>().unwrap().as_millisecond();
        let table = [
            ("set-aside/2026-03-01/lake/a.parquet", "2026-03-08", false),
            ("set-aside/2026-03-01/lake/a.parquet", "2026-03-09", true),
            ("set-aside/2026-03-02/lake/a.parquet", "2026-03-09", false),
            ("set-aside/keep-these/lake/a.parquet", "2036-01-01", false),
            ("set-aside/2026-03-01", "2036-01-01", false),
        ];
        for (path, today, due) in table {
            assert_eq!(is_due(path, &config, noon_ms(today)), due, "{path} on {today}");
        }
    }
}
