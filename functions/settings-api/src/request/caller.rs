//! Who sent a request, from the access token that API Gateway has verified.

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use database::{Role, Roles, Who, groups_in};
use http::header;
use serde::Deserialize;
use serde_json::Value;

/// The user, with everything that the token and API Gateway say about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// For the history.
    pub(crate) who: Who,
    /// The name in the user pool. It isn't the email address.
    pub(crate) username: String,
    pub(crate) roles: Roles,
}

/// The claims that decide. A token that has one of them twice isn't read.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    #[serde(default)]
    jti: String,
    #[serde(default, rename = "cognito:groups")]
    groups: Value,
}

impl Caller {
    /// The caller of a request that has passed the authorizer. `without_group` is the role of everyone who can sign in.
    ///
    /// In doubt, the caller has no role.
    pub(crate) fn from_request(request: &ApiGatewayV2httpRequest, without_group: Option<Role>) -> Self {
        let context = &request.request_context;
        let jwt = context.authorizer.as_ref().and_then(|authorizer| authorizer.jwt.as_ref());
        let claim = |name: &str| jwt.and_then(|jwt| jwt.claims.get(name)).filter(|text| !text.is_empty());
        let Some(subject) = claim("sub") else {
            let who = Who { subject: "unknown".into(), email: None, address: None };
            return Self { who, username: String::new(), roles: Roles::default() };
        };
        let address = context.http.source_ip.as_deref().filter(|address| !address.is_empty());
        let token = request.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let groups = match token.and_then(claims_of) {
            // API Gateway writes a list as text that can't be told from other lists, so the token itself is better. It's
            // the one that was verified only if both agree.
            Some(claims) => {
                let is_verified = |claims: &Claims| {
                    claims.sub == *subject && claim("jti").is_some_and(|id| *id == claims.jti)
                };
                claims.ok().filter(is_verified).map(|claims| groups(&claims.groups)).unwrap_or_default()
            }
            None => claim("cognito:groups").map(|text| groups_in(text)).unwrap_or_default(),
        };
        Self {
            who: Who {
                subject: subject.as_str().into(),
                email: claim("email").map(|email| email.as_str().into()),
                address: address.map(Into::into),
            },
            username: claim("username").cloned().unwrap_or_default(),
            roles: Roles::of(groups.iter().map(String::as_str), without_group),
        }
    }
}

/// The claims of a token, if they can be read. `None` if it isn't a JSON Web Token.
fn claims_of(header: &str) -> Option<Result<Claims, serde_json::Error>> {
    let token = header.split_once(' ').map_or(header, |(_, token)| token).trim();
    if !token.contains('.') {
        return None;
    }
    // Anything but three parts without a space can't be the token that was verified.
    let parts: Vec<_> = token.split('.').collect();
    let payload = match parts.as_slice() {
        [_, payload, _] if !token.contains(char::is_whitespace) => payload.trim_end_matches('='),
        _ => "",
    };
    // What isn't Base64 isn't JSON, either.
    Some(serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap_or_default()))
}

/// The groups in the token's claim: a list of texts, and nothing else.
fn groups(claim: &Value) -> Vec<String> {
    let text = |item: &Value| item.as_str().map(str::to_owned);
    match claim {
        Value::Array(items) => items.iter().map(text).collect::<Option<_>>().unwrap_or_default(),
        Value::String(text) => groups_in(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(claims: &Value, authorization: Option<&str>) -> ApiGatewayV2httpRequest {
        let headers = authorization.map_or_else(|| json!({}), |value| json!({"authorization": value}));
        let event = json!({
            "version": "2.0", "rawPath": "/api/me", "headers": headers, "isBase64Encoded": false,
            "requestContext": {
                "authorizer": {"jwt": {"claims": claims, "scopes": []}},
                "http": {"method": "GET", "path": "/api/me", "sourceIp": "192.0.2.1"},
            },
        });
        serde_json::from_value(event).unwrap()
    }

    fn token(payload: &str) -> String {
        format!("Bearer e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(payload))
    }

    fn role(claims: &Value, authorization: Option<&str>) -> Option<Role> {
        Caller::from_request(&request(claims, authorization), None).roles.everywhere()
    }

    #[test]
    fn the_groups_are_those_of_the_verified_token() {
        let claims = json!({"sub": "a", "jti": "1", "cognito:groups": "[x stagedb-admin]"});
        let of = |groups: &str| {
            role(&claims, Some(&token(&format!(r#"{{"sub":"a","jti":"1","cognito:groups":{groups}}}"#))))
        };
        assert_eq!(of(r#"["stagedb-editor"]"#), Some(Role::Editor));
        assert_eq!(of(r#"["x stagedb-admin"]"#), None, "a name with a space is one group");
        assert_eq!(of("\"stagedb-editor\""), Some(Role::Editor));
        for odd in [r#"["stagedb-admin",7]"#, "7", "{}", "null", r#"[["stagedb-admin"]]"#] {
            assert_eq!(of(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_token_that_is_not_the_verified_one_grants_nothing() {
        let claims = json!({"sub": "a", "jti": "1", "cognito:groups": "[stagedb-admin]"});
        for other in [
            r#"{"sub":"b","jti":"1","cognito:groups":["stagedb-admin"]}"#,
            r#"{"sub":"a","jti":"2","cognito:groups":["stagedb-admin"]}"#,
            r#"{"sub":"a","cognito:groups":["stagedb-admin"]}"#,
        ] {
            assert_eq!(role(&claims, Some(&token(other))), None, "{other}");
        }
    }

    #[test]
    fn a_claim_as_text_decides_only_without_a_token() {
        let claims = json!({"sub": "a", "jti": "1", "cognito:groups": "[stagedb-editor]"});
        for nothing in [None, Some("Bearer EXAMPLE")] {
            assert_eq!(role(&claims, nothing), Some(Role::Editor));
        }
        let twice = r#"{"sub":"a","jti":"1","cognito:groups":["x"],"cognito:groups":["stagedb-editor"]}"#;
        for unreadable in [twice, "no JSON", "[]"] {
            assert_eq!(role(&claims, Some(&token(unreadable))), None, "{unreadable}");
        }
    }

    #[test]
    fn without_a_subject_nobody_has_a_role_not_even_the_one_of_everyone() {
        for claims in [json!({}), json!({"sub": "", "cognito:groups": "stagedb-admin"})] {
            let caller = Caller::from_request(&request(&claims, None), Some(Role::Viewer));
            assert_eq!(caller.roles, Roles::default());
        }
    }
}
