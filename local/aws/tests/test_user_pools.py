"""A Cognito user pool from a template: groups, the trigger that changes tokens, and tokens that expire."""

import base64
import hashlib
import json
import time
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from local_aws import REGION

CALLBACK = "http://page.localhost/"
PASSWORD = "Ann-password-1"
VERIFIER = "a-verifier-that-is-long-enough-for-pkce-0123456789"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
SCOPE = "aws.cognito.signin.user.admin"

# The users' attribute custom:groups says what the function does. Its log holds the events.
TRIGGER = """
import json
def handle(event, context):
    print("EVENT " + json.dumps(event))
    wanted = event["request"]["userAttributes"].get("custom:groups", "")
    if wanted == "fail":
        raise ValueError("you may not sign in")
    if wanted == "nonsense":
        return "nonsense"
    details = {"accessTokenGeneration": {
        "claimsToAddOrOverride": {"team": ["x", "y"], "sub": "forged", "client_id": "forged", "cognito:x": "forged"},
        "claimsToSuppress": ["jti", "event"],
        "scopesToAdd": ["app/added"],
        "scopesToSuppress": ["aws.cognito.signin.user.admin", "email"],
    }}
    if wanted == "none":
        details["groupOverrideDetails"] = None
    elif wanted:
        own = event["request"]["groupConfiguration"]["groupsToOverride"]
        details["groupOverrideDetails"] = {"groupsToOverride": own + wanted.split(",")}
    event["response"] = {"claimsAndScopeOverrideDetails": details}
    return event
"""


def template(permitted: bool = True, provider: str = "", pool: dict | None = None) -> dict:
    def of_pool(kind: str, **properties: object) -> dict:
        return {"Type": f"AWS::Cognito::{kind}", "Properties": {"UserPoolId": {"Ref": "Pool"}, **properties}}

    permission = {
        "Action": "lambda:InvokeFunction",
        "FunctionName": {"Ref": "Trigger"},
        "Principal": "cognito-idp.amazonaws.com",
        "SourceArn": {"Fn::GetAtt": ["Pool", "Arn"]},
    }
    return {
        "Parameters": {"Provider": {"Type": "String", "Default": provider}},
        "Conditions": {
            "Permitted": {"Fn::Equals": ["yes" if permitted else "no", "yes"]},
            "HasProvider": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Provider"}, ""]}]},
        },
        "Resources": {
            "Role": {
                "Type": "AWS::IAM::Role",
                "Properties": {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []}},
            },
            "Trigger": {
                "Type": "AWS::Lambda::Function",
                "Properties": {
                    "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                    "Runtime": "python3.11",
                    "Handler": "index.handle",
                    "Code": {"ZipFile": TRIGGER},
                },
            },
            "Permission": {"Type": "AWS::Lambda::Permission", "Condition": "Permitted", "Properties": permission},
            "Pool": {
                "Type": "AWS::Cognito::UserPool",
                "Properties": {
                    "UserPoolName": "people",
                    "UsernameAttributes": ["email"],
                    "AutoVerifiedAttributes": ["email"],
                    "UserAttributeUpdateSettings": {"AttributesRequireVerificationBeforeUpdate": ["email"]},
                    "MfaConfiguration": "OPTIONAL",
                    "EnabledMfas": ["SOFTWARE_TOKEN_MFA"],
                    "Schema": [{"Name": "groups", "AttributeDataType": "String", "Mutable": True}],
                    "LambdaConfig": {
                        "PreTokenGenerationConfig": {
                            "LambdaArn": {"Fn::GetAtt": ["Trigger", "Arn"]},
                            "LambdaVersion": "V2_0",
                        }
                    },
                    **(pool or {}),
                },
            },
            "Admins": of_pool("UserPoolGroup", GroupName="admins", Description="May do anything", Precedence=1),
            "Readers": of_pool("UserPoolGroup", GroupName="readers", Precedence=2),
            "Client": of_pool(
                "UserPoolClient",
                ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
                AllowedOAuthFlows=["code"],
                AllowedOAuthFlowsUserPoolClient=True,
                AllowedOAuthScopes=["openid", "email"],
                CallbackURLs=[CALLBACK],
                SupportedIdentityProviders=["COGNITO"],
                ReadAttributes=["email", "custom:groups"],
                WriteAttributes=["email"],
                EnableTokenRevocation=True,
                AccessTokenValidity=5,
                IdTokenValidity=5,
                RefreshTokenValidity=60,
                TokenValidityUnits={"AccessToken": "minutes", "IdToken": "minutes", "RefreshToken": "minutes"},
            ),
            "Other": {
                **of_pool(
                    "UserPoolIdentityProvider",
                    ProviderName={"Ref": "Provider"},
                    ProviderType="OIDC",
                    ProviderDetails={
                        "client_id": "page",
                        "client_secret": "secret",
                        "oidc_issuer": "https://login.example",
                        "authorize_scopes": "openid email",
                        "attributes_request_method": "GET",
                    },
                    AttributeMapping={"email": "email", "custom:groups": "groups"},
                ),
                "Condition": "HasProvider",
            },
        },
        "Outputs": {name: {"Value": {"Ref": name}} for name in ("Pool", "Client", "Trigger", "Admins")},
    }


