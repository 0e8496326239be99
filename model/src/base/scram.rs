//! Verifiers of passwords, as Postgres checks them (RFC 5802).

use std::{cell::RefCell, collections::BTreeMap};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

thread_local! {
    /// Each takes thousands of hashes.
    static KNOWN: RefCell<BTreeMap<(String, String), bool>> = const { RefCell::new(BTreeMap::new()) };
}

/// Whether a password belongs to a verifier such as `SCRAM-SHA-256$4096:salt$stored-key:server-key`.
pub(crate) fn accepts(verifier: &str, password: &str) -> bool {
    let key = (verifier.to_owned(), password.to_owned());
    if let Some(known) = KNOWN.with_borrow(|known| known.get(&key).copied()) {
        return known;
    }
    let accepted = stored_key(verifier, password) == verifier.split(['$', ':']).nth(3).map(str::to_owned);
    KNOWN.with_borrow_mut(|known| known.insert(key, accepted));
    accepted
}

fn stored_key(verifier: &str, password: &str) -> Option<String> {
    let mut parts = verifier.strip_prefix("SCRAM-SHA-256$")?.split(['$', ':']);
    let iterations: u32 = parts.next()?.parse().ok()?;
    let salt = STANDARD.decode(parts.next()?).ok()?;
    let mut block = hmac(password.as_bytes(), &[&salt, &[0, 0, 0, 1]]);
    let mut salted = block;
    for _ in 1..iterations {
        block = hmac(password.as_bytes(), &[&block]);
        salted.iter_mut().zip(block).for_each(|(sum, byte)| *sum ^= byte);
    }
    Some(STANDARD.encode(Sha256::digest(hmac(&salted, &[b"Client Key"]))))
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).expect("a key has any length");
    for part in parts {
        hmac.update(part);
    }
    hmac.finalize().into_bytes().into()
}
