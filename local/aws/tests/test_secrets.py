"""Secrets Manager: versions, labels, filters, and secrets that CloudFormation creates."""

import json
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
from local_aws import REGION


@pytest.fixture
def secret(aws):
    """The ARN of an empty secret."""
    return aws.client("secretsmanager").create_secret(Name=f"test-{uuid.uuid4()}")["ARN"]


@pytest.fixture
def sm(aws):
    return aws.client("secretsmanager")


def labels(sm, arn: str) -> dict[str, set[str]]:
    """The values by label."""
    listed = sm.list_secret_version_ids(SecretId=arn)["Versions"]
    by_value: dict[str, set[str]] = {}
    for version in listed:
        value = sm.get_secret_value(SecretId=arn, VersionId=version["VersionId"])["SecretString"]
        by_value[value] = set(version["VersionStages"])
    return by_value


def test_a_secret_without_a_value_has_no_version(sm, secret, expect_error):
    assert expect_error(sm.get_secret_value, SecretId=secret) == (
        "ResourceNotFoundException",
        "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT",
    )


def test_the_first_version_is_current_whatever_its_labels(sm, secret):
    put = sm.put_secret_value(SecretId=secret, SecretString="one", VersionStages=["mine"])
    assert set(put["VersionStages"]) == {"AWSCURRENT", "mine"}


def test_a_repeat_with_the_same_token_and_value_does_nothing(sm, secret, expect_error):
    token = str(uuid.uuid4())
    for _ in range(2):
        assert sm.put_secret_value(SecretId=secret, SecretString="one", ClientRequestToken=token)["VersionId"] == token
    for value in ("two", "three"):
        sm.put_secret_value(SecretId=secret, SecretString=value)
    # Not even if the version was replaced long ago: the old value must not come back.
    sm.put_secret_value(SecretId=secret, SecretString="one", ClientRequestToken=token)
    assert sm.get_secret_value(SecretId=secret)["SecretString"] == "three"
    other = {"SecretId": secret, "SecretString": "other", "ClientRequestToken": token}
    assert expect_error(sm.put_secret_value, **other)[0] == "ResourceExistsException"


def test_a_token_has_32_to_64_characters(aws, secret):
    body = {"SecretId": secret, "SecretString": "x", "ClientRequestToken": "short"}
    headers = {
        "X-Amz-Target": "secretsmanager.PutSecretValue",
        "Content-Type": "application/x-amz-json-1.1",
        "Authorization": f"AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/secretsmanager/aws4_request",
    }
    status, _, answer = aws.http("POST", "/", body, headers)
    assert status == 400 and json.loads(answer)["__type"] == "InvalidParameterException"


def test_labels_of_ones_own_are_on_one_version_and_move(sm, secret, expect_error):
    first = sm.put_secret_value(SecretId=secret, SecretString="one", VersionStages=["AWSCURRENT", "live"])["VersionId"]
    second = sm.put_secret_value(SecretId=secret, SecretString="two", VersionStages=["AWSCURRENT", "live"])["VersionId"]
    assert labels(sm, secret) == {"one": {"AWSPREVIOUS"}, "two": {"AWSCURRENT", "live"}}
    move = {"SecretId": secret, "VersionStage": "live", "MoveToVersionId": first}
    assert expect_error(sm.update_secret_version_stage, **move)[0] == "InvalidParameterException"
    sm.update_secret_version_stage(**move, RemoveFromVersionId=second)
    assert labels(sm, secret) == {"one": {"AWSPREVIOUS", "live"}, "two": {"AWSCURRENT"}}
    assert sm.get_secret_value(SecretId=secret, VersionStage="live")["SecretString"] == "one"
    sm.update_secret_version_stage(SecretId=secret, VersionStage="live", RemoveFromVersionId=first)
    assert expect_error(sm.get_secret_value, SecretId=secret, VersionStage="live")[0] == "ResourceNotFoundException"


def test_moving_the_current_label_leaves_the_previous_one_behind(sm, secret, expect_error):
    first = sm.put_secret_value(SecretId=secret, SecretString="one")["VersionId"]
    second = sm.put_secret_value(SecretId=secret, SecretString="two")["VersionId"]
    sm.update_secret_version_stage(
        SecretId=secret, VersionStage="AWSCURRENT", MoveToVersionId=first, RemoveFromVersionId=second
    )
    assert labels(sm, secret) == {"one": {"AWSCURRENT"}, "two": {"AWSPREVIOUS"}}
    remove = {"SecretId": secret, "VersionStage": "AWSCURRENT", "RemoveFromVersionId": first}
    assert expect_error(sm.update_secret_version_stage, **remove)[0] == "InvalidParameterException"


def test_a_pending_version_does_not_become_current(sm, secret):
    sm.put_secret_value(SecretId=secret, SecretString="one")
    pending = sm.put_secret_value(SecretId=secret, SecretString="two", VersionStages=["AWSPENDING"])
    assert pending["VersionStages"] == ["AWSPENDING"]
    assert sm.get_secret_value(SecretId=secret)["SecretString"] == "one"


