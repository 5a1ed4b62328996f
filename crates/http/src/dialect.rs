//! Which dialect a path belongs to; said here and nowhere else. What each dialect answers is in `dialects`.

/// In whose words a request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Our own, and everything that is of no dialect.
    Native,
    /// `/v3`.
    Didww,
    /// `/exports-api`.
    Omilia,
    /// `/auth/realms`: where clients of the Omilia dialect log in. Its errors are those of OAuth 2.0.
    Realms,
}

impl Dialect {
    /// The dialect of a path.
    pub(crate) fn of(path: &str) -> Self {
        let is_below =
            |base| path.strip_prefix(base).is_some_and(|rest: &str| rest.is_empty() || rest.starts_with('/'));
        if is_below("/v3") {
            Self::Didww
        } else if is_below("/exports-api") {
            Self::Omilia
        } else if is_below("/auth/realms") {
            Self::Realms
        } else {
            Self::Native
        }
    }

    /// Its name in logs and metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Didww => "didww",
            Self::Omilia => "omilia",
            Self::Realms => "realms",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_belong_to_dialects() {
        for (path, dialect) in [
            ("/v3", Dialect::Didww),
            ("/v3/exports", Dialect::Didww),
            ("/v30", Dialect::Native),
            ("/api/v1/v3", Dialect::Native),
            ("/exports-api/v1/groups/g/jobs", Dialect::Omilia),
            ("/exports-apis", Dialect::Native),
            ("/auth/realms/master/protocol/openid-connect/token", Dialect::Realms),
            ("/auth", Dialect::Native),
            ("/", Dialect::Native),
        ] {
            assert_eq!(Dialect::of(path), dialect, "{path}");
        }
    }
}
