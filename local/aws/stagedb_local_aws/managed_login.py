"""Cognito's managed login: the session in its cookie, its address, and its style.

MiniStack provides the sign-in form, codes with PKCE, tokens, and sign-out, but asks for the password
at every authorization. Cognito remembers a user for an hour, even one that an administrator signs out: "This operation
doesn't clear the managed login session cookie" (API reference, AdminUserGlobalSignOut).
"""

from __future__ import annotations

import os
import re
import secrets
import time
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from ministack.services import cognito
from ministack.services.cloudformation import provisioners

COOKIE = "cognito"
# https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-managed-login.html
SESSION_SECONDS = 3600
_DOMAIN = re.compile(r"https://[a-z0-9-]+\.auth\.[a-z0-9-]+\.amazoncognito\.com")

Answer = tuple[int, dict, bytes]


@dataclass(frozen=True)
class Session:
    pool_id: str
    username: str
    ends_at: float


_sessions: dict[str, Session] = {}


def authorize(method: str, path: str, headers: dict, query: dict) -> Answer:
    """A user who signed in within the last hour gets a code directly, unless the client requests the form."""
    answer = _authorize_elsewhere(method, path, headers, query)
    if answer[0] != 200 or _one(query, "identity_provider") or _one(query, "prompt") == "login":
        return answer
    # The request is valid: the form would be shown now.
    client_id = _one(query, "client_id")
    pool_id, pool, _ = cognito._find_pool_by_client_id(client_id)
    session = _session(headers)
    if session is None or session.pool_id != pool_id or not _may_sign_in(pool, session.username):
        return answer
    return cognito._issue_auth_code_redirect(
        client_id,
        pool_id,
        _one(query, "redirect_uri"),
        _one(query, "scope"),
        session.username,
        _one(query, "nonce"),
        _one(query, "code_challenge"),
        _one(query, "code_challenge_method"),
        _one(query, "state"),
    )


def log_in(method: str, path: str, headers: dict, body: bytes, query: dict) -> Answer:
    """A successful sign-in starts a session."""
    status, answered, content = _log_in_elsewhere(method, path, headers, body, query)
    code = parse_qs(urlsplit(answered.get("Location", "")).query).get("code", [""])[0]
    issued = cognito._authorization_codes.get(code)
    if status == 302 and issued is not None:
        token = secrets.token_urlsafe(24)
        _sessions[token] = Session(issued["pool_id"], issued["username"], time.time() + SESSION_SECONDS)
        answered = {**answered, "Set-Cookie": _cookie(token, SESSION_SECONDS)}
    return status, answered, content


def log_out(method: str, path: str, headers: dict, query: dict) -> Answer:
    status, answered, content = _log_out_elsewhere(method, path, headers, query)
    if status == 302:
        _sessions.pop(_token(headers), None)
        answered = {**answered, "Set-Cookie": _cookie("", 0)}
    return status, answered, content


_signed_in_at: dict[str, int] = {}


def sign_token(claims: dict, *arguments, **options) -> str:
    """A refreshed token contains the time of the sign-in, as with Cognito, not the time of the refresh.
    OpenID Connect requires this for ID tokens, and clients check it."""
    origin = claims.get("origin_jti")
    if origin and "auth_time" in claims:
        claims = {**claims, "auth_time": _signed_in_at.setdefault(origin, claims["auth_time"])}
    return _sign_elsewhere(claims, *arguments, **options)


def _cookie(value: str, seconds: int) -> str:
    return f"{COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax"


def _token(headers: dict) -> str:
    cookies = SimpleCookie()
    try:
        cookies.load(headers.get("cookie", ""))
    except CookieError:
        return ""
    return cookies[COOKIE].value if COOKIE in cookies else ""


def _session(headers: dict) -> Session | None:
    session = _sessions.get(_token(headers))
    return session if session is not None and session.ends_at > time.time() else None


def _may_sign_in(pool: dict, username: str) -> bool:
    user = pool["_users"].get(username)
    return user is not None and not cognito._hosted_ui_user_status_error(user)


def _one(query: dict, name: str) -> str:
    return cognito._qp(query, name)


def with_local_address(props: dict) -> dict:
    """A browser on this computer can't resolve the domain, so the functions use the local address."""
    variables = (props.get("Environment") or {}).get("Variables")
    if not variables:
        return props
    here = f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}"
    variables = {name: _DOMAIN.sub(here, value) if isinstance(value, str) else value for name, value in variables.items()}
    return {**props, "Environment": {**props["Environment"], "Variables": variables}}


_authorize_elsewhere = cognito.handle_oauth2_authorize
_log_in_elsewhere = cognito.handle_login_submit
_log_out_elsewhere = cognito.handle_logout
_sign_elsewhere = cognito._signed_jwt


def install() -> None:
    cognito.handle_oauth2_authorize = authorize
    cognito.handle_login_submit = log_in
    cognito.handle_logout = log_out
    cognito._signed_jwt = sign_token
    handlers = provisioners._RESOURCE_HANDLERS
    # The style has no effect, because the form is MiniStack's.
    handlers["AWS::Cognito::ManagedLoginBranding"] = {
        "create": lambda logical_id, props, stack: (f"{props['UserPoolId']}|{logical_id}", {}),
        "update": lambda physical_id, old, new, stack: (physical_id, {}),
        "delete": lambda physical_id, props: None,
    }
    function = handlers["AWS::Lambda::Function"]
    create, update = function["create"], function["update"]
    function["create"] = lambda logical_id, props, stack: create(logical_id, with_local_address(props), stack)
    function["update"] = lambda physical_id, old, new, *rest, **more: update(
        physical_id, with_local_address(old), with_local_address(new), *rest, **more
    )