def test_a_name_is_blocked_while_its_deletion_is_scheduled(sm, expect_error):
    sm.create_secret(Name="going", SecretString="x")
    sm.delete_secret(SecretId="going")
    code, message = expect_error(sm.create_secret, Name="going", SecretString="y")
    assert code == "InvalidRequestException" and "scheduled for deletion" in message


def test_a_secret_may_have_tags_and_no_value(sm):
    tags = [{"Key": "team", "Value": "shop"}]
    created = sm.create_secret(Name="valueless", Tags=tags)
    assert "VersionId" not in created
    described = sm.describe_secret(SecretId="valueless")
    assert (described["ARN"], described["Tags"]) == (created["ARN"], tags)
    assert not {"VersionIdsToStages", "Description", "LastAccessedDate", "DeletedDate"} & described.keys()
    first = sm.put_secret_value(SecretId="valueless", SecretString="one")["VersionId"]
    assert sm.describe_secret(SecretId="valueless")["VersionIdsToStages"] == {first: ["AWSCURRENT"]}
    second = sm.put_secret_value(SecretId="valueless", SecretString="two")["VersionId"]
    stages = {first: ["AWSPREVIOUS"], second: ["AWSCURRENT"]}
    assert sm.describe_secret(SecretId="valueless")["VersionIdsToStages"] == stages
    (entry,) = sm.list_secrets(Filters=[{"Key": "name", "Values": ["valueless"]}])["SecretList"]
    assert entry["SecretVersionsToStages"] == stages and "Description" not in entry


def test_a_value_has_the_time_when_it_was_put(sm, secret):
    before = int(time.time())
    sm.put_secret_value(SecretId=secret, SecretString="one")
    assert before <= sm.get_secret_value(SecretId=secret)["CreatedDate"].timestamp() <= time.time()


def test_a_name_can_be_used_only_once_except_by_a_repeated_request(sm, expect_error):
    token = str(uuid.uuid4())
    request = {"Name": "once", "SecretString": "one", "ClientRequestToken": token}
    created = sm.create_secret(**request)
    assert {name: sm.create_secret(**request)[name] for name in ("ARN", "VersionId")} == {
        "ARN": created["ARN"],
        "VersionId": token,
    }
    for other in ({"SecretString": "two"}, {"ClientRequestToken": str(uuid.uuid4())}):
        code, message = expect_error(sm.create_secret, **request | other)
        assert code == "ResourceExistsException" and "once already exists" in message
    empty = {"Name": "once-empty", "ClientRequestToken": token}
    sm.create_secret(**empty)
    assert expect_error(sm.create_secret, **empty)[0] == "ResourceExistsException"


def test_a_secret_deleted_by_force_leaves_its_name_at_once(sm, expect_error):
    old = sm.create_secret(Name="forced", SecretString="old")["ARN"]
    deleted = sm.delete_secret(SecretId="forced", ForceDeleteWithoutRecovery=True)
    assert (deleted["ARN"], deleted["Name"]) == (old, "forced")
    assert expect_error(sm.describe_secret, SecretId=old)[0] == "ResourceNotFoundException"
    new = sm.create_secret(Name="forced")["ARN"]
    assert new != old and expect_error(sm.get_secret_value, SecretId="forced")[0] == "ResourceNotFoundException"
    sm.delete_secret(SecretId="forced")
    sm.delete_secret(SecretId="forced", ForceDeleteWithoutRecovery=True)
    sm.create_secret(Name="forced", SecretString="newest")


def test_only_by_force_a_secret_that_does_not_exist_is_deleted(sm, expect_error):
    assert expect_error(sm.delete_secret, SecretId="never-made")[0] == "ResourceNotFoundException"
    assert sm.delete_secret(SecretId="never-made", ForceDeleteWithoutRecovery=True)["Name"] == "never-made"


def test_a_secret_without_the_tags_is_not_listed(sm):
    sm.create_secret(Name="listed/tagged", Tags=[{"Key": "stagedb:use", "Value": "listing"}])
    sm.create_secret(Name="listed/other", Tags=[{"Key": "stagedb:use", "Value": "something"}])
    sm.create_secret(Name="listed/bare")
    filters = [{"Key": "tag-key", "Values": ["stagedb:use"]}, {"Key": "tag-value", "Values": ["listing"]}]
    assert [entry["Name"] for entry in sm.list_secrets(Filters=filters)["SecretList"]] == ["listed/tagged"]


