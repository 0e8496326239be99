//! The conditions for a change: `If-Match` prevents lost updates, `Idempotency-Key` prevents duplicate ones.

use database::KEYED;
use http::{HeaderMap, HeaderName, header};

use super::Body;
use crate::{hash::hash, response::Problem};

/// The shortest key, in characters. A key that can be guessed would help to guess the body.
const KEY_MIN: usize = 16;
/// The longest key, in characters.
const KEY_MAX: usize = 128;

/// The conditions of a request.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    /// One of these tags must be the current one.
    if_match: Option<Vec<String>>,
    /// The CloudFormation token for what the request starts, from its key and its body.
    token: Option<KeyedToken>,
}

/// A token in two halves: one from the key alone, one from the key and the body.
#[derive(Debug, Clone, PartialEq, Eq)]
struct KeyedToken {
    key: String,
    body: String,
}

impl KeyedToken {
    fn new(key: &str, method_and_path: &str, body: &Body) -> Self {
        // The key is part of the body's half, too, because CloudFormation shows tokens, and a body may contain a
        // password.
        let text = [key.as_bytes(), &[0], method_and_path.as_bytes()];
        Self { key: hash(&text), body: hash(&[&text[..], &[&[0], body.bytes()]].concat()) }
    }

    fn token(&self) -> String {
        format!("{KEYED}{}-{}", self.key, self.body)
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
                        "Idempotency-Key must be {KEY_MIN} to {KEY_MAX} printable ASCII characters without spaces, such as a \
                         UUID."
                    )));
                }
                Some(KeyedToken::new(key, method_and_path, body))
            }
        };
        let if_match = text(header::IF_MATCH).map(entity_tags).transpose()?;
        Ok(Self { if_match, token })
    }

    /// Only this key. `method_and_path` says what it's for.
    pub(crate) fn with_key(key: &str, method_and_path: &str, body: &Body) -> Self {
        Self { if_match: None, token: Some(KeyedToken::new(key, method_and_path, body)) }
    }

    /// CloudFormation's token, if the request has a key.
    pub(crate) fn token(&self) -> Option<String> {
        self.token.as_ref().map(KeyedToken::token)
    }
}

/// The tags in an `If-Match` (RFC 9110), each with its quotes and without the prefix of a weak tag.
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
    let detail = "If-Match must be the ETag from GET …/database, with its quotes, or *.";
    Err(Problem::header(detail))
}

impl Conditions {
    /// Whether the request expects settings that were read before.
    pub(crate) fn expects_something(&self) -> bool {
        self.if_match.is_some()
    }

    /// Whether the request accepts settings with this tag.
    pub(crate) fn accept(&self, current: &str) -> bool {
        self.if_match.as_ref().is_none_or(|wanted| wanted.iter().any(|tag| tag == "*" || tag == current))
    }

    /// Whether one of these CloudFormation tokens shows that this same request has already started its change.
    pub(crate) fn has_begun<'a>(&self, mut tokens: impl Iterator<Item = &'a str>) -> Result<bool, Problem> {
        let Some(wanted) = &self.token else { return Ok(false) };
        let (exact, of_key) = (wanted.token(), format!("{KEYED}{}-", wanted.key));
        match tokens.find(|token| token.starts_with(&of_key)) {
            None => Ok(false),
            Some(token) if token == exact => Ok(true),
            Some(_) => Err(Problem::reused_key()),
        }
    }
}
