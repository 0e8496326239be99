"""CloudFormation: task definitions and log groups, and what the role of a stack needs for them."""

import json
from itertools import count

import pytest
from ecs_tasks import ACCOUNT, TRUST
from local_aws import REGION

numbers = count(1)
ECS, LOGS = (f"arn:aws:{service}:{REGION}:{ACCOUNT}" for service in ("ecs", "logs"))


def template(family: str, image: str = "postgres:17", role: str = "", **more: object) -> dict:
    definition = {
        "Family": family,
        "RequiresCompatibilities": ["FARGATE"],
        "NetworkMode": "awsvpc",
        "Cpu": "256",
        "Memory": "512",
        "ContainerDefinitions": [{"Name": "psql", "Image": image}],
        **({"ExecutionRoleArn": role} if role else {}),
    }
    group = {"LogGroupName": f"/tasks/{family}", "RetentionInDays": 30, "Tags": [{"Key": "own", "Value": "1"}]}
    return {
        "Resources": {
            "Definition": {"Type": "AWS::ECS::TaskDefinition", "Properties": definition},
            "Log": {"Type": "AWS::Logs::LogGroup", "Properties": group},
            **more,
        },
        "Outputs": {"Definition": {"Value": {"Ref": "Definition"}}, "Log": {"Value": {"Ref": "Log"}}},
    }


def outputs(stack: dict) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


TAGS = [{"Key": "stage", "Value": "dev"}]


def tags_of_definition(aws, arn: str) -> dict[str, str]:
    described = aws.client("ecs").describe_task_definition(taskDefinition=arn, include=["TAGS"])
    return {tag["key"]: tag["value"] for tag in described["tags"] if not tag["key"].startswith("aws:")}


def status(aws, arn: str) -> str:
    return aws.client("ecs").describe_task_definition(taskDefinition=arn)["taskDefinition"]["status"]


def tags_of_log(aws, name: str) -> dict[str, str]:
    tags = aws.client("logs").list_tags_for_resource(resourceArn=f"{LOGS}:log-group:{name}")["tags"]
    return {key: value for key, value in tags.items() if not key.startswith("aws:")}


def test_references_are_the_arn_of_a_definition_and_the_name_of_a_log_group(aws):
    made = outputs(aws.create_stack("definitions", template("referred"), Tags=TAGS))
    assert made == {"Definition": f"{ECS}:task-definition/referred:1", "Log": "/tasks/referred"}
    (group,) = aws.client("logs").describe_log_groups(logGroupNamePrefix="/tasks/referred")["logGroups"]
    assert group["retentionInDays"] == 30


def test_the_tags_of_a_stack_are_those_of_its_definitions_and_log_groups(aws):
    made = outputs(aws.create_stack("tagged-definitions", template("tagged"), Tags=TAGS))
    assert tags_of_definition(aws, made["Definition"]) == {"stage": "dev"}
    assert tags_of_log(aws, made["Log"]) == {"stage": "dev", "own": "1"}
    tags = [{"Key": "stage", "Value": "prod"}]
    again = outputs(aws.update_stack("tagged-definitions", template("tagged"), Tags=tags))
    assert again == made, "tags don't make a new revision"
    assert tags_of_definition(aws, made["Definition"]) == {"stage": "prod"}
    assert tags_of_log(aws, made["Log"]) == {"stage": "prod", "own": "1"}


