//! Phone numbers in filters: from any spelling to the forms that stored records are compared with.

use tollbook_model::privacy::{PseudonymKey, is_pseudonym, normal_form};
use tollbook_model::selection::Filter;

/// Replaces the values of number filters by their normal forms. A caller's number also stands for the pseudonyms that
/// it has under every key of the tenant, since old records keep theirs.
pub(super) fn normalise(filters: &mut [Filter], keys: &[PseudonymKey]) {
    for filter in filters.iter_mut().filter(|filter| filter.field.is_number()) {
        let mut values = Vec::with_capacity(filter.values.len());
        for value in &filter.values {
            if filter.field.may_be_pseudonym() {
                if is_pseudonym(value) {
                    values.push(value.clone());
                    continue;
                }
                values.extend(keys.iter().map(|key| key.pseudonym(value)));
            }
            values.push(normal_form(value).into_owned());
        }
        values.sort_unstable();
        values.dedup();
        filter.values = values;
    }
}

/// Replaces callers' numbers by the pseudonyms that they have under the keys of the tenant.
pub(super) fn hide_callers(filters: &mut [Filter], keys: &[PseudonymKey]) {
    for filter in filters.iter_mut().filter(|filter| filter.field.may_be_pseudonym()) {
        let pseudonyms = |value: String| {
            if is_pseudonym(&value) {
                return vec![value];
            }
            keys.iter().map(|key| key.pseudonym(&value)).collect()
        };
        let mut hidden: Vec<String> = Vec::new();
        for pseudonym in std::mem::take(&mut filter.values).into_iter().flat_map(pseudonyms) {
            // Spellings of one number have the same ones.
            if !hidden.contains(&pseudonym) {
                hidden.push(pseudonym);
            }
        }
        filter.values = hidden;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollbook_model::selection::FilterField;

    #[test]
    fn callers_are_hidden_under_every_key_once_and_others_stay() {
        let keys = [PseudonymKey::new(1, [1; 32]), PseudonymKey::new(2, [2; 32])];
        let known = keys[0].pseudonym("101");
        let written = vec!["+442071234567".into(), known.clone(), "00442071234567".into()];
        let filter = |field| Filter { field, values: written.clone() };
        let mut filters = [
            filter(FilterField::CallingParty),
            filter(FilterField::CalledParty),
            filter(FilterField::NumberSent),
        ];
        hide_callers(&mut filters, &keys);
        let [first, second] = keys.map(|key| key.pseudonym("442071234567"));
        assert_eq!(filters[0].values, [first, second, known]);
        assert_eq!(filters[1].values, written);
        assert_eq!(filters[2].values, filters[0].values);
    }

    #[test]
    fn callers_are_found_under_every_key_and_in_every_spelling() {
        let first: [u8; 32] = std::array::from_fn(|at| u8::try_from(at).unwrap());
        let keys = [PseudonymKey::new(1, first), PseudonymKey::new(2, [7; 32])];
        let written = vec!["+44 20 7123 4567".to_owned(), "0044 (20) 7123-4567".to_owned()];
        let filter = |field| Filter { field, values: written.clone() };
        let mut filters =
            [filter(FilterField::CallingParty), filter(FilterField::DidNumber), filter(FilterField::Trunk)];
        normalise(&mut filters, &keys);
        let of_second_key = keys[1].pseudonym("442071234567");
        assert_eq!(
            filters[0].values,
            ["442071234567", "p1_46811ad46a4377bb53aaa119788081bf", of_second_key.as_str()]
        );
        assert_eq!(filters[1].values, ["442071234567"]);
        assert_eq!(filters[2].values, written, "texts are compared as they are");
    }

    #[test]
    fn a_pseudonym_stands_for_itself() {
        let pseudonym = "p1_46811ad46a4377bb53aaa119788081bf".to_owned();
        let mut filters = [Filter { field: FilterField::CallingParty, values: vec![pseudonym.clone()] }];
        normalise(&mut filters, &[PseudonymKey::new(1, [0; 32])]);
        assert_eq!(filters[0].values, [pseudonym]);
    }
}
