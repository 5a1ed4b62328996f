//! The exports of a demonstration: fetched into files, and their rows counted from what is in the files.

use crate::remote::Remote;
use bytes::Bytes;
use std::path::{Path, PathBuf};
use tollbook_columns::parquet_file::rows_in_file;
use tollbook_kit::fault::{Fault, ResultExt};

/// A file that was made.
pub(super) struct MadeExport {
    pub(super) file: PathBuf,
    pub(super) bytes: u64,
    pub(super) rows: u64,
}

/// Fetches the calls of a range as CSV and as Parquet into the folder `demo-exports`. Not into `exports`: there the service
/// keeps files of jobs, and sets aside what it does not know.
///
/// # Errors
/// What the service refuses; `internal` when a file cannot be written or read.
pub(super) async fn make(remote: &Remote, folder: &Path, range: &str) -> Result<Vec<MadeExport>, Fault> {
    let folder = folder.join("demo-exports");
    std::fs::create_dir_all(&folder).fault("making the folder of exports")?;
    let mut made = Vec::new();
    for format in ["csv", "parquet"] {
        let file = folder.join(format!("calls.{format}"));
        let mut into = tokio::fs::File::create(&file).await.fault("making an export's file")?;
        let bytes =
            remote.download(&format!("/api/v1/cdr/export?{range}&format={format}"), &mut into).await?;
        let content = std::fs::read(&file).fault("reading an export's file")?;
        let rows = if format == "csv" { csv_rows(&content) } else { rows_in_file(Bytes::from(content))? };
        made.push(MadeExport { file, bytes, rows });
    }
    Ok(made)
}

/// Rows behind the header: line ends outside of quotes, less one.
fn csv_rows(content: &[u8]) -> u64 {
    let (mut quoted, mut ends) = (false, 0u64);
    for byte in content {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => ends += 1,
            _ => {}
        }
    }
    ends.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_in_quotes_are_no_rows() {
        assert_eq!(csv_rows(b"a,b\n"), 0);
        assert_eq!(csv_rows(b"a,b\n1,\"x\ny\"\"\n\"\n2,3\n"), 2);
    }
}
