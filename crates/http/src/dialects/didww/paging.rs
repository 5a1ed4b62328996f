//! Pages of a list and the links between them (`didww.md` section 4.2).

use super::errors::Broken;
use super::fields::Query;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

const USUAL_SIZE: usize = 50;
const MOST_SIZE: usize = 1000;

/// A page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    /// From 1.
    number: usize,
    /// Exports of a full one.
    size: usize,
}

impl Page {
    /// The page that a query asks for. What is wrong with it is added to `broken`.
    pub(super) fn of(query: &Query, broken: &mut Vec<Broken>) -> Self {
        let mut page = Self { number: 1, size: USUAL_SIZE };
        for (key, value) in query.family("page") {
            let number = whole_number(value);
            match (key, number) {
                ("number", Some(number)) => page.number = number,
                ("size", Some(size)) if size > MOST_SIZE => broken.push(Broken::page_too_large(MOST_SIZE)),
                ("size", Some(size)) => page.size = size,
                ("number" | "size", None) => broken.push(Broken::invalid_page_value(value, key)),
                _ => broken.push(Broken::page_parameter_not_allowed(key)),
            }
        }
        page
    }

    /// What of a list is on it.
    pub(super) fn of_list<'l, T>(&self, list: &'l [T]) -> &'l [T] {
        let start = (self.number - 1).saturating_mul(self.size).min(list.len());
        let end = start.saturating_add(self.size).min(list.len());
        &list[start..end]
    }

    /// The links of this page of a list of so many, whose address is `list` and which was asked for by that query.
    pub(super) fn links(&self, list: &str, query: Option<&str>, total: usize) -> Map<String, Value> {
        let last = total.div_ceil(self.size).max(1);
        let front: String = query.unwrap_or("").split('&').filter_map(kept).collect();
        let link =
            |number: usize| format!("{list}?{front}page%5Bnumber%5D={number}&page%5Bsize%5D={}", self.size);
        let before = (self.number > 1).then(|| (self.number - 1).min(last));
        let behind = (self.number < last).then(|| self.number + 1);
        let named = [("first", Some(1)), ("prev", before), ("next", behind), ("last", Some(last))];
        named.into_iter().filter_map(|(name, to)| Some((name.to_owned(), link(to?).into()))).collect()
    }
}

/// A parameter as links repeat it, with escaped brackets; none when links have their own instead.
fn kept(piece: &str) -> Option<String> {
    let name = piece.split('=').next().unwrap_or("");
    let is_of_page = percent_decode_str(name).decode_utf8_lossy().starts_with("page[");
    (!piece.is_empty() && !is_of_page).then(|| format!("{}&", piece.replace('[', "%5B").replace(']', "%5D")))
}

/// A number from 1; one that is too large to be counted is the largest.
fn whole_number(text: &str) -> Option<usize> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = is_number.then(|| text.parse().unwrap_or(usize::MAX))?;
    (number > 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> Option<Page> {
        let mut broken = Vec::new();
        let page = Page::of(&Query::read(Some(query)).ok()?, &mut broken);
        broken.is_empty().then_some(page)
    }

    #[test]
    fn pages_have_a_number_and_a_size() {
        for (query, wanted) in [
            ("", Some((1, 50))),
            ("page[number]=2&page%5Bsize%5D=1000", Some((2, 1000))),
            ("page[number]=99999999999999999999", Some((usize::MAX, 50))),
            ("page=7&pages[number]=0", Some((1, 50))),
            ("page[number]=0", None),
            ("page[number]=-1", None),
            ("page[number]=1.5", None),
            ("page[number]=", None),
            ("page[size]=0", None),
            ("page[size]=1001", None),
            ("page[size]=99999999999999999999", None),
            ("page[size]=ten", None),
            ("page[offset]=1", None),
            ("page[]=1", None),
        ] {
            assert_eq!(page(query), wanted.map(|(number, size)| Page { number, size }), "{query}");
        }
    }

    #[test]
    fn a_page_is_its_part_of_the_list() {
        let list = [1, 2, 3];
        for (number, size, wanted) in
            [(1, 2, &[1, 2][..]), (2, 2, &[3]), (3, 2, &[]), (usize::MAX, usize::MAX, &[]), (1, 50, &list)]
        {
            assert_eq!(Page { number, size }.of_list(&list), wanted, "{number} {size}");
        }
    }

    #[test]
    fn links_lead_to_pages_that_there_are() {
        let at = |number: usize| format!("l?page%5Bnumber%5D={number}&page%5Bsize%5D=50");
        for (number, total, wanted) in [
            (1, 0, &[("first", 1), ("last", 1)][..]),
            (1, 50, &[("first", 1), ("last", 1)]),
            (1, 51, &[("first", 1), ("next", 2), ("last", 2)]),
            (2, 120, &[("first", 1), ("prev", 1), ("next", 3), ("last", 3)]),
            (3, 120, &[("first", 1), ("prev", 2), ("last", 3)]),
            (9, 120, &[("first", 1), ("prev", 3), ("last", 3)]),
            (2, 0, &[("first", 1), ("prev", 1), ("last", 1)]),
        ] {
            let links = Page { number, size: 50 }.links("l", None, total);
            let links: Vec<_> =
                links.iter().map(|(name, link)| (name.as_str(), link.as_str().unwrap())).collect();
            let texts: Vec<_> = wanted.iter().map(|(name, to)| (*name, at(*to))).collect();
            let wanted: Vec<_> = texts.iter().map(|(name, link)| (*name, link.as_str())).collect();
            assert_eq!(links, wanted, "{number} of {total}");
        }
    }

    #[test]
    fn links_repeat_the_other_parameters_in_front() {
        let query =
            "page[size]=7&filter[status]=completed&&sort=-created_at&page%5Bnumber%5D=1&a+b=%5B%C3%A4";
        let links = Page { number: 1, size: 7 }.links("https://x/v3/exports", Some(query), 1);
        let wanted = "https://x/v3/exports?filter%5Bstatus%5D=completed&sort=-created_at&a+b=%5B%C3%A4\
                      &page%5Bnumber%5D=1&page%5Bsize%5D=7";
        assert_eq!(links["first"], wanted);
    }
}
