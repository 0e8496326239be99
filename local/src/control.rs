//! The local AWS's control endpoint for tests: faults, tokens, timings.

use anyhow::Context as _;
use aws_credential_types::Credentials;
use serde_json::{Value, json};

use crate::http::Http;
use crate::options::Timings;

pub(crate) fn set_faults(http: &Http, faults: &Value) -> anyhow::Result<Value> {
    call(http, "PUT", "/_local/faults", Some(faults))
}

pub(crate) fn faults(http: &Http) -> anyhow::Result<Value> {
    call(http, "GET", "/_local/faults", None)
}

pub(crate) fn clear_faults(http: &Http) -> anyhow::Result<()> {
    call(http, "DELETE", "/_local/faults", None).map(drop)
}

pub(crate) fn token_with(http: &Http, token: &str, claims: &Value) -> anyhow::Result<String> {
    let answer =
        call(http, "POST", "/_local/tokens", Some(&json!({"access_token": token, "claims": claims})))?;
    let token = answer.get("access_token").and_then(Value::as_str);
    Ok(token.context("/_local/tokens returned no access_token")?.to_owned())
}

/// Temporary credentials of a role, as ECS gives them to its agent.
pub(crate) fn credentials(
    http: &Http,
    role: &str,
    session: &str,
    seconds: i64,
) -> anyhow::Result<Credentials> {
    let answer = call(
        http,
        "POST",
        "/_local/credentials",
        Some(&json!({"role": role, "session": session, "seconds": seconds})),
    )?;
    let text = |name: &str| {
        let value = answer.get(name).and_then(Value::as_str);
        value.map(str::to_owned).with_context(|| format!("/_local/credentials returned no {name}"))
    };
    let (key, secret) = (text("AccessKeyId")?, text("SecretAccessKey")?);
    Ok(Credentials::new(key, secret, Some(text("SessionToken")?), None, "session of a role"))
}

pub(crate) fn set_timings(http: &Http, timings: &Timings) -> anyhow::Result<()> {
    call(http, "PUT", "/_local/timings", Some(&serde_json::to_value(timings)?)).map(drop)
}

pub(crate) fn call(http: &Http, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
    let body = body.map(serde_json::to_vec).transpose()?.unwrap_or_default();
    let answer = http.call(method, path, body)?;
    if answer.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&answer).with_context(|| format!("{method} {path}: the response isn't JSON"))
}
