"""A SAM HTTP API with a JWT authorizer, as `template.yaml` has it."""

import base64
import json
import time

import pytest
from local_aws import zipped

FUNCTION = """
import json
def handle(event, context):
    if event["rawPath"] == "/text":
        return {"statusCode": 200, "body": "plain"}
    if event["rawPath"] == "/inferred":
        return {"hello": "world"}
    if event["rawPath"] == "/broken":
        raise RuntimeError("the secret reason")
    told = {"route": event["routeKey"], "path": event.get("pathParameters")}
    told["jwt"] = event["requestContext"].get("authorizer")
    return {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": json.dumps(told)}
"""
SCOPE = "aws.cognito.signin.user.admin"


def open_event(path: str, method: str = "GET") -> dict:
    properties = {"ApiId": {"Ref": "Api"}, "Path": path, "Method": method, "Auth": {"Authorizer": "NONE"}}
    return {"Type": "HttpApi", "Properties": properties}


def guarded_event(path: str, method: str = "GET", scopes: list[str] | None = None) -> dict:
    properties = {"ApiId": {"Ref": "Api"}, "Path": path, "Method": method}
    if scopes is not None:
        properties["Auth"] = {"AuthorizationScopes": scopes}
    return {"Type": "HttpApi", "Properties": properties}


def template(bucket: str) -> dict:
    return {
        "Transform": "AWS::Serverless-2016-10-31",
        "Resources": {
            "Pool": {"Type": "AWS::Cognito::UserPool", "Properties": {"UserPoolName": "people"}},
            "Client": {
                "Type": "AWS::Cognito::UserPoolClient",
                "Properties": {"UserPoolId": {"Ref": "Pool"}, "ExplicitAuthFlows": ["ALLOW_ADMIN_USER_PASSWORD_AUTH"]},
            },
            "OtherClient": {
                "Type": "AWS::Cognito::UserPoolClient",
                "Properties": {"UserPoolId": {"Ref": "Pool"}, "ExplicitAuthFlows": ["ALLOW_ADMIN_USER_PASSWORD_AUTH"]},
            },
            "Api": {
                "Type": "AWS::Serverless::HttpApi",
                "Properties": {
                    "CorsConfiguration": {"AllowOrigins": ["https://page.example"], "AllowMethods": ["GET"]},
                    "Auth": {
                        "DefaultAuthorizer": "People",
                        "Authorizers": {
                            "People": {
                                "AuthorizationScopes": [SCOPE],
                                "IdentitySource": "$request.header.Authorization",
                                "JwtConfiguration": {
                                    "issuer": {"Fn::Sub": "https://cognito-idp.${AWS::Region}.amazonaws.com/${Pool}"},
                                    "audience": [{"Ref": "Client"}],
                                },
                            }
                        },
                    },
                },
            },
            "Function": {
                "Type": "AWS::Serverless::Function",
                "Properties": {
                    "Runtime": "python3.11",
                    "Handler": "index.handle",
                    "CodeUri": {"Bucket": bucket, "Key": "code.zip"},
                    "Events": {
                        "Text": open_event("/text"),
                        "Inferred": open_event("/inferred"),
                        "Broken": open_event("/broken"),
                        "Guarded": guarded_event("/api/stacks/{stack}", "PUT"),
                        "Other": guarded_event("/api/other", "GET", ["some/other.scope"]),
                        "Rest": guarded_event("/api/{proxy+}", "ANY"),
                    },
                },
            },
        },
        "Outputs": {name: {"Value": {"Ref": name}} for name in ("Pool", "Client", "OtherClient", "Api")},
    }


@pytest.fixture(scope="module")
def api(aws):
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="code", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket="code", Key="code.zip", Body=zipped(FUNCTION))
    capabilities = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
    stack = aws.create_stack("api", template("code"), Capabilities=capabilities)
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


@pytest.fixture(scope="module")
def sign_in(aws, api):
    cognito = aws.client("cognito-idp")
    user = {"UserPoolId": api["Pool"], "Username": "ann"}
    cognito.admin_create_user(**user, MessageAction="SUPPRESS")
    cognito.admin_set_user_password(**user, Password="Passw0rd!", Permanent=True)

    def tokens(client: str = "Client") -> dict:
        return cognito.admin_initiate_auth(
            UserPoolId=api["Pool"],
            ClientId=api[client],
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": "ann", "PASSWORD": "Passw0rd!"},
        )["AuthenticationResult"]

    return tokens


@pytest.fixture
def call(aws, api):
    def send(path: str, token: str | None = None, method: str = "GET", **headers: str):
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        host = {"Host": f"{api['Api']}.execute-api.localhost:{aws.port}"}
        return aws.http(method, path, None, {**headers, **host})

    return send


def claims_of(token: str) -> dict:
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def test_an_access_token_opens_a_route_and_its_claims_reach_the_function(call, sign_in):
    token = sign_in()["AccessToken"]
    assert claims_of(token)["scope"] == SCOPE
    status, _, body = call("/api/stacks/shop", token, "PUT")
    answer = json.loads(body)
    assert status == 200 and answer["route"] == "PUT /api/stacks/{stack}" and answer["path"] == {"stack": "shop"}
    assert answer["jwt"]["jwt"]["scopes"] == [SCOPE] or answer["jwt"]["jwt"]["scopes"] is None
    claims = answer["jwt"]["jwt"]["claims"]
    assert claims["username"] == "ann" and all(isinstance(value, str) for value in claims.values())


