//! Versions of the dialect (`didww.md` section 3): which one answers a request.

use http::{HeaderMap, HeaderName};

const HEADER: HeaderName = HeaderName::from_static("x-didww-api-version");

/// A version that is served; later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ApiVersion {
    V20260416,
    V20261119,
}

impl ApiVersion {
    /// The one that a request asks for by its header, of a key with this default. What is unknown or older than the
    /// default is as if it were not there.
    pub(super) fn of(headers: &HeaderMap, key_default: Option<&str>) -> Self {
        let key_default = key_default.and_then(Self::from_name).unwrap_or(Self::V20260416);
        let mut values = headers.get_all(&HEADER).iter();
        let only = values.next().filter(|_| values.next().is_none());
        let asked = only.and_then(|value| value.to_str().ok()).and_then(Self::from_name);
        asked.map_or(key_default, |asked| asked.max(key_default))
    }

    /// Its name in headers and documents.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::V20260416 => "2026-04-16",
            Self::V20261119 => "2026-11-19",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::V20260416, Self::V20261119].into_iter().find(|version| version.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn the_header_only_leads_upwards() {
        let (old, new) = ("2026-04-16", "2026-11-19");
        for (key_default, lines, served) in [
            (None, &[][..], old),
            (None, &[old], old),
            (None, &[new], new),
            (Some(new), &[], new),
            (Some(new), &[old], new),
            (Some(new), &[new], new),
            (Some(old), &[new], new),
            (Some("2031-01-01"), &[], old),
            (None, &["2022-05-10"], old),
            (Some(new), &["2022-05-10"], new),
            (None, &["latest"], old),
            (None, &[""], old),
            (None, &["2026-11-19 "], old),
            (None, &[new, new], old),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(HEADER, HeaderValue::from_static(line));
            }
            assert_eq!(ApiVersion::of(&headers, key_default).name(), served, "{key_default:?} {lines:?}");
        }
    }
}
