//! Cognito calls this before it issues tokens, also when a session is renewed.
//!
//! An access token has no email address, which the history needs, and no groups of a company's identity provider. Both
//! are added here. Cognito stores those groups in the attribute `custom:groups`, which the users themselves could change
//! with an access token that has the scope `aws.cognito.signin.user.admin`. So the groups count only for users of an
//! identity provider, and their tokens don't get that scope.

use std::sync::Arc;

use database::is_group_of_role;
use lambda::Invocation;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use thiserror::Error;

/// What lets a user change their own attributes.
const SELF_SERVICE: &str = "aws.cognito.signin.user.admin";

/// An event that isn't one of the trigger's second version. Then nobody can sign in, instead of everyone with too much.
#[derive(Debug, Error)]
#[error("the event isn't a pre token generation event, version 2 or later")]
pub struct NotATrigger;

/// Handles one event, which is also the reply.
///
/// # Errors
/// See [`NotATrigger`].
pub async fn handle(_: Arc<()>, invocation: Invocation) -> Result<Value, NotATrigger> {
    std::future::ready(with_claims(invocation.event)).await
}

/// The event with the response in it.
///
/// # Errors
/// See [`NotATrigger`].
pub fn with_claims(mut event: Value) -> Result<Value, NotATrigger> {
    let response = response(&event).ok_or(NotATrigger)?;
    event.as_object_mut().ok_or(NotATrigger)?.insert("response".to_owned(), response);
    Ok(event)
}

fn response(event: &Value) -> Option<Value> {
    // The first version can't change access tokens. Whatever comes later is compatible with the second.
    event.get("version")?.as_str().filter(|version| *version != "1")?;
    let request = event.get("request")?;
    let attributes = request.get("userAttributes")?.as_object()?;
    let attribute = |name: &str| attributes.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let is_external = attribute("cognito:user_status") == Some("EXTERNAL_PROVIDER");

    let configuration = request.get("groupConfiguration")?;
    let of_pool = configuration.get("groupsToOverride").and_then(Value::as_array);
    let mut groups: Vec<String> =
        of_pool.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    if is_external {
        let theirs = attribute("custom:groups").map(of_provider).unwrap_or_default();
        groups.extend(theirs.into_iter().filter(|group| is_group_of_role(group)));
        groups.sort();
        groups.dedup();
    }

    // A user of the pool could enter any address. An identity provider vouches for those of its users.
    let is_verified = is_external || attribute("email_verified") == Some("true");
    let email = attribute("email").filter(|_| is_verified);
    let suppressed: &[&str] = if is_external { &[SELF_SERVICE] } else { &[] };
    Some(json!({
        "claimsAndScopeOverrideDetails": {
            "accessTokenGeneration": {
                "claimsToAddOrOverride": email.map_or_else(|| json!({}), |email| json!({"email": email})),
                "scopesToSuppress": suppressed,
            },
            "groupOverrideDetails": {"groupsToOverride": groups},
        },
    }))
}

