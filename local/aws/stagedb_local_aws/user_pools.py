"""Cognito user pools: the trigger that changes tokens, refresh tokens that expire, who may change which attribute, and
identity providers in templates.

The trigger is described in Cognito's developer guide, user-pool-lambda-pre-token-generation.
"""

from __future__ import annotations

import fnmatch
import json
import threading
import time
from urllib.parse import parse_qs

from ministack.core.responses import error_response_json, get_account_id
from ministack.services import cognito, lambda_svc
from ministack.services.cloudformation import provisioners

Answer = tuple[int, dict, bytes]
COGNITO = "cognito-idp.amazonaws.com"

FIXED_CLAIMS = frozenset({
    "acr", "amr", "at_hash", "aud", "auth_time", "azp", "client_id", "device_key", "event_id", "exp", "iat", "identities",
    "iss", "jti", "nbf", "nonce", "origin_jti", "scope", "sub", "token_use", "username", "version",
})  # fmt: skip
"""The trigger can't change these, nor any that begins with `cognito:`. For scopes and groups, it has other ways."""


class TriggerFailed(Exception):
    """The user can't sign in, because the function failed or can't be called."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


# ---- Tokens


def make_token(sub, pool_id, client_id, token_type="access", username="", **more) -> str:
    """When MiniStack refreshes a token of the managed login, it forgets the user's attributes and groups."""
    pool = cognito._get_pool_unscoped(pool_id)
    user = pool["_users"].get(username) if pool else None
    if user is not None:
        more["user_attrs"] = cognito._attr_list_to_dict(user.get("Attributes", []))
        more["groups"] = user.get("_groups", [])
    return _make_token_elsewhere(sub, pool_id, client_id, token_type, username, **more)


def refresh_user(pool: dict, pool_id: str, client_id: str, token: str):
    if _has_expired(token):
        return None, error_response_json("NotAuthorizedException", "Refresh Token has expired", 400)
    return _refresh_user_elsewhere(pool, pool_id, client_id, token)


def _has_expired(token: str) -> bool:
    return cognito._token_claims(token).get("exp", time.time() + 1) <= time.time()


def token_endpoint(data: dict, query: dict, body: bytes = b"", headers: dict | None = None) -> Answer:
    form = {name: values[0] for name, values in parse_qs(body.decode(errors="replace")).items()}
    if form.get("grant_type") == "refresh_token" and _has_expired(form.get("refresh_token", "")):
        return cognito._oauth2_error("invalid_grant", "Refresh Token has expired")
    try:
        status, answered, content = _token_endpoint_elsewhere(data, query, body, headers)
    except TriggerFailed as failure:
        return cognito._oauth2_error("invalid_request", str(failure))
    if status == 200:
        # MiniStack always says an hour for some refreshed tokens.
        tokens = json.loads(content)
        claims = cognito._token_claims(tokens["access_token"])
        content = json.dumps({**tokens, "expires_in": claims["exp"] - claims["iat"]}).encode()
    return status, answered, content


# ---- The trigger

_answers: dict[tuple[str, int], dict] = {}
"""What the function answered for an access token whose ID token is made next, by its origin and the thread."""


def apply_trigger(
    pool_id: str,
    claims: dict,
    token_type: str,
    trigger_source: str,
    client_id: str,
    username: str,
    user_attrs: dict,
    groups: list[str],
    client_metadata: dict | None = None,
    scope: str = cognito._API_TOKEN_SCOPE,
) -> dict:
    """The function is called once for both tokens, and the access token is the first one to be made.
    MiniStack calls it for each of them, ignores its failures, and looks for the groups in another place."""
    pool = cognito._get_pool_unscoped(pool_id) or {}
    function, version = _trigger(pool)
    of_machine = trigger_source == "TokenGeneration_ClientCredentials"
    if not function or (of_machine and version != "V3_0"):
        return claims
    key = claims["origin_jti"], threading.get_ident()
    response = _answers.pop(key, None) if token_type == "id" else None
    if response is None:
        user = pool["_users"].get(username)
        attributes = {**user_attrs, "cognito:user_status": user["UserStatus"]} if user else user_attrs
        response = call(
            function,
            pool_id,
            cognito._build_pretoken_event(
                pool_id, client_id, username, attributes, groups, trigger_source, version, client_metadata, scope
            ),
        )
        if token_type == "access" and not of_machine:
            _answers[key] = response
    return changed(claims, token_type, version, response)


def _trigger(pool: dict) -> tuple[str, str]:
    """The function's ARN, or nothing, and the version of its event."""
    settings = pool.get("LambdaConfig") or {}
    newer = settings.get("PreTokenGenerationConfig") or {}
    if newer.get("LambdaArn"):
        return newer["LambdaArn"], newer.get("LambdaVersion", "V1_0")
    return settings.get("PreTokenGeneration", ""), "V1_0"


def changed(claims: dict, token_type: str, version: str, response: dict) -> dict:
    """The claims with what the function wants. A version 1 event changes only the groups of an access token."""
    is_first = version == "V1_0"
    details = response.get("claimsOverrideDetails" if is_first else "claimsAndScopeOverrideDetails") or {}
    claims = dict(claims)
    if "groupOverrideDetails" in details:
        # An empty or null object suppresses the groups.
        claims.pop("cognito:groups", None)
        if groups := (details["groupOverrideDetails"] or {}).get("groupsToOverride"):
            claims["cognito:groups"] = groups
    if is_first:
        wanted = details if token_type == "id" else {}
    else:
        wanted = details.get("accessTokenGeneration" if token_type == "access" else "idTokenGeneration") or {}
    for name, value in (wanted.get("claimsToAddOrOverride") or {}).items():
        if name not in FIXED_CLAIMS and not name.startswith("cognito:"):
            claims[name] = value
    for name in wanted.get("claimsToSuppress") or []:
        if name not in FIXED_CLAIMS and (name == "cognito:groups" or not name.startswith("cognito:")):
            claims.pop(name, None)
    if token_type == "access":
        suppressed = wanted.get("scopesToSuppress") or []
        scopes = [scope for scope in claims["scope"].split() if scope not in suppressed]
        claims["scope"] = " ".join(dict.fromkeys([*scopes, *(wanted.get("scopesToAdd") or [])]))
    return claims