def test_groups_reach_the_function_as_text_in_brackets(aws, api, call, sign_in):
    """API Gateway writes a list as its items between brackets, and numbers as digits."""
    cognito = aws.client("cognito-idp")
    user = {"UserPoolId": api["Pool"], "Username": "ann"}
    assert "cognito:groups" not in claims_of(sign_in()["AccessToken"])
    for names, text in ((["admins"], "[admins]"), (["readers"], "[admins readers]")):
        for name in names:
            cognito.create_group(UserPoolId=api["Pool"], GroupName=name)
            cognito.admin_add_user_to_group(**user, GroupName=name)
        token = sign_in()["AccessToken"]
        claims = json.loads(call("/api/stacks/shop", token, "PUT")[2])["jwt"]["jwt"]["claims"]
        assert claims["cognito:groups"] == text
        assert claims["exp"] == str(claims_of(token)["exp"])
    for name in ("admins", "readers"):
        cognito.delete_group(UserPoolId=api["Pool"], GroupName=name)


def test_the_path_form_of_the_address_works_too(aws, api):
    assert aws.http("GET", f"/_aws/execute-api/{api['Api']}/$default/text")[2] == b"plain"


def test_no_token_or_garbage_is_unauthorized(call):
    for token in (None, "", "garbage", "a.b.c", "e30.e30.e30"):
        status, headers, body = call("/api/stacks/shop", token, "PUT")
        assert (status, json.loads(body)) == (401, {"message": "Unauthorized"})
        assert headers["WWW-Authenticate"].startswith("Bearer")


def test_a_forged_token_is_unauthorized(call, sign_in):
    header, _, signature = sign_in()["AccessToken"].split(".")
    claims = {**claims_of(sign_in()["AccessToken"]), "username": "eve"}
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    for token in (f"{header}.{forged}.{signature}", f"{none}.{forged}.", f"{header}.{forged}."):
        assert call("/api/stacks/shop", token, "PUT")[0] == 401


def test_an_expired_token_is_unauthorized(aws, call, sign_in):
    token = sign_in()["AccessToken"]

    def with_expiry(seconds: int) -> str:
        body = {"access_token": token, "claims": {"exp": int(time.time()) + seconds}}
        status, _, answer = aws.http("POST", "/_local/tokens", body)
        assert status == 200
        return json.loads(answer)["access_token"]

    assert call("/api/stacks/shop", with_expiry(60), "PUT")[0] == 200
    assert call("/api/stacks/shop", with_expiry(-1), "PUT")[0] == 401
    assert {**claims_of(with_expiry(60)), "exp": 0} == {**claims_of(token), "exp": 0}


def test_no_token_is_made_from_one_that_cognito_did_not_issue(aws, sign_in):
    token = sign_in()["AccessToken"][:-10] + "AAAAAAAAAA"
    assert aws.http("POST", "/_local/tokens", {"access_token": token, "claims": {"exp": 1}})[0] == 400


def test_a_token_for_another_client_is_unauthorized(call, sign_in):
    assert call("/api/stacks/shop", sign_in("OtherClient")["AccessToken"], "PUT")[0] == 401


def test_a_token_without_the_required_scope_is_forbidden(call, sign_in):
    tokens = sign_in()
    assert call("/api/stacks/shop", tokens["IdToken"], "PUT")[0] == 403
    assert call("/api/other", tokens["AccessToken"])[0] == 403


def test_the_most_specific_route_wins(call, sign_in):
    assert json.loads(call("/api/stacks/shop", sign_in()["AccessToken"], "DELETE")[2])["route"] == "ANY /api/{proxy+}"


def test_a_line_break_in_a_path_is_a_character_as_any_other(call, sign_in):
    status, _, body = call("/api/a%0Ab", sign_in()["AccessToken"], "DELETE")
    assert (status, json.loads(body)["path"]) == (200, {"proxy": "a\nb"})


def test_an_unknown_path_is_not_found(call):
    assert call("/nowhere")[0] == 404


def test_an_answer_without_a_content_type_is_text(call):
    _, headers, body = call("/text")
    assert (headers["content-type"], body) == ("text/plain; charset=utf-8", b"plain")


def test_an_answer_without_a_status_is_json(call):
    _, headers, body = call("/inferred")
    assert headers["content-type"] == "application/json" and json.loads(body) == {"hello": "world"}


def test_what_went_wrong_in_a_function_stays_inside(call):
    status, _, body = call("/broken")
    assert (status, json.loads(body)) == (500, {"message": "Internal Server Error"})


def test_a_preflight_is_answered_as_configured(call):
    headers = {"Origin": "https://page.example", "Access-Control-Request-Method": "GET"}
    _, answer, _ = call("/api/other", method="OPTIONS", **headers)
    assert answer["Access-Control-Allow-Origin"] == "https://page.example"


def test_an_update_replaces_the_routes(aws, call):
    changed = template("code")
    changed["Resources"]["Function"]["Properties"]["Events"]["New"] = open_event("/new")
    del changed["Resources"]["Function"]["Properties"]["Events"]["Inferred"]
    capabilities = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
    assert aws.update_stack("api", changed, Capabilities=capabilities)["StackStatus"] == "UPDATE_COMPLETE"
    assert call("/new")[0] == 200 and call("/inferred")[0] == 404
