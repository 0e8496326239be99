"""IAM: what a role may do is what its policies say, and what nobody understands is denied or refused."""

import json
import time
from itertools import count

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from local_aws import REGION

numbers = count(1)
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def template(*statements: dict) -> dict:
    policy = {"PolicyName": "own", "PolicyDocument": {"Version": "2012-10-17", "Statement": list(statements)}}
    role = {"AssumeRolePolicyDocument": TRUST, "Policies": [policy]}
    return {"Resources": {"Role": {"Type": "AWS::IAM::Role", "Properties": role}}}


def allow(actions: str | list[str], resource: str = "*", **more: object) -> dict:
    return {"Sid": "Own", "Effect": "Allow", "Action": actions, "Resource": resource, **more}


@pytest.fixture
def as_role(aws):
    """A client with the credentials of a new role that has these statements."""

    def make(service: str, *statements: dict, seconds: float = 600):
        name = f"role-{next(numbers)}"
        stack = aws.create_stack(name, template(*statements), Capabilities=["CAPABILITY_IAM"])
        assert stack["StackStatus"] == "CREATE_COMPLETE", aws.stack_events(name)
        resources = aws.client("cloudformation").describe_stack_resources(StackName=name)["StackResources"]
        status, _, body = aws.http(
            "POST", "/_local/credentials", {"role": resources[0]["PhysicalResourceId"], "seconds": seconds}
        )
        assert status == 200, body
        keys = json.loads(body)
        return boto3.client(
            service,
            endpoint_url=aws.url,
            region_name=REGION,
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
            config=boto3.session.Config(retries={"total_max_attempts": 1}),
        )

    return make


def secret(aws, name: str, **tags: str) -> str:
    listed = [{"Key": key, "Value": value} for key, value in tags.items()]
    return aws.client("secretsmanager").create_secret(Name=name, SecretString="x", Tags=listed)["ARN"]


def test_a_call_that_no_statement_allows_is_denied_in_the_words_of_aws(aws, as_role, expect_error):
    arn = secret(aws, "denied")
    client = as_role("secretsmanager", allow("secretsmanager:DescribeSecret"))
    code, message = expect_error(client.get_secret_value, SecretId=arn)
    assert code == "AccessDeniedException"
    assert message.endswith(
        f"is not authorized to perform: secretsmanager:GetSecretValue on resource: {arn} because no identity-based policy "
        "allows the secretsmanager:GetSecretValue action"
    )


def test_a_condition_sees_the_tags_that_the_resource_has_now(aws, as_role, expect_error):
    arn = secret(aws, "tagged", team="shop")
    condition = {"StringEquals": {"aws:ResourceTag/team": "shop"}}
    client = as_role("secretsmanager", allow("secretsmanager:GetSecretValue", Condition=condition))
    assert client.get_secret_value(SecretId=arn)["SecretString"] == "x"
    aws.client("secretsmanager").untag_resource(SecretId=arn, TagKeys=["team"])
    assert expect_error(client.get_secret_value, SecretId=arn)[0] == "AccessDeniedException"


def test_an_explicit_deny_wins(aws, as_role, expect_error):
    arn = secret(aws, "explicit")
    deny = {**allow("secretsmanager:GetSecretValue"), "Effect": "Deny"}
    client = as_role("secretsmanager", allow("secretsmanager:*"), deny)
    code, message = expect_error(client.get_secret_value, SecretId=arn)
    assert code == "AccessDeniedException" and message.endswith("with an explicit deny in an identity-based policy")


def test_a_call_that_the_local_aws_does_not_know_is_denied_even_if_everything_is_allowed(as_role, expect_error):
    client = as_role("secretsmanager", allow("*"))
    code, message = expect_error(client.restore_secret, SecretId="unknown")
    assert code == "AccessDeniedException" and "permissions/checks.py" in message


@pytest.mark.parametrize(
    ("service", "path"),
    [
        # As the SDK for Rust calls CloudWatch.
        ("monitoring", "/service/GraniteServiceVersion20100801/operation/GetMetricData"),
        ("lambda", "/2015-03-31/no-such-operation"),
    ],
)
def test_no_protocol_gets_around_the_policies(aws, as_role, service, path):
    client = as_role("secretsmanager", allow("secretsmanager:*"))
    keys = client._request_signer._credentials
    request = AWSRequest("POST", aws.url + path, headers={"smithy-protocol": "rpc-v2-cbor"}, data=b"\xa0")
    SigV4Auth(keys, service, REGION).add_auth(request)
    status, _, _ = aws.http("POST", path, b"\xa0", dict(request.headers))
    assert status == 403


