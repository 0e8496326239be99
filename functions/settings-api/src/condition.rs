//! Under which conditions a change is made: `If-Match` against lost updates, `Idempotency-Key` against doubled ones.

use aws::StageStack;
use http::{HeaderMap, HeaderName, header};
use sha2::{Digest, Sha256};

use crate::{Call, SettingsApi, fields::Body, problem::Problem};

/// The shortest key, in characters: one that can be guessed would show what a body may be.
const KEY_MIN: usize = 16;
/// The longest key, in characters.
const KEY_MAX: usize = 128;

/// What a request says about when it shall be done.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    /// One of these tags must be the current one.
    if_match: Option<Vec<String>>,
    /// CloudFormation's token of what the request begins, from its key and its body.
    token: Option<KeyedToken>,
}

/// A token in two halves: one of the key alone, one of the key and the body.
#[derive(Debug, Clone, PartialEq, Eq)]
struct KeyedToken {
    key: String,
    body: String,
}

impl KeyedToken {
    fn new(key: &str, method_and_path: &str, body: &Body) -> Self {
        // The key is part of the body's half too: CloudFormation shows tokens, and a body may hold a password.
        let text = [key.as_bytes(), &[0], method_and_path.as_bytes()];
        Self { key: hash(&text), body: hash(&[&text[..], &[&[0], body.bytes()]].concat()) }
    }

    fn token(&self) -> String {
        format!("key-{}-{}", self.key, self.body)
    }
}

impl Conditions {
    pub(crate) fn from_request(
        headers: &HeaderMap,
        method_and_path: &str,
        body: &Body,
    ) -> Result<Self, Problem> {
        let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
        let token = match text(HeaderName::from_static("idempotency-key")) {
            None => None,
            Some(key) => {
                let key = key.trim_matches('"');
                let is_key =
                    (KEY_MIN..=KEY_MAX).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
                if !is_key {
                    return Err(Problem::header(format!(
                        "The header Idempotency-Key has {KEY_MIN} to {KEY_MAX} printable ASCII characters, such as a UUID."
                    )));
                }
                Some(KeyedToken::new(key, method_and_path, body))
            }
        };
        let if_match = text(header::IF_MATCH).map(entity_tags).transpose()?;
        Ok(Self { if_match, token })
    }

    /// CloudFormation's token, if the request has a key.
    pub(crate) fn token(&self) -> Option<String> {
        self.token.as_ref().map(KeyedToken::token)
    }
}

/// The tags in an `If-Match` (RFC 9110), each with its quotes and without its mark as a weak one.
fn entity_tags(header: &str) -> Result<Vec<String>, Problem> {
    let is_tag = |tag: &str| {
        let inner = tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        tag == "*" || inner.is_some_and(|inner| inner.bytes().all(|b| b.is_ascii_graphic() && b != b'"'))
    };
    let tags = header.split(',').map(|tag| tag.trim().trim_start_matches("W/"));
    let tags: Vec<_> = tags.map(str::to_owned).collect();
    if tags.iter().all(|tag| is_tag(tag)) {
        return Ok(tags);
    }
    let detail = "The header If-Match has the ETag that GET …/database gave, with its quotes, or *.";
    Err(Problem::header(detail))
}

/// The `ETag` of a stage's settings: another one after each operation of its stack.
pub(crate) fn etag(stack: &StageStack) -> String {
    let parameters =
        stack.parameters.iter().flat_map(|(name, value)| [name.as_bytes(), &[0], value.as_bytes(), &[0]]);
    let parts: Vec<&[u8]> =
        [stack.id.as_bytes(), &[0], stack.operation.as_bytes(), &[0]].into_iter().chain(parameters).collect();
    format!("\"{}\"", hash(&parts))
}

impl Conditions {
    /// Whether the request is for settings that somebody has read.
    pub(crate) fn expects_something(&self) -> bool {
        self.if_match.is_some()
    }
}

impl SettingsApi {
    /// Refuses a change whose condition does not hold. `true`: this very request has begun its change before.
    pub(crate) async fn was_done(&self, stack: &StageStack, call: &Call) -> Result<bool, Problem> {
        if self.has_begun(stack, call).await? {
            return Ok(true);
        }
        if let Some(wanted) = &call.conditions.if_match {
            let current = etag(stack);
            if !wanted.iter().any(|tag| tag == "*" || *tag == current) {
                return Err(Problem::changed_meanwhile());
            }
        }
        Ok(false)
    }

    /// Whether an operation of the stack was begun with the request's key.
    pub(crate) async fn has_begun(&self, stack: &StageStack, call: &Call) -> Result<bool, Problem> {
        let Some(wanted) = &call.conditions.token else { return Ok(false) };
        let (exact, of_key) = (wanted.token(), format!("key-{}-", wanted.key));
        let events = self.stacks.events(&stack.id, None).await?;
        let mut tokens = events.iter().filter_map(|event| event.token.as_deref());
        match tokens.find(|token| token.starts_with(&of_key)) {
            None => Ok(false),
            Some(token) if token == exact => Ok(true),
            Some(_) => Err(Problem::reused_key()),
        }
    }
}

/// The first half of a SHA-256, as hexadecimal text: 32 characters.
pub(crate) fn hash(parts: &[&[u8]]) -> String {
    let hash = parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part)).finalize();
    hash.iter().take(16).fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
