//! The text of a signed link: how it is read back, and what of it is signed (`natalia.md` section 8).
//!
//! A link is judged as the text that came in: there is one spelling of each, and any other is another link, which
//! nobody signed. Which keys there are is told in [`keys`](super::keys).

use uuid::Uuid;

/// What paths of files begin with.
pub(super) const ROOT: &str = "/dl/v1/";

/// A link as it came in the request line: raw texts, nothing decoded.
#[derive(Debug, Clone, Copy)]
pub struct LinkText<'a> {
    /// The path, without the query.
    pub path: &'a str,
    /// The value of `exp`: until when it is good, in seconds since 1970-01-01T00:00:00Z.
    pub exp: &'a str,
    /// The value of `kid`: the key that signed it.
    pub kid: &'a str,
    /// The value of `sig`.
    pub sig: &'a str,
}

impl LinkText<'_> {
    /// When it ends, in seconds; none when the text is not the one spelling of a number.
    pub(super) fn ends_at_s(&self) -> Option<i64> {
        let seconds: i64 = self.exp.parse().ok()?;
        (seconds.to_string() == self.exp && seconds >= 0).then_some(seconds)
    }

    /// The job and the name of its file; none when the path is not the one spelling of such.
    pub(super) fn target(&self) -> Option<(Uuid, &str)> {
        let (job, file) = self.path.strip_prefix(ROOT)?.split_once('/')?;
        let id = Uuid::parse_str(job).ok()?;
        (id.to_string() == job && !file.is_empty()).then_some((id, file))
    }
}

/// What is signed of a link.
pub(super) fn signed_text(path: &str, exp: &str, kid: &str) -> String {
    format!("tollbook-dl-v1\nGET\n{path}\n{exp}\n{kid}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link<'a>(path: &'a str, exp: &'a str) -> LinkText<'a> {
        LinkText { path, exp, kid: "k1", sig: "" }
    }

    #[test]
    fn times_have_one_spelling() {
        for (exp, seconds) in [
            ("0", Some(0)),
            ("1768219300", Some(1_768_219_300)),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("01", None),
            ("+1", None),
            ("-1", None),
            ("1.0", None),
            (" 1", None),
            ("1e3", None),
            ("", None),
            ("١", None),
        ] {
            assert_eq!(link("/", exp).ends_at_s(), seconds, "{exp:?}");
        }
    }

    #[test]
    fn paths_have_one_spelling() {
        let id = "0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01";
        let path = format!("/dl/v1/{id}/cdr.csv");
        assert_eq!(link(&path, "0").target(), Some((Uuid::parse_str(id).expect("an id"), "cdr.csv")));
        for wrong in [
            format!("/dl/v1/{}/cdr.csv", id.to_uppercase()),
            format!("/dl/v1/{}/cdr.csv", id.replace('-', "")),
            format!("/dl/v1/{{{id}}}/cdr.csv"),
            format!("/dl/v1/{id}"),
            format!("/dl/v1/{id}/"),
            format!("dl/v1/{id}/cdr.csv"),
            format!("/dl/v2/{id}/cdr.csv"),
            String::from("/dl/v1//cdr.csv"),
        ] {
            assert_eq!(link(&wrong, "0").target(), None, "{wrong}");
        }
    }
}
