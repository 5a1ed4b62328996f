//! The signature of callbacks (`didww.md` section 7.3).

use super::callback_url::CallbackUrl;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

/// HMAC-SHA1, in lower-case hex, over the address that is called and our own parameters behind it, by name.
pub(super) fn of(key: &str, url: &CallbackUrl<'_>, parameters: &[(String, String)]) -> String {
    let mut sorted: Vec<&(String, String)> = parameters.iter().collect();
    sorted.sort();
    let mut mac = Hmac::<Sha1>::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(url.normalised().as_bytes());
    for (name, value) in sorted {
        mac.update(name.as_bytes());
        mac.update(value.as_bytes());
    }
    hex::encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: &str = "1dd7a68b-e235-402b-8912-fe73ee14243a";

    fn parameters(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn signed(key: &str, url: &str, pairs: &[(&str, &str)]) -> String {
        of(key, &CallbackUrl::parse(url).unwrap(), &parameters(pairs))
    }

    #[test]
    fn published_signatures_are_ours() {
        let a = [("type", "orders"), ("status", "completed"), ("id", ORDER)];
        let b = [("id", "bf2cee72-6caa-4ae2-917e-bea01945691e"), ("status", "completed"), ("type", "orders")];
        for (key, url, pairs, wanted) in [
            ("SOMEAPIKEY", "http://example.com/callbacks", a, "fe99e416c3547f2f59002403ec856ea386d05b2f"),
            (
                "szrdgh6547umt7tht7xbqhj6g9gdbyp7",
                "https://mycompany.com/didww_callbacks?opaque=123",
                b,
                "30f66e9d72eb5e193051fd02952f70d8e934b4ff",
            ),
            ("SOMEAPIKEY", "http://foo.com/bar", a, "4d1ce2be656d20d064183bec2ab98a2ff3981f73"),
            ("SOMEAPIKEY", "http://foo.com:80/bar", a, "4d1ce2be656d20d064183bec2ab98a2ff3981f73"),
            ("SOMEAPIKEY", "https://foo.com/bar", a, "f26a771c302319a7094accbe2989bad67fff2928"),
            ("SOMEAPIKEY", "https://foo.com:443/bar", a, "f26a771c302319a7094accbe2989bad67fff2928"),
            ("SOMEAPIKEY", "http://user:pass@foo.com/bar", a, "88615a11a78c021c1da2e1e0bfb8cc165170afc5"),
            ("SOMEAPIKEY", "http://foo.com/hello%20world", a, "eb64035b2e8f356ff1442898a39ec94d5c3e2fc8"),
        ] {
            assert_eq!(signed(key, url, &pairs), wanted, "{url}");
        }
    }

    #[test]
    fn exports_are_signed_with_parameters_in_the_address_and_behind_it() {
        let own = [
            ("id", "0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01"),
            ("status", "completed"),
            ("type", "exports"),
            ("url", "https://cdr.example.net/v3/exports/7d0c9b7a-1c1e-4d0b-8a55-0f2b9a6f1e22.csv.gz"),
        ];
        let (key, url) = ("cbsecret-one", "https://app.example.org/hook?tenant=7");
        assert_eq!(signed(key, url, &own), "58e72ff7c5a2f8b1bbda67ab5015466a1a68c0fb");
        let requested = CallbackUrl::parse(url).unwrap().with_parameters(&parameters(&own));
        let wanted = "https://app.example.org/hook?tenant=7&id=0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01\
                      &status=completed&type=exports&url=https%3A%2F%2Fcdr.example.net%2Fv3%2Fexports%2F\
                      7d0c9b7a-1c1e-4d0b-8a55-0f2b9a6f1e22.csv.gz";
        assert_eq!(requested, wanted);
        assert_eq!(signed(key, &requested, &own), "b655b7c13ead0ab2d0402daf75f642a38c8d728a");
    }
}
