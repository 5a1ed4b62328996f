//! Paths of exports and of their files (`didww.md` sections 4 and 8): the one place that knows how they are spelt.
//!
//! Whether there is anything at a path is not known here.

use uuid::Uuid;

/// What comes before the id of an export, or before the name of its file.
pub(super) const EXPORTS: &str = "/v3/exports/";
const SUFFIX: &str = ".csv.gz";
/// Clients must not build addresses of files from ids of exports, so the two differ: in these bits. They make of an id of
/// version 7 a name that looks like any other UUID, of version 4.
const DIFFERENCE: u128 = 0x5d1c_83a7_40be_3e96_0b7f_c24d_98e1_6a35;

/// The address of an export's file, below this base.
pub(super) fn file_url(base: &str, export: Uuid) -> String {
    format!("{base}{EXPORTS}{}", file_name(export))
}

/// The name of an export's file.
pub(super) fn file_name(export: Uuid) -> String {
    format!("{}{SUFFIX}", masked(export))
}

/// From an id to the name of its file, and back.
fn masked(id: Uuid) -> Uuid {
    Uuid::from_u128(id.as_u128() ^ DIFFERENCE)
}

/// Is this the path of a file, be there one or not?
pub(super) fn is_file(path: &str) -> bool {
    path.strip_prefix(EXPORTS).is_some_and(|name| !name.contains('/') && name.ends_with(SUFFIX))
}

/// The export whose file is at that path, in the one spelling that it has.
pub(super) fn export_of_file(path: &str) -> Option<Uuid> {
    let given = path.strip_prefix(EXPORTS)?;
    let export = masked(Uuid::parse_str(given.strip_suffix(SUFFIX)?).ok()?);
    (file_name(export) == given).then_some(export)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_not_called_like_its_export() {
        let export = Uuid::parse_str("01a3b5c1-7a3f-7b54-9a55-3f1f0a7f5f01").unwrap();
        let path = file_url("", export);
        assert!(!path.contains(&export.to_string()));
        assert_eq!(masked(export).get_version_num(), 4);
        assert_eq!(masked(export).get_variant(), uuid::Variant::RFC4122);
        assert!(is_file(&path));
        assert_eq!(export_of_file(&path), Some(export));
        assert_eq!(file_url("https://x", export), format!("https://x{path}"));
    }

    #[test]
    fn a_file_has_one_path() {
        let good = file_url("", Uuid::from_u128(7));
        assert_eq!(export_of_file(&good), Some(Uuid::from_u128(7)));
        for wrong in [
            good.to_uppercase(),
            good.replace("/v3", "/v4"),
            good.replace('-', ""),
            good.replace(".csv.gz", ".csv"),
            good.replace(".csv.gz", ".csv.gz/"),
            format!("{EXPORTS}.csv.gz"),
            format!("{EXPORTS}x.csv.gz"),
        ] {
            assert_eq!(export_of_file(&wrong), None, "{wrong}");
        }
        assert!(is_file("/v3/exports/x.csv.gz"), "though there is nothing");
        for other in ["/v3/exports/x", "/v3/exports/x/y.csv.gz", "/v3/x.csv.gz", "/v3/exports"] {
            assert!(!is_file(other), "{other}");
        }
    }
}