/// The groups in the attribute. Cognito writes several values as `[a,b]`, each form-encoded, so `:` is `%3A`. A single value
/// is as the identity provider sent it, and is never split. What isn't a group of a role doesn't matter.
fn of_provider(attribute: &str) -> Vec<String> {
    if let Ok(groups) = serde_json::from_str::<Vec<String>>(attribute) {
        return groups;
    }
    match attribute.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(list) => list.split(',').map(|item| decoded(item.trim_start_matches(' '))).collect(),
        None => vec![decoded(attribute)],
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(attributes: &Value, groups: &[&str]) -> Value {
        json!({
            "version": "2", "triggerSource": "TokenGeneration_HostedAuth", "userPoolId": "us-east-1_Example",
            "request": {
                "userAttributes": attributes,
                "groupConfiguration": {"groupsToOverride": groups, "iamRolesToOverride": [], "preferredRole": null},
                "scopes": ["openid", "email", SELF_SERVICE],
            },
            "response": {"claimsAndScopeOverrideDetails": null},
        })
    }

    /// The groups, the email address, and the scopes that are taken away.
    fn decided(attributes: &Value, groups: &[&str]) -> (Value, Value, Value) {
        let reply = with_claims(event(attributes, groups)).unwrap();
        let details = reply.pointer("/response/claimsAndScopeOverrideDetails").unwrap();
        let part = |pointer: &str| details.pointer(pointer).cloned().unwrap_or_default();
        (
            part("/groupOverrideDetails/groupsToOverride"),
            part("/accessTokenGeneration/claimsToAddOrOverride/email"),
            part("/accessTokenGeneration/scopesToSuppress"),
        )
    }

    #[test]
    fn a_user_of_the_pool_keeps_the_groups_and_gets_the_verified_email_address() {
        let user = json!({"sub": "a", "email": "ann@example.com", "email_verified": "true", "cognito:user_status": "CONFIRMED"});
        let expected = (json!(["stagedb-admin", "other"]), json!("ann@example.com"), json!([]));
        assert_eq!(decided(&user, &["stagedb-admin", "other"]), expected);
        let unverified = json!({"sub": "a", "email": "boss@example.com", "email_verified": "false"});
        assert_eq!(decided(&unverified, &[]), (json!([]), Value::Null, json!([])));
    }

    #[test]
    fn groups_of_an_identity_provider_count_only_for_its_own_users() {
        let mine =
            json!({"sub": "a", "custom:groups": "[stagedb-admin]", "cognito:user_status": "CONFIRMED"});
        assert_eq!(decided(&mine, &["stagedb-viewer"]).0, json!(["stagedb-viewer"]));
        for form in [
            "[stagedb-admin, staff]",
            "[Domain+Users,,stagedb-admin]",
            "[\"staff\",\"stagedb-admin\"]",
            "stagedb-admin",
        ] {
            let theirs = json!({"sub": "a", "email": "ann@example.com", "custom:groups": form, "cognito:user_status": "EXTERNAL_PROVIDER"});
            let expected =
                (json!(["pool_okta", "stagedb-admin"]), json!("ann@example.com"), json!([SELF_SERVICE]));
            assert_eq!(decided(&theirs, &["pool_okta"]), expected, "{form}");
        }
    }

    #[test]
    fn a_list_is_form_encoded_and_a_single_group_is_never_split() {
        assert_eq!(of_provider("[stagedb-editor%3Ashop,a%2Cb]"), ["stagedb-editor:shop", "a,b"]);
        assert_eq!(of_provider("stagedb-editor:shop"), ["stagedb-editor:shop"]);
        for one in ["team,stagedb-admin", "x stagedb-admin", "[x stagedb-admin]", "%zz%", "[%"] {
            assert!(!of_provider(one).contains(&"stagedb-admin".to_owned()), "{one}");
        }
    }

    #[test]
    fn without_the_attributes_nobody_gets_a_token() {
        for broken in
            [json!({}), json!(null), json!({"version": "2"}), json!({"version": "1", "request": {}})]
        {
            assert!(with_claims(broken).is_err());
        }
        let mut first = event(&json!({}), &[]);
        first["version"] = json!("1");
        assert!(with_claims(first).is_err(), "access tokens couldn't be changed");
    }

    #[test]
    fn the_sample_event_gets_its_groups() {
        let sample: Value =
            serde_json::from_str(include_str!("../../../events/pre-token-generation/hosted-auth.json"))
                .unwrap();
        let reply = with_claims(sample).unwrap();
        let groups =
            reply.pointer("/response/claimsAndScopeOverrideDetails/groupOverrideDetails/groupsToOverride");
        assert_eq!(groups, Some(&json!(["stagedb-editor:test-django2", "us-east-1_Example_Okta"])));
    }
}
