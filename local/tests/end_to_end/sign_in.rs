//! Who can use the API.

use local::{LocalAws, Options};

#[test]
fn only_a_valid_access_token_of_the_user_pool_may_use_the_api() {
    let local = LocalAws::start(&Options::default()).unwrap();
    let status = |token: Option<&str>| local.api_as(token, "GET", "/api/stacks", None).unwrap().status;
    let token = local.token();
    let (head, signature) = token.rsplit_once('.').unwrap();
    let (header, payload) = head.split_once('.').unwrap();
    let mut other_signature: Vec<char> = signature.chars().collect();
    other_signature[10] = if other_signature[10] == 'A' { 'B' } else { 'A' };
    let other_signature: String = other_signature.iter().collect();

    assert_eq!(status(Some(token)), 200);
    assert_eq!(status(None), 401, "no token");
    assert_eq!(status(Some("")), 401, "an empty token");
    assert_eq!(status(Some("garbage")), 401, "not a JWT");
    assert_eq!(status(Some(&format!("{header}.{payload}.{other_signature}"))), 401, "a forged signature");
    assert_eq!(status(Some(&format!("{header}.{payload}."))), 401, "no signature");
    let expired = local.token_expiring_at(1_700_000_000).unwrap();
    assert_eq!(status(Some(&expired)), 401, "expired");
    let long_from_now = local.token_expiring_at(4_000_000_000).unwrap();
    assert_eq!(status(Some(&long_from_now)), 200, "the other token was refused because of its time only");
}