FILTERS = [
    ([("name", "alpha/")], {"alpha/one", "alpha/two"}),
    ([("name", "Alpha/")], set()),
    ([("name", "one")], set()),
    ([("description", "THE FIRST")], {"alpha/one"}),
    ([("tag-key", "team")], {"alpha/one", "beta"}),
    ([("tag-key", "Team")], set()),
    ([("tag-value", "red")], {"alpha/one"}),
    ([("tag-value", "Red")], set()),
    ([("tag-key", "team"), ("tag-value", "blu")], {"beta"}),
    ([("name", "alpha"), ("tag-key", "!team")], {"alpha/two"}),
    ([("name", "alpha/one", "beta")], {"alpha/one", "beta"}),
    ([("all", "FIRST red")], {"alpha/one"}),
]


@pytest.fixture(scope="module")
def searchable(aws):
    sm = aws.client("secretsmanager")
    sm.create_secret(Name="alpha/one", Description="the first", Tags=[{"Key": "team", "Value": "reddish"}])
    sm.create_secret(Name="alpha/two", Description="Not that")
    sm.create_secret(Name="beta", Description="x", Tags=[{"Key": "team-name", "Value": "blue"}])


@pytest.mark.parametrize(("filters", "names"), FILTERS)
def test_secrets_are_found_by_prefix(sm, searchable, filters, names):
    given = [{"Key": key, "Values": list(values)} for key, *values in filters]
    found = {entry["Name"] for entry in sm.list_secrets(Filters=given)["SecretList"]}
    assert found & {"alpha/one", "alpha/two", "beta"} == names


SECRET_STACK = {
    "Resources": {
        "Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": {"Name": "dev-test-django2-postgres"}},
        "Policy": {
            "Type": "AWS::SecretsManager::ResourcePolicy",
            "Properties": {
                "SecretId": {"Ref": "Secret"},
                "ResourcePolicy": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"AWS": "arn:aws:iam::000000000000:role/task"},
                            "Action": "secretsmanager:GetSecretValue",
                            "Resource": "*",
                        }
                    ],
                },
            },
        },
    },
    "Outputs": {"Arn": {"Value": {"Ref": "Secret"}}},
}


def test_a_secret_of_a_stack_is_found_by_the_documented_command(aws, sm, expect_error):
    stack = aws.create_stack("test-django2-dev", SECRET_STACK, Tags=[{"Key": "stagedb:stage", "Value": "dev"}])
    arn = stack["Outputs"][0]["OutputValue"]
    assert arn.startswith("arn:aws:secretsmanager:eu-west-1:000000000000:secret:dev-test-django2-postgres-")
    assert expect_error(sm.get_secret_value, SecretId=arn)[0] == "ResourceNotFoundException"
    command = [str(Path(sys.executable).parent / "aws"), "--endpoint-url", aws.url, "--region", REGION]
    command += ["secretsmanager", "list-secrets", "--filters", "Key=tag-key,Values=aws:cloudformation:stack-name"]
    command += ["Key=tag-value,Values=test-django2"]
    credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "HOME": str(aws.directory)}
    done = subprocess.run(command, env={"PATH": os.environ["PATH"], **credentials}, capture_output=True, check=True)
    assert [entry["ARN"] for entry in json.loads(done.stdout)["SecretList"]] == [arn]


def test_the_policy_of_a_secret_is_made_changed_and_removed_with_its_stack(aws, sm):
    template = json.loads(json.dumps(SECRET_STACK).replace("dev-test-django2-postgres", "policed"))
    aws.create_stack("policed", template)
    (statement,) = json.loads(sm.get_resource_policy(SecretId="policed")["ResourcePolicy"])["Statement"]
    assert statement["Principal"] == {"AWS": "arn:aws:iam::000000000000:role/task"}
    template["Resources"]["Policy"]["Properties"]["ResourcePolicy"]["Statement"][0]["Effect"] = "Deny"
    assert aws.update_stack("policed", template)["StackStatus"] == "UPDATE_COMPLETE"
    assert '"Deny"' in sm.get_resource_policy(SecretId="policed")["ResourcePolicy"]
    del template["Resources"]["Policy"]
    assert aws.update_stack("policed", template)["StackStatus"] == "UPDATE_COMPLETE"
    assert "ResourcePolicy" not in sm.get_resource_policy(SecretId="policed")


def test_a_secret_of_a_stack_keeps_its_arn_over_updates_and_goes_with_it(aws, sm):
    template = {
        "Resources": {
            "Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": {"Name": "kept", "SecretString": "v"}}
        }
    }
    template["Outputs"] = {"Arn": {"Value": {"Ref": "Secret"}}}
    arn = aws.create_stack("kept", template)["Outputs"][0]["OutputValue"]
    template["Resources"]["Secret"]["Properties"]["Description"] = "changed"
    assert aws.update_stack("kept", template)["Outputs"][0]["OutputValue"] == arn
    assert sm.get_secret_value(SecretId=arn)["SecretString"] == "v"
    aws.delete_stack("kept")
    with pytest.raises(sm.exceptions.ResourceNotFoundException):
        sm.describe_secret(SecretId=arn)
