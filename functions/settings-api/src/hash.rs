//! Hashes for names and tokens that must be the same on every repeat.

use database::hex;
use sha2::{Digest, Sha256};

/// The first half of a SHA-256 as 32 hexadecimal characters.
pub(crate) fn hash(parts: &[&[u8]]) -> String {
    let hash = parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part)).finalize();
    let (half, _) = hash.split_at(hash.len() / 2);
    hex(half)
}
