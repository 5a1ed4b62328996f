//! The text of a signed link, as it stands in the request.
//!
//! A link has one spelling: nothing is decoded, and nothing may be added. Whether it is signed is `app`'s to say.

use http::Uri;
use tollbook_app::downloads::LinkText;
use tollbook_kit::fault::{Code, Fault};

/// The link that a request is made by.
///
/// # Errors
/// `forbidden` unless the query is made of `exp`, `kid` and `sig`, each once, in this order: that of the alphabet, so that
/// whoever sorts parameters on the way changes nothing.
pub(super) fn of(uri: &Uri) -> Result<LinkText<'_>, Fault> {
    let mut pieces = uri.query().unwrap_or("").split('&');
    let mut value = |name: &str| {
        let piece = pieces.next().and_then(|piece| piece.split_once('='));
        piece.filter(|(found, _)| *found == name).map(|(_, value)| value).ok_or_else(no_link)
    };
    let (exp, kid, sig) = (value("exp")?, value("kid")?, value("sig")?);
    if pieces.next().is_some() {
        return Err(no_link());
    }
    Ok(LinkText { path: uri.path(), exp, kid, sig })
}

fn no_link() -> Fault {
    let text =
        "this is no link that was made here, or it was changed on the way; read the export job for a new one";
    Fault::new(Code::Forbidden, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Option<String> {
        let uri: Uri = format!("/dl/v1/a/b%2Ecsv{query}").parse().unwrap();
        let LinkText { path, exp, kid, sig } = of(&uri).ok()?;
        Some(format!("{path} {exp} {kid} {sig}"))
    }

    #[test]
    fn the_text_is_kept_as_it_is() {
        assert_eq!(read("?exp=17&kid=k1&sig=ab-_").as_deref(), Some("/dl/v1/a/b%2Ecsv 17 k1 ab-_"));
        assert_eq!(read("?exp=%31&kid=&sig=a=+").as_deref(), Some("/dl/v1/a/b%2Ecsv %31  a=+"));
    }

    #[test]
    fn what_is_not_made_of_its_three_parameters_is_no_link() {
        for query in [
            "",
            "?",
            "?exp=1",
            "?exp=1&kid=k1",
            "?exp=1&kid=k1&sig",
            "?exp=1&kid=k1&sig=a&sig=a",
            "?exp=1&exp=1&kid=k1&sig=a",
            "?sig=a&exp=1&kid=k1",
            "?kid=k1&exp=1&sig=a",
            "?exp=1&sig=a&kid=k1",
            "?exp=1&kid=k1&sig=a&",
            "?&exp=1&kid=k1&sig=a",
            "?exp=1&&kid=k1&sig=a",
            "?exp=1&kid=k1&sig=a&x=1",
            "?exp=1;kid=k1;sig=a",
            "?EXP=1&kid=k1&sig=a",
            "?%65xp=1&kid=k1&sig=a",
            "??exp=1&kid=k1&sig=a",
        ] {
            assert_eq!(read(query), None, "{query}");
        }
    }
}
