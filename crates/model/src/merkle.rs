//! Merkle trees over records (RFC 6962 section 2.1, `natalia.md` section 11), grown leaf by leaf.
//!
//! Which bytes a record has, and in which order records come, is decided by who grows a tree.

use sha2::{Digest, Sha256};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

const LEAF: u8 = 0;
const NODE: u8 = 1;

/// The hash of a leaf: of one record's bytes.
pub fn leaf(record: &[u8]) -> Hash {
    let mut digest = Sha256::new();
    digest.update([LEAF]);
    digest.update(record);
    digest.finalize().into()
}

fn node(left: &Hash, right: &Hash) -> Hash {
    let mut digest = Sha256::new();
    digest.update([NODE]);
    digest.update(left);
    digest.update(right);
    digest.finalize().into()
}

/// A tree that grows at its right end. Holds one hash per level, however many leaves there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MerkleTree {
    leaves: u64,
    /// Roots of the perfect subtrees that the leaves make, the largest first: one per set bit of `leaves`.
    roots: Vec<Hash>,
}

impl MerkleTree {
    /// A tree without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a leaf, given its hash as [`leaf`] makes it.
    pub fn push(&mut self, leaf: Hash) {
        let mut root = leaf;
        let mut smaller = self.leaves;
        // Like a carry in binary addition: every perfect subtree of the same size on the left joins.
        while smaller & 1 == 1 {
            let left = self.roots.pop().expect("there is a root per set bit");
            root = node(&left, &root);
            smaller >>= 1;
        }
        self.roots.push(root);
        self.leaves += 1;
    }

    /// The tree of that many leaves whose [`MerkleTree::edge`] this is; none when it is of another number of leaves.
    pub fn from_edge(leaves: u64, edge: Vec<Hash>) -> Option<Self> {
        (edge.len() == leaves.count_ones() as usize).then_some(Self { leaves, roots: edge })
    }

    /// What must be known beside the number of leaves to let the tree grow on: the roots of its perfect subtrees, the
    /// largest first.
    pub fn edge(&self) -> &[Hash] {
        &self.roots
    }

    /// How many leaves it has.
    pub fn leaves(&self) -> u64 {
        self.leaves
    }

    /// The root; of a tree without leaves the hash of nothing.
    pub fn root(&self) -> Hash {
        let mut roots = self.roots.iter().rev();
        let Some(last) = roots.next() else { return Sha256::digest([]).into() };
        roots.fold(*last, |right, left| node(left, &right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root_of(records: &[&[u8]]) -> String {
        let mut tree = MerkleTree::new();
        records.iter().for_each(|record| tree.push(leaf(record)));
        assert_eq!(tree.leaves(), records.len() as u64);
        hex::encode(tree.root())
    }

    /// RFC 6962 section 2.1, written as it stands there.
    fn defined(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Sha256::digest([]).into(),
            [only] => *only,
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                node(&defined(&leaves[..split]), &defined(&leaves[split..]))
            }
        }
    }

    #[test]
    fn the_vector_of_the_contract() {
        let records: [&[u8]; 3] = [
            br#"{"direction":"inbound","duration_s":61,"id":"5f0c1f0e-7c54-4a3e-9a53-0f6a1b2c3d01","pbx_alias":"paris-1","start_at":"2026-01-05T09:00:00.000Z"}"#,
            br#"{"direction":"outbound","duration_s":0,"id":"5f0c1f0e-7c54-4a3e-9a53-0f6a1b2c3d02","pbx_alias":"paris-1","start_at":"2026-01-05T09:05:00.000Z"}"#,
            br#"{"direction":"internal","duration_s":7,"id":"5f0c1f0e-7c54-4a3e-9a53-0f6a1b2c3d03","pbx_alias":"lyon","start_at":"2026-01-05T09:06:30.250Z"}"#,
        ];
        assert_eq!(root_of(&records), "deb52f61163560f809040b2490abaa7d5e4db28d6d41a95610d58395937909f6");
        let nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(root_of(&[]), nothing);
    }

    #[test]
    fn a_tree_grows_on_from_its_edge() {
        let mut tree = MerkleTree::new();
        for at in 0..70u8 {
            tree = MerkleTree::from_edge(tree.leaves(), tree.edge().to_vec()).unwrap();
            tree.push(leaf(&[at]));
        }
        let leaves: Vec<Hash> = (0..70u8).map(|at| leaf(&[at])).collect();
        assert_eq!((tree.leaves(), tree.root()), (70, defined(&leaves)));
        assert_eq!(MerkleTree::from_edge(71, tree.edge().to_vec()), None);
        assert_eq!(MerkleTree::from_edge(70, tree.edge()[1..].to_vec()), None);
    }

    #[test]
    fn grown_trees_are_the_defined_ones() {
        let leaves: Vec<Hash> = (0..200u8).map(|at| leaf(&[at])).collect();
        let mut tree = MerkleTree::new();
        for (count, next) in leaves.iter().enumerate() {
            assert_eq!(tree.root(), defined(&leaves[..count]), "{count} leaves");
            tree.push(*next);
        }
    }
}
