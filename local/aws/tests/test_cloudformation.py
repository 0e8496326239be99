"""Stacks: their events, their phases, what they reject, and the types added here."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from local_aws import REGION

QUEUE = {"Type": "AWS::SQS::Queue", "Properties": {}}


def template(**resources: object) -> dict:
    return {"Resources": resources}


def test_each_status_of_a_stack_is_an_event_on_the_default_bus(aws, status_events):
    stack = aws.create_stack("evented", template(Queue=QUEUE), ClientRequestToken="token-1")
    events = status_events(stack["StackId"], "CREATE_COMPLETE")
    assert [event["detail"]["status-details"]["status"] for event in events] == [
        "CREATE_IN_PROGRESS",
        "CREATE_COMPLETE",
    ]
    event = events[-1]
    assert event["source"] == "aws.cloudformation"
    assert event["detail-type"] == "CloudFormation Stack Status Change"
    assert event["resources"] == [event["detail"]["stack-id"]] == [stack["StackId"]]
    assert event["detail"]["client-request-token"] == "token-1"
    assert event["detail"]["status-details"] == {"status": "CREATE_COMPLETE", "status-reason": ""}
    aws.update_stack("evented", template(Queue=QUEUE, Another=QUEUE), ClientRequestToken="token-2")
    events = status_events(stack["StackId"], "UPDATE_COMPLETE")
    assert {event["detail"]["client-request-token"] for event in events} == {"token-2"}
    statuses = [event["detail"]["status-details"]["status"] for event in events]
    assert statuses == ["UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE"]
    aws.delete_stack("evented")
    events = status_events(stack["StackId"], "DELETE_COMPLETE")
    assert {event["detail"]["client-request-token"] for event in events} == {""}, "each operation has its own"
    statuses = [event["detail"]["status-details"]["status"] for event in events]
    assert statuses == ["DELETE_IN_PROGRESS", "DELETE_COMPLETE"]


def test_a_resource_that_an_update_adds_is_created_and_the_others_are_updated(aws):
    aws.create_stack("growing", template(Queue=QUEUE))
    changed = {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": 60}}
    for _ in range(2):
        aws.update_stack("growing", template(Queue=changed, Another=QUEUE))
        aws.update_stack("growing", template(Queue=QUEUE))
    events = aws.stack_events("growing")
    statuses = [e["ResourceStatus"] for e in events if e["LogicalResourceId"] == "Another"]
    once = ["CREATE_IN_PROGRESS", "CREATE_COMPLETE", "DELETE_IN_PROGRESS", "DELETE_COMPLETE"]
    assert statuses == once * 2
    statuses = {e["ResourceStatus"] for e in events if e["LogicalResourceId"] == "Queue"}
    assert statuses == {"CREATE_IN_PROGRESS", "CREATE_COMPLETE", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"}


def test_a_failed_creation_is_an_event_too(aws, status_events):
    broken = {"Type": "AWS::SecretsManager::ResourcePolicy", "Properties": {"SecretId": "none", "ResourcePolicy": {}}}
    stack = aws.create_stack("broken", template(Queue=QUEUE, Policy=broken))
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    statuses = [e["detail"]["status-details"]["status"] for e in status_events(stack["StackId"], "ROLLBACK_COMPLETE")]
    assert statuses == ["CREATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "ROLLBACK_COMPLETE"]


def test_what_an_update_removes_goes_in_the_cleanup_phase(aws):
    aws.create_stack("cleaned", template(Queue=QUEUE, Extra=QUEUE))
    assert "LastUpdatedTime" not in aws.stack("cleaned")
    after = aws.update_stack("cleaned", template(Queue=QUEUE))
    assert after["LastUpdatedTime"] > after["CreationTime"]
    events = [(event["LogicalResourceId"], event["ResourceStatus"]) for event in aws.stack_events("cleaned")]
    assert events[-4:] == [
        ("cleaned", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"),
        ("Extra", "DELETE_IN_PROGRESS"),
        ("Extra", "DELETE_COMPLETE"),
        ("cleaned", "UPDATE_COMPLETE"),
    ]


def test_iam_resources_must_be_acknowledged(aws, expect_error):
    policy = {"Version": "2012-10-17", "Statement": []}
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": policy}}
    create = aws.client("cloudformation").create_stack
    body = json.dumps(template(Role=role))
    assert expect_error(create, StackName="roles", TemplateBody=body) == (
        "InsufficientCapabilitiesException",
        "Requires capabilities : [CAPABILITY_IAM]",
    )
    stack = aws.create_stack("roles", template(Role=role), Capabilities=["CAPABILITY_IAM"])
    assert stack["StackStatus"] == "CREATE_COMPLETE"


def test_an_update_without_changes_is_refused(aws, expect_error):
    aws.create_stack("same", template(Queue=QUEUE))
    update = aws.client("cloudformation").update_stack
    code, message = expect_error(update, StackName="same", TemplateBody=json.dumps(template(Queue=QUEUE)))
    assert (code, message) == ("ValidationError", "No updates are to be performed.")


def test_a_deleted_stack_is_readable_by_its_arn_also_after_its_name_was_taken_again(aws):
    parameters = [{"ParameterKey": "Size", "ParameterValue": "20"}]
    with_parameter = {"Parameters": {"Size": {"Type": "String"}}, **template(Queue=QUEUE)}
    tags = [{"Key": "stagedb:stack", "Value": "s"}]
    first = aws.create_stack("reborn", with_parameter, Parameters=parameters, Tags=tags)
    assert aws.delete_stack("reborn")["StackStatus"] == "DELETE_COMPLETE"
    second = aws.create_stack("reborn", with_parameter, Parameters=parameters)
    assert second["StackId"] != first["StackId"]
    old = aws.stack(first["StackId"])
    assert (old["StackStatus"], old["Parameters"], old["Tags"]) == ("DELETE_COMPLETE", parameters, tags)
    assert aws.stack("reborn")["StackId"] == second["StackId"]


def test_a_name_whose_creation_was_rolled_back_is_not_free(aws, expect_error):
    broken = {"Type": "AWS::SecretsManager::ResourcePolicy", "Properties": {"SecretId": "none", "ResourcePolicy": {}}}
    aws.create_stack("rolled-back", template(Policy=broken))
    cloudformation = aws.client("cloudformation")
    body = json.dumps(template(Queue=QUEUE))
    assert (
        expect_error(cloudformation.create_stack, StackName="rolled-back", TemplateBody=body)[0]
        == "AlreadyExistsException"
    )
    code, message = expect_error(cloudformation.update_stack, StackName="rolled-back", TemplateBody=body)
    assert code == "ValidationError" and "is in ROLLBACK_COMPLETE state and can not be updated" in message


def test_tags_of_the_stack_reach_its_resources(aws):
    subnets = [s["SubnetId"] for s in aws.client("ec2").describe_subnets()["Subnets"] if s["DefaultForAz"]]
    resources = template(
        Group={"Type": "AWS::EC2::SecurityGroup", "Properties": {"GroupDescription": "x"}},
        Subnets={
            "Type": "AWS::RDS::DBSubnetGroup",
            "Properties": {"DBSubnetGroupDescription": "x", "SubnetIds": subnets},
        },
        Secret={"Type": "AWS::SecretsManager::Secret", "Properties": {"Name": "tagged-secret"}},
    )
    resources["Outputs"] = {
        "Group": {"Value": {"Fn::GetAtt": ["Group", "GroupId"]}},
        "Subnets": {"Value": {"Ref": "Subnets"}},
    }
    stack = aws.create_stack("tags", resources, Tags=[{"Key": "stagedb:stage", "Value": "dev"}])
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    (group,) = aws.client("ec2").describe_security_groups(GroupIds=[outputs["Group"]])["SecurityGroups"]
    rds = aws.client("rds")
    (subnet_group,) = rds.describe_db_subnet_groups(DBSubnetGroupName=outputs["Subnets"])["DBSubnetGroups"]
    tagged = {
        "Group": group["Tags"],
        "Subnets": rds.list_tags_for_resource(ResourceName=subnet_group["DBSubnetGroupArn"])["TagList"],
        "Secret": aws.client("secretsmanager").describe_secret(SecretId="tagged-secret")["Tags"],
    }
    for logical_id, tags in tagged.items():
        assert {tag["Key"]: tag["Value"] for tag in tags} == {
            "stagedb:stage": "dev",
            "aws:cloudformation:stack-name": "tags",
            "aws:cloudformation:stack-id": stack["StackId"],
            "aws:cloudformation:logical-id": logical_id,
        }


def test_an_ingress_rule_of_its_own_is_added_and_removed(aws):
    group = {"Type": "AWS::EC2::SecurityGroup", "Properties": {"GroupDescription": "x"}}

    def with_rule(port: int) -> dict:
        rule = {"GroupId": {"Ref": "To"}, "IpProtocol": "tcp", "FromPort": port, "ToPort": port}
        rule["SourceSecurityGroupId"] = {"Fn::GetAtt": ["From", "GroupId"]}
        return template(To=group, From=group, Rule={"Type": "AWS::EC2::SecurityGroupIngress", "Properties": rule})

    def ports() -> list[int]:
        resources = aws.client("cloudformation").describe_stack_resources(StackName="rules")["StackResources"]
        ids = {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in resources}
        (to,) = aws.client("ec2").describe_security_groups(GroupIds=[ids["To"]])["SecurityGroups"]
        assert all(rule["UserIdGroupPairs"][0]["GroupId"] == ids["From"] for rule in to["IpPermissions"])
        return [rule["FromPort"] for rule in to["IpPermissions"]]

    assert aws.create_stack("rules", with_rule(5432))["StackStatus"] == "CREATE_COMPLETE"
    assert ports() == [5432]
    assert aws.update_stack("rules", with_rule(6432))["StackStatus"] == "UPDATE_COMPLETE"
    assert ports() == [6432]
    assert aws.update_stack("rules", template(To=group, From=group))["StackStatus"] == "UPDATE_COMPLETE"
    assert ports() == []


@pytest.mark.parametrize(("description", "status"), [("it's", "ROLLBACK_COMPLETE"), ("a rule: x", "CREATE_COMPLETE")])
def test_a_description_of_a_rule_has_only_the_characters_that_ec2_takes(aws, description, status):
    rule = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "CidrIp": "10.0.0.0/8", "Description": description}
    properties = {"GroupDescription": "x", "SecurityGroupIngress": [rule]}
    group = {"Type": "AWS::EC2::SecurityGroup", "Properties": properties}
    stack = aws.create_stack(f"described-{status[:6].lower()}", template(Group=group))
    assert stack["StackStatus"] == status


def test_a_subnet_group_that_a_database_uses_stays(aws):
    subnets = [s["SubnetId"] for s in aws.client("ec2").describe_subnets()["Subnets"] if s["DefaultForAz"]]
    properties = {"DBSubnetGroupDescription": "x", "SubnetIds": subnets, "DBSubnetGroupName": "used-group"}
    aws.create_stack("used", template(Subnets={"Type": "AWS::RDS::DBSubnetGroup", "Properties": properties}))
    aws.create_database("user-of-group", DBSubnetGroupName="used-group")
    stack = aws.delete_stack("used")
    assert stack["StackStatus"] == "DELETE_FAILED"
    reasons = [event.get("ResourceStatusReason", "") for event in aws.stack_events(stack["StackId"])]
    assert any("user-of-group is still using it" in reason for reason in reasons)


@pytest.fixture
def change_sets_at_once(aws):
    """The AWS CLI polls every five seconds."""
    before = json.loads(aws.http("GET", "/_local/timings")[2])
    aws.http("PUT", "/_local/timings", {"cloudformation_change_set_seconds": 0})
    yield
    aws.http("PUT", "/_local/timings", before)


@pytest.mark.usefixtures("change_sets_at_once")
def test_the_deploy_command_creates_and_updates_through_change_sets(aws, status_events):
    file = aws.directory / "deployed.json"
    command = [str(Path(sys.executable).parent / "aws"), "--endpoint-url", aws.url, "--region", REGION]
    command += ["cloudformation", "deploy", "--stack-name", "deployed", "--template-file", str(file)]
    environment = {"PATH": os.environ["PATH"], "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    environment["HOME"] = str(aws.directory)
    for resources in (template(Queue=QUEUE, Extra=QUEUE), template(Queue=QUEUE)):
        file.write_text(json.dumps(resources))
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        time.sleep(1)  # The command names its change sets after the current second.
    stack = aws.settled_stack("deployed")
    assert stack["StackStatus"] == "UPDATE_COMPLETE"
    statuses = [e["detail"]["status-details"]["status"] for e in status_events(stack["StackId"], "UPDATE_COMPLETE")]
    assert statuses[-3:] == ["UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE"]