class People:
    def __init__(self, aws, name: str, **options: object) -> None:
        self.aws, self.cognito = aws, aws.client("cognito-idp")
        stack = aws.create_stack(name, template(**options), Capabilities=["CAPABILITY_IAM"])
        assert stack["StackStatus"] == "CREATE_COMPLETE", aws.stack_events(name)
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        self.pool, self.client, self.function = outputs["Pool"], outputs["Client"], outputs["Trigger"]
        self.user = {"UserPoolId": self.pool, "Username": "ann@example.com"}
        attributes = {"email": "ann@example.com", "email_verified": "true"}
        listed = [{"Name": key, "Value": value} for key, value in attributes.items()]
        self.cognito.admin_create_user(**self.user, UserAttributes=listed, MessageAction="SUPPRESS")
        self.cognito.admin_set_user_password(**self.user, Password=PASSWORD, Permanent=True)
        self.cognito.admin_add_user_to_group(**self.user, GroupName="admins")

    def want(self, groups: str) -> None:
        wanted = [{"Name": "custom:groups", "Value": groups}]
        self.cognito.admin_update_user_attributes(**self.user, UserAttributes=wanted)

    def password_flow(self) -> dict:
        return {
            "UserPoolId": self.pool,
            "ClientId": self.client,
            "AuthFlow": "ADMIN_USER_PASSWORD_AUTH",
            "AuthParameters": {"USERNAME": "ann@example.com", "PASSWORD": PASSWORD},
        }

    def refresh_flow(self, token: str) -> dict:
        parameters = {"AuthFlow": "REFRESH_TOKEN_AUTH", "AuthParameters": {"REFRESH_TOKEN": token}}
        return {**self.password_flow(), **parameters}

    def sign_in(self) -> dict:
        return self.cognito.admin_initiate_auth(**self.password_flow())["AuthenticationResult"]

    def send(self, path: str, form: dict):
        import http.client

        connection = http.client.HTTPConnection("127.0.0.1", self.aws.port, timeout=20)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", path, urlencode(form), headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()

    def exchange(self) -> tuple[int, dict]:
        """Signs in with the managed login, and exchanges the code."""
        login = {
            "client_id": self.client,
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "scope": "openid email",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        status, headers, _ = self.send("/login", {**login, "username": "ann@example.com", "password": PASSWORD})
        assert status == 302
        code = parse_qs(urlsplit(headers["location"]).query)["code"][0]
        return self.tokens(grant_type="authorization_code", redirect_uri=CALLBACK, code=code, code_verifier=VERIFIER)

    def tokens(self, **form: str) -> tuple[int, dict]:
        status, _, body = self.send("/oauth2/token", {"client_id": self.client, **form})
        return status, json.loads(body)

    def events(self) -> list[dict]:
        """What the function was called with."""
        found = self.aws.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{self.function}")["events"]
        messages = [line for event in found for line in event["message"].splitlines()]
        return [json.loads(line.partition("EVENT ")[2]) for line in messages if "EVENT " in line]


@pytest.fixture(scope="module")
def people(aws):
    return People(aws, "people")


def claims(token: str) -> dict:
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def test_a_template_configures_a_user_pool_with_groups(people):
    cognito = people.cognito
    mfa = cognito.get_user_pool_mfa_config(UserPoolId=people.pool)
    assert (mfa["MfaConfiguration"], mfa["SoftwareTokenMfaConfiguration"]) == ("OPTIONAL", {"Enabled": True})
    pool = cognito.describe_user_pool(UserPoolId=people.pool)["UserPool"]
    assert pool["LambdaConfig"]["PreTokenGenerationConfig"]["LambdaVersion"] == "V2_0"
    assert pool["UserAttributeUpdateSettings"] == {"AttributesRequireVerificationBeforeUpdate": ["email"]}
    (own,) = [attribute for attribute in pool["SchemaAttributes"] if attribute["Name"] == "custom:groups"]
    assert (own["AttributeDataType"], own["Mutable"]) == ("String", True)
    groups = {group["GroupName"]: group for group in cognito.list_groups(UserPoolId=people.pool)["Groups"]}
    assert (groups["admins"]["Description"], groups["admins"]["Precedence"]) == ("May do anything", 1)
    assert set(groups) == {"admins", "readers"}
    assert cognito.list_identity_providers(UserPoolId=people.pool)["Providers"] == []


def test_an_identity_provider_comes_and_goes_with_a_parameter(aws):
    template_ = template()
    aws.create_stack("providers", template_, Capabilities=["CAPABILITY_IAM"])
    pool = {output["OutputKey"]: output["OutputValue"] for output in aws.stack("providers")["Outputs"]}["Pool"]
    cognito = aws.client("cognito-idp")

    def provider_after(name: str) -> list[str]:
        parameters = [{"ParameterKey": "Provider", "ParameterValue": name}]
        stack = aws.update_stack("providers", template_, Parameters=parameters, Capabilities=["CAPABILITY_IAM"])
        assert stack["StackStatus"] == "UPDATE_COMPLETE", aws.stack_events("providers")
        return [found["ProviderName"] for found in cognito.list_identity_providers(UserPoolId=pool)["Providers"]]

    assert provider_after("Company") == ["Company"]
    found = cognito.describe_identity_provider(UserPoolId=pool, ProviderName="Company")["IdentityProvider"]
    assert (found["ProviderType"], found["ProviderDetails"]["oidc_issuer"]) == ("OIDC", "https://login.example")
    assert found["AttributeMapping"] == {"email": "email", "custom:groups": "groups"}
    details = template_["Resources"]["Other"]["Properties"]["ProviderDetails"]
    details["client_id"] = "changed"
    assert provider_after("Company") == ["Company"]
    found = cognito.describe_identity_provider(UserPoolId=pool, ProviderName="Company")["IdentityProvider"]
    assert found["ProviderDetails"]["client_id"] == "changed"
    assert provider_after("Renamed") == ["Renamed"]
    assert provider_after("") == []


def test_the_trigger_is_called_once_for_both_tokens_of_each_sign_in(people):
    people.want("readers,auditors")
    people.sign_in()
    before = len(people.events())
    by_password = people.sign_in()
    refreshed = people.cognito.admin_initiate_auth(**people.refresh_flow(by_password["RefreshToken"]))
    status, by_code = people.exchange()
    assert status == 200, by_code
    status, again = people.tokens(grant_type="refresh_token", refresh_token=by_code["refresh_token"])
    assert status == 200, again
    calls = people.events()[before:]
    assert [call["triggerSource"] for call in calls] == [
        "TokenGeneration_Authentication",
        "TokenGeneration_RefreshTokens",
        "TokenGeneration_HostedAuth",
        "TokenGeneration_RefreshTokens",
    ]
    sub = claims(by_password["AccessToken"])["sub"]
    for call in calls:
        assert (call["version"], call["userPoolId"], call["region"]) == ("2", people.pool, REGION)
        assert call["callerContext"]["clientId"] == people.client
        assert call["response"] == {"claimsAndScopeOverrideDetails": None}
        assert call["request"]["userAttributes"] == {
            "sub": sub,
            "email": "ann@example.com",
            "email_verified": "true",
            "cognito:user_status": "CONFIRMED",
            "custom:groups": "readers,auditors",
        }
        assert call["request"]["groupConfiguration"]["groupsToOverride"] == ["admins"]
    assert [sorted(call["request"]["scopes"]) for call in calls] == [[SCOPE]] * 2 + [["email", "openid"]] * 2
    signed_in = [by_password, refreshed["AuthenticationResult"]]
    pairs = [(tokens["AccessToken"], tokens["IdToken"]) for tokens in signed_in]
    pairs += [(tokens["access_token"], tokens["id_token"]) for tokens in (by_code, again)]
    for (access, of_id), scopes in zip(pairs, ["app/added"] * 2 + ["openid app/added"] * 2, strict=True):
        token = claims(access)
        assert token["cognito:groups"] == claims(of_id)["cognito:groups"] == ["admins", "readers", "auditors"]
        assert (token["team"], token["scope"]) == (["x", "y"], scopes)
        assert (token["sub"], token["client_id"]) == (sub, people.client), "the trigger can't change these"
        assert "jti" in token and "cognito:x" not in token
        assert "team" not in claims(of_id)


@pytest.mark.parametrize(("wanted", "groups"), [("", ["admins"]), ("none", None)])
def test_groups_that_the_trigger_does_not_mention_stay_and_null_removes_them(people, wanted, groups):
    people.want(wanted)
    tokens = people.sign_in()
    for token in (tokens["AccessToken"], tokens["IdToken"]):
        assert claims(token).get("cognito:groups") == groups


@pytest.mark.parametrize(
    ("wanted", "code", "message"),
    [
        ("fail", "UserLambdaValidationException", "PreTokenGeneration failed with error you may not sign in."),
        ("nonsense", "InvalidLambdaResponseException", "Unrecognizable lambda output"),
    ],
)
def test_nobody_signs_in_if_the_trigger_fails(people, expect_error, wanted, code, message):
    people.want("")
    tokens = people.sign_in()
    people.want(wanted)
    for flow in (people.password_flow(), people.refresh_flow(tokens["RefreshToken"])):
        assert expect_error(people.cognito.admin_initiate_auth, **flow) == (code, message)
    assert people.exchange() == (400, {"error": "invalid_request", "error_description": message})
    people.want("")
    people.sign_in()


def test_nobody_signs_in_if_the_function_does_not_permit_the_user_pool(aws, expect_error):
    forbidden = People(aws, "forbidden", permitted=False)
    assert expect_error(forbidden.cognito.admin_initiate_auth, **forbidden.password_flow()) == (
        "UnexpectedLambdaException",
        "PreTokenGeneration invocation failed due to error AccessDeniedException.",
    )


def test_tokens_are_valid_for_as_long_as_the_client_says(people):
    tokens, (_, by_code) = people.sign_in(), people.exchange()
    _, again = people.tokens(grant_type="refresh_token", refresh_token=by_code["refresh_token"])
    for token in (tokens["AccessToken"], tokens["IdToken"], by_code["access_token"], again["access_token"]):
        assert claims(token)["exp"] - claims(token)["iat"] == 300
    assert tokens["ExpiresIn"] == by_code["expires_in"] == again["expires_in"] == 300
    _, mixed = people.tokens(grant_type="refresh_token", refresh_token=tokens["RefreshToken"])
    assert mixed["expires_in"] == 300


def test_a_refresh_token_expires(aws, expect_error):
    short = People(aws, "short")
    # AWS allows no less than an hour, which is too long for a test.
    short.cognito.update_user_pool_client(
        UserPoolId=short.pool,
        ClientId=short.client,
        ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
        AllowedOAuthFlows=["code"],
        AllowedOAuthScopes=["openid", "email"],
        CallbackURLs=[CALLBACK],
        RefreshTokenValidity=1,
        TokenValidityUnits={"RefreshToken": "seconds"},
    )
    tokens, (_, by_code) = short.sign_in(), short.exchange()
    time.sleep(1.5)
    flow = short.refresh_flow(tokens["RefreshToken"])
    assert expect_error(short.cognito.admin_initiate_auth, **flow) == (
        "NotAuthorizedException",
        "Refresh Token has expired",
    )
    for token in (tokens["RefreshToken"], by_code["refresh_token"]):
        status, answer = short.tokens(grant_type="refresh_token", refresh_token=token)
        assert (status, answer["error"]) == (400, "invalid_grant")


def test_a_user_who_is_signed_out_by_an_administrator_cannot_refresh(people, expect_error):
    tokens, (_, by_code) = people.sign_in(), people.exchange()
    people.cognito.admin_user_global_sign_out(**people.user)
    flow = people.refresh_flow(tokens["RefreshToken"])
    assert expect_error(people.cognito.admin_initiate_auth, **flow)[0] == "NotAuthorizedException"
    for token in (tokens["RefreshToken"], by_code["refresh_token"]):
        status, answer = people.tokens(grant_type="refresh_token", refresh_token=token)
        assert (status, answer["error"]) == (400, "invalid_grant")
    _, later = people.exchange()
    assert people.tokens(grant_type="refresh_token", refresh_token=later["refresh_token"])[0] == 200


def test_users_do_not_change_attributes_that_their_client_may_not_write(aws, expect_error):
    plain = People(aws, "plain", pool={"LambdaConfig": {}})
    token = plain.sign_in()["AccessToken"]
    for name in ("custom:groups", "email_verified", "name"):
        attributes = [{"Name": name, "Value": "admins"}]
        refused = expect_error(plain.cognito.update_user_attributes, AccessToken=token, UserAttributes=attributes)
        assert refused == ("NotAuthorizedException", "A client attempted to write unauthorized attribute")
    email = [{"Name": "email", "Value": "ann@example.com"}]
    plain.cognito.update_user_attributes(AccessToken=token, UserAttributes=email)
