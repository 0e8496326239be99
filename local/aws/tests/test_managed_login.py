"""Cognito's managed login: codes with PKCE, the session in its cookie, and the address for functions."""

import base64
import hashlib
import json
import time
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from local_aws import REGION

CALLBACK = "http://page.localhost/"
VERIFIER = "a-verifier-that-is-long-enough-for-pkce-0123456789"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture
def login(aws):
    """An authorization request to a pool with a client for the code flow and one user."""
    cognito = aws.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName="login")["UserPool"]["Id"]
    client = cognito.create_user_pool_client(
        UserPoolId=pool,
        ClientName="page",
        AllowedOAuthFlows=["code"],
        AllowedOAuthFlowsUserPoolClient=True,
        AllowedOAuthScopes=["openid"],
        CallbackURLs=[CALLBACK],
        LogoutURLs=[CALLBACK],
        SupportedIdentityProviders=["COGNITO"],
    )["UserPoolClient"]["ClientId"]
    cognito.admin_create_user(UserPoolId=pool, Username="ann", MessageAction="SUPPRESS")
    cognito.admin_set_user_password(UserPoolId=pool, Username="ann", Password="Ann-password-1", Permanent=True)
    return {
        "client_id": client,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "openid",
        "state": "s1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }


@pytest.fixture
def call(aws):
    """Status, headers, and body of one request. Redirects aren't followed."""
    import http.client

    def send(method, path, body=None, cookie=""):
        connection = http.client.HTTPConnection("127.0.0.1", aws.port, timeout=20)
        headers = {"Cookie": cookie} if cookie else {}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request(method, path, urlencode(body) if body is not None else None, headers)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()

    return send


def claims(token):
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def sign_in(call, login):
    status, headers, _ = call("POST", "/login", {**login, "username": "ann", "password": "Ann-password-1"})
    assert status == 302
    return headers["set-cookie"].partition(";")[0], parse_qs(urlsplit(headers["location"]).query)


def test_a_user_who_signed_in_gets_more_codes_without_a_password(call, login):
    authorize = f"/oauth2/authorize?{urlencode(login)}"
    assert call("GET", authorize)[0] == 200, "the form"
    cookie, first = sign_in(call, login)
    assert first["state"] == ["s1"]
    status, headers, _ = call("GET", authorize, cookie=cookie)
    code = parse_qs(urlsplit(headers["location"]).query)["code"][0]
    assert (status, code != first["code"][0]) == (302, True)

    exchange = {"grant_type": "authorization_code", "client_id": login["client_id"], "redirect_uri": CALLBACK}
    status, _, body = call("POST", "/oauth2/token", {**exchange, "code": code, "code_verifier": "wrong"})
    assert (status, json.loads(body)["error"]) == (400, "invalid_grant")
    status, _, body = call("POST", "/oauth2/token", {**exchange, "code": code, "code_verifier": VERIFIER})
    tokens = json.loads(body)
    assert status == 200 and {"access_token", "id_token", "refresh_token"} <= tokens.keys()

    # A refresh isn't a new sign-in.
    time.sleep(1.1)
    renewal = {"grant_type": "refresh_token", "client_id": login["client_id"]}
    status, _, body = call("POST", "/oauth2/token", {**renewal, "refresh_token": tokens["refresh_token"]})
    renewed = claims(json.loads(body)["id_token"])
    assert (status, renewed["auth_time"]) == (200, claims(tokens["id_token"])["auth_time"])
    assert renewed["iat"] > renewed["auth_time"]


def test_the_session_ends_with_signing_out_and_is_not_had_with_a_wrong_cookie(call, login):
    authorize = f"/oauth2/authorize?{urlencode(login)}"
    cookie, _ = sign_in(call, login)
    assert call("GET", f"{authorize}&prompt=login", cookie=cookie)[0] == 200
    for wrong in ("cognito=guessed", "cognito=", "other=1", "cognito;;=,"):
        assert call("GET", authorize, cookie=wrong)[0] == 200, wrong
    leave = urlencode({"client_id": login["client_id"], "logout_uri": CALLBACK})
    status, headers, _ = call("GET", f"/logout?{leave}", cookie=cookie)
    assert (status, headers["location"]) == (302, CALLBACK)
    assert "Max-Age=0" in headers["set-cookie"]
    assert call("GET", authorize, cookie=cookie)[0] == 200, "the cookie is worth nothing any more"


def test_the_session_outlives_signing_out_by_an_administrator(aws, call, login):
    cookie, _ = sign_in(call, login)
    cognito = aws.client("cognito-idp")
    (pool,) = [pool["Id"] for pool in pools(cognito) if has_client(cognito, pool["Id"], login["client_id"])]
    cognito.admin_user_global_sign_out(UserPoolId=pool, Username="ann")
    assert call("GET", f"/oauth2/authorize?{urlencode(login)}", cookie=cookie)[0] == 302
    cognito.admin_disable_user(UserPoolId=pool, Username="ann")
    assert call("GET", f"/oauth2/authorize?{urlencode(login)}", cookie=cookie)[0] == 200


def pools(cognito):
    return cognito.list_user_pools(MaxResults=60)["UserPools"]


def has_client(cognito, pool, client):
    clients = cognito.list_user_pool_clients(UserPoolId=pool, MaxResults=60)["UserPoolClients"]
    return client in [listed["ClientId"] for listed in clients]


def test_a_request_that_is_not_valid_gets_no_code_with_a_session_either(call, login):
    cookie, _ = sign_in(call, login)
    elsewhere = urlencode({**login, "redirect_uri": "http://elsewhere.example/"})
    assert call("GET", f"/oauth2/authorize?{elsewhere}", cookie=cookie)[0] == 400


def test_functions_learn_where_the_login_is_served(aws):
    template = {
        "Resources": {
            "Role": {
                "Type": "AWS::IAM::Role",
                "Properties": {"RoleName": "told", "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []}},
            },
            "Function": {
                "Type": "AWS::Lambda::Function",
                "Properties": {
                    "FunctionName": "told",
                    "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                    "Runtime": "python3.12",
                    "Handler": "index.handler",
                    "Code": {"ZipFile": "def handler(event, context): pass"},
                    "Environment": {
                        "Variables": {"LOGIN_URL": f"https://shop-1.auth.{REGION}.amazoncognito.com", "OTHER": "kept"}
                    },
                },
            },
        }
    }
    cloudformation = aws.client("cloudformation")
    cloudformation.create_stack(
        StackName="told", TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_NAMED_IAM"]
    )
    cloudformation.get_waiter("stack_create_complete").wait(StackName="told", WaiterConfig={"Delay": 1})
    variables = aws.client("lambda").get_function_configuration(FunctionName="told")["Environment"]["Variables"]
    assert variables == {"LOGIN_URL": aws.url, "OTHER": "kept"}