def call(function: str, pool_id: str, event: dict) -> dict:
    """The function's response. Raises TriggerFailed."""
    record, config, _ = lambda_svc._get_func_record_for_ref(function)
    if record is None or config is None:
        raise TriggerFailed(
            "UnexpectedLambdaException", "PreTokenGeneration invocation failed due to error ResourceNotFoundException."
        )
    if not _is_permitted(record, cognito._pool_arn(pool_id)):
        raise TriggerFailed(
            "UnexpectedLambdaException", "PreTokenGeneration invocation failed due to error AccessDeniedException."
        )
    result = lambda_svc._execute_function_with_config_scope(
        lambda_svc._execution_record_for_config(record, config), event
    )
    answered = _parsed(result.get("body"))
    if result.get("error"):
        reason = answered.get("errorMessage", "") if isinstance(answered, dict) else answered
        raise TriggerFailed("UserLambdaValidationException", f"PreTokenGeneration failed with error {reason}.")
    if not isinstance(answered, dict) or not isinstance(answered.get("response"), dict):
        raise TriggerFailed("InvalidLambdaResponseException", "Unrecognizable lambda output")
    return answered["response"]


def _is_permitted(record: dict, pool: str) -> bool:
    """The function's policy must allow the user pool to call it (`AWS::Lambda::Permission`)."""
    for statement in record.get("policy", {}).get("Statement", []):
        conditions = {
            key.lower(): value for keys in statement.get("Condition", {}).values() for key, value in keys.items()
        }
        if (
            statement.get("Principal") in ("*", {"Service": COGNITO})
            and fnmatch.fnmatchcase(pool, conditions.get("aws:sourcearn", "*"))
            and conditions.get("aws:sourceaccount", get_account_id()) == get_account_id()
        ):
            return True
    return False


def _parsed(body: object) -> object:
    if isinstance(body, (str, bytes)):
        try:
            return json.loads(body)
        except ValueError:
            return body
    return body


def run_handler(handler, action: str, data: dict) -> Answer:
    try:
        return _run_handler_elsewhere(handler, action, data)
    except TriggerFailed as failure:
        return error_response_json(failure.code, str(failure), 400)


# ---- Attributes


def update_own_attributes(data: dict) -> Answer:
    """A client writes only what its `WriteAttributes` name: by default, the standard attributes (API reference)."""
    client_id = cognito._token_claims(data.get("AccessToken", "")).get("client_id", "")
    client = cognito._find_pool_by_client_id(client_id)[2] or {}
    for attribute in data.get("UserAttributes", []):
        name, writable = attribute["Name"], client.get("WriteAttributes")
        may_write = name in writable if writable else ":" not in name
        if not may_write or name in ("sub", "email_verified", "phone_number_verified"):
            message = "A client attempted to write unauthorized attribute"
            return error_response_json("NotAuthorizedException", message, 400)
    return _update_own_attributes_elsewhere(data)


# ---- AWS::Cognito::UserPoolIdentityProvider

Created = tuple[str, dict]


def create_provider(_logical_id: str, props: dict, _stack_name: str) -> Created:
    _succeed(cognito._create_identity_provider(props))
    return props["ProviderName"], {}


def update_provider(physical_id: str, old: dict, new: dict, stack_name: str) -> Created:
    if any(old.get(name) != new.get(name) for name in ("UserPoolId", "ProviderName", "ProviderType")):
        created = create_provider("", new, stack_name)
        provisioners._delete_predecessor(delete_provider, physical_id, old)
        return created
    _succeed(cognito._update_identity_provider({"AttributeMapping": {}, "IdpIdentifiers": [], **new}))
    return physical_id, {}


def delete_provider(physical_id: str, props: dict) -> None:
    """Succeeds if the provider or its user pool is gone."""
    pool = cognito._user_pools.get(props.get("UserPoolId", ""))
    if pool and physical_id in pool.get("_identity_providers", {}):
        _succeed(cognito._delete_identity_provider({**props, "ProviderName": physical_id}))


def _succeed(answer: Answer) -> None:
    if answer[0] != 200:
        raise ValueError(json.loads(answer[2]).get("message", ""))


_make_token_elsewhere = cognito._fake_token
_refresh_user_elsewhere = cognito._refresh_auth_user
_token_endpoint_elsewhere = cognito._oauth2_token
_run_handler_elsewhere = cognito._run_idp_handler
_update_own_attributes_elsewhere = cognito._update_user_attributes


def install() -> None:
    cognito._fake_token = make_token
    cognito._refresh_auth_user = refresh_user
    cognito._oauth2_token = token_endpoint
    cognito._apply_pretoken_trigger = apply_trigger
    cognito._run_idp_handler = run_handler
    cognito._update_user_attributes = update_own_attributes
    provisioners._RESOURCE_HANDLERS["AWS::Cognito::UserPoolIdentityProvider"] = {
        "create": create_provider,
        "update": update_provider,
        "delete": delete_provider,
    }
