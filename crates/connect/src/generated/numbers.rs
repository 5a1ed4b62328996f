//! The numbers of generated calls: made once, drawn many times. External ones are from ranges reserved for fiction.

use super::PBX;

pub(super) const EXTENSIONS_PER_PBX: usize = 300;
pub(super) const DIDS_PER_PBX: usize = 60;
/// External numbers.
pub(super) const EXTERNAL: usize = 200_000;

/// All numbers.
#[derive(Debug)]
pub(super) struct Numbers {
    extensions: Vec<String>,
    dids: Vec<String>,
    external: Vec<String>,
}

impl Numbers {
    pub(super) fn new() -> Self {
        let per_pbx = |count: usize| (0..PBX.len()).flat_map(move |pbx| (0..count).map(move |at| (pbx, at)));
        Self {
            extensions: per_pbx(EXTENSIONS_PER_PBX).map(|(pbx, at)| format!("{}{at:03}", pbx + 1)).collect(),
            dids: per_pbx(DIDS_PER_PBX)
                .map(|(pbx, at)| format!("+494066969{:03}", pbx * DIDS_PER_PBX + at))
                .collect(),
            external: (0..EXTERNAL).map(external).collect(),
        }
    }

    /// An extension of a PBX.
    pub(super) fn extension(&self, pbx: usize, at: usize) -> &str {
        &self.extensions[pbx * EXTENSIONS_PER_PBX + at]
    }

    /// A number of ours, reached from outside.
    pub(super) fn did(&self, pbx: usize, at: usize) -> &str {
        &self.dids[pbx * DIDS_PER_PBX + at]
    }

    /// A number of somebody else.
    pub(super) fn external(&self, at: usize) -> &str {
        &self.external[at]
    }
}

/// The ranges for fiction are small: Berlin and London hold a thousand numbers each, every North American area code
/// one hundred (555-0100 to 555-0199), of which there are enough.
fn external(at: usize) -> String {
    match at {
        0..1000 => format!("+493023125{at:03}"),
        1000..2000 => format!("+442079460{:03}", at - 1000),
        _ => {
            let (area, line) = ((at - 2000) / 100, (at - 2000) % 100);
            // Area codes begin with 2 to 9; beyond the 800 there are, the switch's 9 for an outside line is shown.
            let (prefix, area) = (area / 800, 200 + area % 800);
            let prefix = ["+1", "91", "0111"][prefix.min(2)];
            format!("{prefix}{area}55501{line:02}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn numbers_are_many_and_fictitious() {
        let numbers = Numbers::new();
        let external: HashSet<&String> = numbers.external.iter().collect();
        assert_eq!(external.len(), EXTERNAL);
        assert!(numbers.external.iter().all(|number| {
            number.starts_with("+493023125") || number.starts_with("+442079460") || number.contains("55501")
        }));
        let extensions: HashSet<&String> = numbers.extensions.iter().collect();
        assert_eq!(extensions.len(), 2400);
        assert!(numbers.dids.iter().all(|did| did.len() == "+494066969000".len()));
    }
}