ACCOUNT = "000000000000"
SECRETS = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:"


def test_a_secret_is_created_by_its_name_and_tags(aws, as_role, expect_error):
    tags = [{"Key": "team", "Value": "shop"}]
    requested = {"StringEquals": {"aws:RequestTag/team": "shop"}, "ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}
    pattern = f"{SECRETS}made/*-??????"
    create = allow("secretsmanager:CreateSecret", pattern, Condition=requested)
    tag = {**allow("secretsmanager:TagResource", pattern, Condition=requested), "Sid": "Tag"}
    client = as_role("secretsmanager", create, tag)
    made = client.create_secret(Name="made/one", Tags=tags)["ARN"]
    assert aws.client("secretsmanager").describe_secret(SecretId=made)["Tags"] == tags
    more = [*tags, {"Key": "stage", "Value": "dev"}]
    for wrong in ({"Name": "made/two"}, {"Name": "other", "Tags": tags}, {"Name": "made/two", "Tags": more}):
        code, message = expect_error(client.create_secret, **wrong)
        assert code == "AccessDeniedException", message
        assert f"secretsmanager:CreateSecret on resource: {SECRETS}{wrong['Name']}-" in message
    client = as_role("secretsmanager", create)
    code, message = expect_error(client.create_secret, Name="made/two", Tags=tags)
    assert code == "AccessDeniedException" and f"secretsmanager:TagResource on resource: {SECRETS}made/two-" in message
    client = as_role("secretsmanager", allow("secretsmanager:CreateSecret", f"{SECRETS}made/*"))
    assert client.create_secret(Name="made/two")["Name"] == "made/two"


def test_a_secret_that_exists_is_refused_only_to_those_who_may_create_it(aws, as_role, expect_error):
    secret(aws, "taken", team="shop")
    client = as_role("secretsmanager", allow("secretsmanager:CreateSecret", f"{SECRETS}taken-*"))
    assert expect_error(client.create_secret, Name="taken")[0] == "ResourceExistsException"
    tagged = {"StringEquals": {"aws:ResourceTag/team": "shop"}}
    client = as_role("secretsmanager", allow("secretsmanager:CreateSecret", f"{SECRETS}taken-*", Condition=tagged))
    assert expect_error(client.create_secret, Name="taken")[0] == "AccessDeniedException", "a new one has no tags"
    named = {"StringEquals": {"secretsmanager:Name": "taken-too"}}
    client = as_role("secretsmanager", allow("secretsmanager:CreateSecret", Condition=named))
    assert expect_error(client.create_secret, Name="taken")[0] == "AccessDeniedException"
    assert client.create_secret(Name="taken-too")["Name"] == "taken-too"


@pytest.mark.parametrize("operation", ["describe_secret", "delete_secret"])
def test_a_secret_is_described_and_deleted_by_its_tags_and_one_that_is_not_there_has_none(
    aws, as_role, expect_error, operation
):
    mine, other = f"{operation}/mine", f"{operation}/other"
    arn, other_arn = secret(aws, mine, team="shop"), secret(aws, other, team="other")
    action = "secretsmanager:" + "".join(word.title() for word in operation.split("_"))
    tagged = {"StringEquals": {"aws:ResourceTag/team": "shop"}}
    call = getattr(as_role("secretsmanager", allow(action, Condition=tagged)), operation)
    assert call(SecretId=mine)["ARN"] == arn
    for hidden, resource in ((other, other_arn), (f"{operation}/none", f"{SECRETS}{operation}/none-")):
        code, message = expect_error(call, SecretId=hidden)
        assert code == "AccessDeniedException" and f"{action} on resource: {resource}" in message
    anything = getattr(as_role("secretsmanager", allow(action)), operation)
    assert expect_error(anything, SecretId=f"{operation}/none")[0] == "ResourceNotFoundException"


def check_limits(as_role, expect_error, service: str, calls: dict, resource: str, other: str) -> None:
    """Each call is allowed on one resource only, and a denial names the other one."""
    for action, (operation, allowed, denied) in calls.items():
        client = as_role(service, allow(action, resource))
        getattr(client, operation)(**allowed)
        code, message = expect_error(getattr(client, operation), **denied)
        assert code == "AccessDeniedException", action
        assert f"is not authorized to perform: {action} on resource: {other} because" in message


def test_log_streams_are_limited_to_a_log_group_with_a_wildcard(aws, as_role, expect_error):
    logs = aws.client("logs")
    for group in ("limited", "forbidden"):
        logs.create_log_group(logGroupName=group)
    mine, other = ({"logGroupName": group, "logStreamName": "s"} for group in ("limited", "forbidden"))
    events = {"logEvents": [{"timestamp": int(time.time() * 1000), "message": "m"}]}
    calls = {
        "logs:CreateLogStream": ("create_log_stream", mine, other),
        "logs:PutLogEvents": ("put_log_events", {**mine, **events}, {**other, **events}),
        "logs:GetLogEvents": ("get_log_events", mine, other),
    }
    group, denied = (f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}" for name in ("limited", "forbidden"))
    check_limits(as_role, expect_error, "logs", calls, f"{group}:*", f"{denied}:log-stream:s")
    client = as_role("logs", allow("logs:CreateLogStream", group))
    assert expect_error(client.create_log_stream, **mine)[0] == "AccessDeniedException", "AWS checks the stream's ARN"
    client = as_role("logs", allow("logs:GetLogEvents", f"{group}:log-stream:s"))
    client.get_log_events(logGroupIdentifier=f"{group}", logStreamName="s")


def test_parameters_are_limited_by_name_and_their_versions_belong_to_them(aws, as_role, expect_error):
    aws.client("ssm").put_parameter(Name="/limited/a", Value="1", Type="String")
    mine, other = {"Name": "/limited/a"}, {"Name": "/forbidden/a"}
    new = {"Value": "2", "Overwrite": True}
    calls = {
        "ssm:PutParameter": ("put_parameter", {**mine, **new}, {**other, **new}),
        "ssm:GetParameter": ("get_parameter", mine, other),
        "ssm:GetParameterHistory": ("get_parameter_history", mine, other),
    }
    resource = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter"
    check_limits(as_role, expect_error, "ssm", calls, f"{resource}/limited/*", f"{resource}/forbidden/a")
    client = as_role("ssm", allow("ssm:GetParameter", f"{resource}/limited/a"))
    assert client.get_parameter(Name="/limited/a:1")["Parameter"]["Value"] == "1"
    assert client.get_parameter(Name=f"{resource}/limited/a")["Parameter"]["Value"] == "2"


def test_signing_a_user_out_is_limited_to_a_user_pool(aws, as_role, expect_error):
    cognito = aws.client("cognito-idp")
    mine, other = (cognito.create_user_pool(PoolName=name)["UserPool"]["Id"] for name in ("limited", "forbidden"))
    cognito.admin_create_user(UserPoolId=mine, Username="ann", MessageAction="SUPPRESS")
    users = [{"UserPoolId": pool, "Username": "ann"} for pool in (mine, other)]
    calls = {"cognito-idp:AdminUserGlobalSignOut": ("admin_user_global_sign_out", *users)}
    resource = f"arn:aws:cognito-idp:{REGION}:{ACCOUNT}:userpool"
    check_limits(as_role, expect_error, "cognito-idp", calls, f"{resource}/{mine}", f"{resource}/{other}")


def test_expired_credentials_are_denied(as_role, expect_error):
    client = as_role("secretsmanager", allow("*"), seconds=-1)
    assert expect_error(client.list_secrets)[0].startswith("ExpiredToken")


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ({**allow("s3:*"), "NotResource": "x"}, "has NotResource"),
        ({"Sid": "Own", "Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}, "has NotAction"),
        (allow("s3:*", "arn:aws:s3:::${aws:username}"), "has the variable"),
        (allow("s3:*", Condition={"StringSounds": {"aws:TagKeys": "x"}}), "has the operator StringSounds"),
        (allow("s3:*", Condition={"StringEquals": {"aws:Moon": "full"}}), "asks for aws:Moon"),
    ],
)
def test_a_policy_that_the_evaluator_does_not_understand_is_refused(aws, statement, words):
    name = f"refused-{next(numbers)}"
    stack = aws.create_stack(name, template(statement), Capabilities=["CAPABILITY_IAM"])
    assert stack["StackStatus"] in ("ROLLBACK_COMPLETE", "CREATE_FAILED")
    reasons = [event.get("ResourceStatusReason", "") for event in aws.stack_events(name)]
    assert any(f"the statement Own of own {words}" in reason for reason in reasons), reasons