def test_a_changed_definition_is_a_new_revision_and_the_old_one_is_deregistered_in_the_cleanup(aws):
    old = outputs(aws.create_stack("revisions", template("revised"), Tags=TAGS))["Definition"]
    new = outputs(aws.update_stack("revisions", template("revised", "postgres:18"), Tags=TAGS))["Definition"]
    assert (old, new) == (f"{ECS}:task-definition/revised:1", f"{ECS}:task-definition/revised:2")
    assert (status(aws, old), status(aws, new)) == ("INACTIVE", "ACTIVE")
    assert tags_of_definition(aws, new) == {"stage": "dev"}
    events = [(e["LogicalResourceId"], e["ResourceStatus"], e["PhysicalResourceId"]) for e in aws.stack_events("revisions")]
    cleanup = events.index(("revisions", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", aws.stack("revisions")["StackId"]))
    assert ("Definition", "DELETE_COMPLETE", old) in events[cleanup:]


def test_a_rollback_goes_back_to_the_old_revision(aws):
    old = outputs(aws.create_stack("reverted", template("reverted")))["Definition"]
    failing = {
        "Type": "AWS::EC2::SecurityGroupIngress",
        "Properties": {"GroupId": "sg-00000000", "IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "CidrIp": "10.0.0.0/8"},
        "DependsOn": "Definition",
    }
    stack = aws.update_stack("reverted", template("reverted", "postgres:18", Failing=failing))
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert outputs(stack)["Definition"] == old
    resource = aws.client("cloudformation").describe_stack_resource(StackName="reverted", LogicalResourceId="Definition")
    assert resource["StackResourceDetail"]["PhysicalResourceId"] == old
    assert status(aws, old) == "ACTIVE" and status(aws, f"{ECS}:task-definition/reverted:2") == "INACTIVE"


def test_a_log_group_keeps_its_streams_when_it_changes_and_is_deleted_with_its_stack(aws):
    logs = aws.client("logs")
    made = outputs(aws.create_stack("logged", template("logged")))
    logs.create_log_stream(logGroupName=made["Log"], logStreamName="kept")
    changed = template("logged")
    changed["Resources"]["Log"]["Properties"]["RetentionInDays"] = 7
    aws.update_stack("logged", changed)
    (group,) = logs.describe_log_groups(logGroupNamePrefix=made["Log"])["logGroups"]
    assert group["retentionInDays"] == 7
    assert [s["logStreamName"] for s in logs.describe_log_streams(logGroupName=made["Log"])["logStreams"]] == ["kept"]
    assert aws.delete_stack("logged")["StackStatus"] == "DELETE_COMPLETE"
    assert logs.describe_log_groups(logGroupNamePrefix=made["Log"])["logGroups"] == []
    assert status(aws, made["Definition"]) == "INACTIVE"


# ---- The role of the stack

STAGE = {"StringEquals": {"aws:RequestTag/stage": "dev"}}


def statements(family: str, execution_role: str) -> dict[str, dict]:
    """What each action needs at most, by action."""
    family_arn = f"{ECS}:task-definition/{family}:*"
    group = f"{LOGS}:log-group:/tasks/{family}"
    create = {"StringEquals": {"aws:RequestTag/stage": "dev", "ecs:CreateAction": "RegisterTaskDefinition"}}
    passed = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    limits = {
        "ecs:RegisterTaskDefinition": (family_arn, STAGE),
        "ecs:TagResource": (family_arn, create),
        "ecs:DescribeTaskDefinition": ("*", {}),
        "ecs:DeregisterTaskDefinition": ("*", {}),
        "iam:PassRole": (execution_role, passed),
        "logs:CreateLogGroup": (f"{group}:*", STAGE),
        "logs:TagResource": (group, STAGE),
        "logs:ListTagsForResource": (group, {"StringEquals": {"aws:ResourceTag/stage": "dev"}}),
        "logs:PutRetentionPolicy": (f"{group}:*", {"StringEquals": {"aws:ResourceTag/stage": "dev"}}),
        "logs:DescribeLogGroups": ("*", {}),
        "logs:DeleteLogGroup": (f"{group}:*", {}),
    }
    return {
        action: {"Effect": "Allow", "Action": action, "Resource": resource, **({"Condition": condition} if condition else {})}
        for action, (resource, condition) in limits.items()
    }


ACTIONS = list(statements("x", "x"))


@pytest.fixture
def stack_role(aws):
    """A role for CloudFormation that may do all of this, except for one action."""
    iam = aws.client("iam")

    def make(family: str, without: str = "") -> tuple[str, str]:
        trust = json.dumps(TRUST)
        execution = iam.create_role(RoleName=f"{family}-execution", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        role = iam.create_role(RoleName=f"{family}-stack", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        allowed = [one for action, one in statements(family, execution).items() if action != without]
        policy = json.dumps({"Version": "2012-10-17", "Statement": allowed})
        iam.put_role_policy(RoleName=f"{family}-stack", PolicyName="own", PolicyDocument=policy)
        return execution, role

    return make


def test_the_role_of_a_stack_needs_these_permissions_and_no_others(aws, stack_role):
    execution, role = stack_role("minimal")
    stack = aws.create_stack("minimal", template("minimal", role=execution), Tags=TAGS, RoleARN=role)
    assert stack["StackStatus"] == "CREATE_COMPLETE", aws.stack_events("minimal")
    stack = aws.update_stack("minimal", template("minimal", "postgres:18", role=execution), Tags=TAGS)
    assert stack["StackStatus"] == "UPDATE_COMPLETE", aws.stack_events("minimal")
    assert outputs(stack)["Definition"].endswith("minimal:2")
    assert status(aws, outputs(stack)["Definition"].replace("minimal:2", "minimal:1")) == "INACTIVE"
    assert aws.delete_stack("minimal")["StackStatus"] == "DELETE_COMPLETE"


@pytest.mark.parametrize("action", [action for action in ACTIONS if not action.split(":")[1].startswith("De")])
def test_without_a_permission_a_stack_is_not_created_and_the_event_names_it(aws, stack_role, action):
    family = f"denied-{next(numbers)}"
    execution, role = stack_role(family, without=action)
    stack = aws.create_stack(family, template(family, role=execution), Tags=TAGS, RoleARN=role)
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    reasons = " ".join(event.get("ResourceStatusReason", "") for event in aws.stack_events(family))
    assert f"is not authorized to perform: {action} on resource: " in reasons


@pytest.mark.parametrize("action", ["ecs:DeregisterTaskDefinition", "logs:DeleteLogGroup"])
def test_without_a_permission_a_stack_is_not_deleted(aws, stack_role, action):
    family = f"undeletable-{next(numbers)}"
    execution, role = stack_role(family, without=action)
    aws.create_stack(family, template(family, role=execution), Tags=TAGS, RoleARN=role)
    assert aws.delete_stack(family)["StackStatus"] == "DELETE_FAILED"
    reasons = " ".join(event.get("ResourceStatusReason", "") for event in aws.stack_events(family))
    assert f"is not authorized to perform: {action} on resource: " in reasons


def test_another_family_and_another_tag_are_denied(aws, stack_role):
    execution, role = stack_role("limited")
    for name, made, tags in (("other-family", "other", TAGS), ("other-tag", "limited", [{"Key": "stage", "Value": "prod"}])):
        stack = aws.create_stack(name, template(made, role=execution), Tags=tags, RoleARN=role)
        assert stack["StackStatus"] == "ROLLBACK_COMPLETE", name
