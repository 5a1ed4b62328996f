//! Query parameters of every answer that shows exports: which attributes it has, and that nothing is included (`didww.md`
//! section 4.2).

use super::errors::{self, Broken};
use super::schema::{ATTRIBUTES, TYPE};
use crate::query::Parameters;
use crate::refusal::Refusal;

/// Names and values of a query, decoded. Of a name that comes again the last value counts.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Decodes a query.
    ///
    /// # Errors
    /// `invalid` when it is no text.
    pub(super) fn read(query: Option<&str>) -> Result<Self, Refusal> {
        let parameters = Parameters::parse(query);
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, value) in parameters.pairs() {
            match pairs.iter_mut().find(|(known, _)| known == name) {
                Some((_, earlier)) => value.clone_into(earlier),
                None => pairs.push((name.clone(), value.clone())),
            }
        }
        parameters.finish()?;
        Ok(Self(pairs))
    }

    /// The value of a name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// What stands in brackets behind this name, with the values.
    pub(super) fn family<'q>(&'q self, name: &'static str) -> impl Iterator<Item = (&'q str, &'q str)> {
        self.0.iter().filter_map(move |(given, value)| {
            let key = given.strip_prefix(name)?.strip_prefix('[')?.strip_suffix(']')?;
            Some((key, value.as_str()))
        })
    }
}

/// The parts of a list that is parted by commas; empty ones are nothing.
pub(super) fn parts(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').filter(|part| !part.is_empty())
}

/// The attributes that are shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Fields(Option<Vec<&'static str>>);

impl Fields {
    /// Is this attribute shown?
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|shown| shown.contains(&name))
    }

    /// What a query asks for. What is wrong with it, or asks for more than there is, is added to `broken`.
    pub(super) fn of(query: &Query, broken: &mut Vec<Broken>) -> Self {
        let mut shown = None;
        for (kind, list) in query.family("fields") {
            if kind != TYPE {
                broken.push(Broken::invalid_resource(kind));
                continue;
            }
            let names = shown.get_or_insert_with(Vec::new);
            for name in parts(list) {
                match ATTRIBUTES.into_iter().find(|known| *known == name) {
                    Some(known) => names.push(known),
                    // These stay anyway.
                    None if matches!(name, "id" | "type") => {}
                    None => broken.push(Broken::invalid_field(name)),
                }
            }
        }
        broken.extend(parts(query.get("include").unwrap_or("")).map(Broken::invalid_include));
        Self(shown)
    }

    /// What the query of an answer with one export asks for.
    ///
    /// # Errors
    /// 400, naming everything that is wrong.
    pub(super) fn of_one(query: Option<&str>) -> Result<Self, Refusal> {
        let mut broken = Vec::new();
        let fields = Self::of(&Query::read(query)?, &mut broken);
        errors::all_right(&broken)?;
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_known_attributes() {
        let shown = |query| {
            let fields = Fields::of_one(Some(query)).ok()?;
            Some(ATTRIBUTES.into_iter().filter(|name| fields.has(name)).collect::<Vec<_>>().join(" "))
        };
        let all = ATTRIBUTES.join(" ");
        for (query, wanted) in [
            ("", Some(all.as_str())),
            ("fields[exports]=url,status", Some("status url")),
            ("fields%5Bexports%5D=url", Some("url")),
            ("fields[exports]=id,type,url", Some("url")),
            ("fields[exports]=", Some("")),
            ("fields[exports]=url&fields[exports]=status", Some("status")),
            ("fields=url&filter[x]=1&sort=x&page[size]=0&include=", Some(all.as_str())),
            ("fields[exports]=urls", None),
            ("fields[exports]=URL", None),
            ("fields[orders]=id", None),
            ("include=calls", None),
        ] {
            assert_eq!(shown(query).as_deref(), wanted, "{query}");
        }
    }
}
