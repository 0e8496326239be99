"""Which permissions a call needs: the actions, each with its resources and what a condition can ask for.

Source: AWS's service authorization reference, and for what it leaves out, the notes at each call. A call that isn't here
is denied, so that nothing is allowed by accident.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from stagedb_local_aws.permissions import resources
from stagedb_local_aws.permissions.resources import arn

Context = dict[str, object]


@dataclass(frozen=True)
class Check:
    """One question to the policies."""

    action: str
    resource: str = "*"
    context: Context = field(default_factory=dict)
    is_gone: bool = False
    """The resource has just been deleted, so it has no tags."""


@dataclass(frozen=True)
class Call:
    """A request. Parameters in the Query protocol are flat: `Tags.member.1.Key`."""

    service: str
    operation: str
    parameters: dict[str, object]
    tags: Context
    """`aws:RequestTag/…` and `aws:TagKeys`."""

    @property
    def action(self) -> str:
        return f"{self.service}:{self.operation}"

    def text(self, name: str) -> str:
        return str(self.parameters.get(name) or "")

    def texts(self, pattern: str) -> list[str]:
        """The values of the parameters with such names."""
        names = re.compile(pattern)
        return [str(value) for name, value in self.parameters.items() if names.fullmatch(name)]


Needs = Callable[[Call], Iterator[Check]]


def needed(call: Call) -> list[Check] | None:
    """What a call needs. None if it isn't known."""
    needs = CALLS.get(call.action)
    return None if needs is None else list(needs(call))


def anything(call: Call) -> Iterator[Check]:
    """The action can't be limited to resources."""
    yield Check(call.action)


# ---- CloudFormation


def on_stack(call: Call) -> Iterator[Check]:
    name = call.text("StackName")
    yield Check(call.action, resources.stack(name) if name else "*", _role_of(call))
    if call.operation == "DescribeStacks" and not name:
        # API reference, DescribeStacks: all stacks take both permissions.
        yield Check("cloudformation:ListStacks")


def change_stack(call: Call) -> Iterator[Check]:
    resource = resources.stack(call.text("StackName"))
    yield Check(call.action, resource, {**call.tags, **_role_of(call)})
    if call.tags:
        yield Check(
            "cloudformation:TagResource", resource, {**call.tags, "cloudformation:CreateAction": call.operation}
        )
    if call.text("RoleARN"):
        yield pass_role(call.text("RoleARN"), "cloudformation.amazonaws.com")
    # Whether AWS asks for this is open, so we expect that it does.
    if call.text("EnableTerminationProtection") == "true" and call.operation == "CreateStack":
        yield Check("cloudformation:UpdateTerminationProtection", resource)


def delete_stack(call: Call) -> Iterator[Check]:
    yield from on_stack(call)
    if call.text("RoleARN"):
        yield pass_role(call.text("RoleARN"), "cloudformation.amazonaws.com")


def on_change_set(call: Call) -> Iterator[Check]:
    keys = {"cloudformation:ChangeSetName": call.text("ChangeSetName")}
    yield Check(call.action, resources.stack(call.text("StackName")), keys)


def _role_of(call: Call) -> Context:
    role = call.text("RoleARN")
    return {"cloudformation:RoleArn": role} if role else {}


def pass_role(role: str, service: str) -> Check:
    return Check("iam:PassRole", role, {"iam:PassedToService": service})


# ---- ECS


def on_services(call: Call) -> Iterator[Check]:
    cluster = call.text("cluster")
    for name in call.parameters.get("services", []):
        yield Check(call.action, resources.service(cluster, name), _cluster(cluster))


def list_services(call: Call) -> Iterator[Check]:
    yield Check(call.action, "*", _cluster(call.text("cluster")))


def update_service(call: Call) -> Iterator[Check]:
    cluster = call.text("cluster")
    keys = _cluster(cluster)
    if call.text("taskDefinition"):
        keys["ecs:task-definition"] = call.text("taskDefinition")
    yield Check(call.action, resources.service(cluster, call.text("service")), keys)


def tag_ecs(call: Call) -> Iterator[Check]:
    removed = {"aws:TagKeys": call.parameters["tagKeys"]} if call.parameters.get("tagKeys") else {}
    yield Check(call.action, call.text("resourceArn"), {**call.tags, **removed})


def register_task_definition(call: Call) -> Iterator[Check]:
    resource = arn("ecs", f"task-definition/{call.text('family')}:*")
    yield Check(call.action, resource, call.tags)
    if call.tags:
        yield Check("ecs:TagResource", resource, {**call.tags, "ecs:CreateAction": call.operation})
    for name in ("executionRoleArn", "taskRoleArn"):
        if call.text(name):
            yield pass_role(call.text(name), "ecs-tasks.amazonaws.com")


def run_task(call: Call) -> Iterator[Check]:
    cluster, definition = call.text("cluster"), resources.task_definition(call.text("taskDefinition"))
    yield Check(call.action, definition, {**call.tags, **_cluster(cluster)})
    tags = dict(call.tags)
    if call.text("propagateTags") == "TASK_DEFINITION":
        propagated = resources.tags_of(definition)
        keys = [key for key in propagated if not key.startswith("aws:")]
        tags = {f"aws:RequestTag/{key}": propagated[key] for key in keys} | tags
        keys += [key for key in call.tags.get("aws:TagKeys", []) if key not in keys]
        tags |= {"aws:TagKeys": keys} if keys else {}
    if tags:
        task = resources.task(cluster, "*")
        yield Check("ecs:TagResource", task, {**tags, **_cluster(cluster), "ecs:CreateAction": call.operation})
    for role in resources.roles_of_task(definition, call.parameters.get("overrides") or {}):
        yield pass_role(role, "ecs-tasks.amazonaws.com")


def on_tasks(call: Call) -> Iterator[Check]:
    cluster = call.text("cluster")
    for task in call.parameters.get("tasks") or [call.text("task")]:
        yield Check(call.action, resources.task(cluster, task), _cluster(cluster))


def list_tasks(call: Call) -> Iterator[Check]:
    """The reference names the container instances, although tasks of Fargate have none."""
    cluster = call.text("cluster")
    name = cluster.rpartition("/")[2] or "default"
    yield Check(call.action, arn("ecs", f"container-instance/{name}/*"), _cluster(cluster))


def _cluster(name: str) -> Context:
    cluster = name if name.startswith("arn:") else arn("ecs", f"cluster/{name or 'default'}")
    return {"ecs:cluster": cluster}


# ---- RDS


def create_instance(call: Call) -> Iterator[Check]:
    """AWS also checks the groups that it chooses itself."""
    yield Check(call.action, _instance(call), call.tags)
    if call.tags:
        yield Check("rds:AddTagsToResource", _instance(call), call.tags)
    for resource in _parts(call):
        yield Check(call.action, resource, call.tags)
    for action in _NETWORK:
        # The only one of them that can be limited to resources.
        yield Check(f"ec2:{action}", arn("ec2", "vpc/*") if action == "DescribeVpcAttribute" else "*")
    yield from service_linked_role("rds.amazonaws.com", "AWSServiceRoleForRDS")


_NETWORK = (
    "DescribeAccountAttributes",
    "DescribeAvailabilityZones",
    "DescribeInternetGateways",
    "DescribeSecurityGroups",
    "DescribeSubnets",
    "DescribeVpcAttribute",
    "DescribeVpcs",
)
"""RDS looks at the network with the permissions of the caller (permissions of `AWS::RDS::DBInstance`'s create handler)."""


def restore_instance(call: Call) -> Iterator[Check]:
    yield from create_instance(call)
    yield Check(call.action, arn("rds", f"snapshot:{call.text('DBSnapshotIdentifier')}"), call.tags)


def on_instance(call: Call) -> Iterator[Check]:
    yield Check(call.action, _instance(call), call.tags)


def modify_instance(call: Call) -> Iterator[Check]:
    yield from on_instance(call)
    if major := call.text("EngineVersion").partition(".")[0]:
        # An upgrade also changes the default groups.
        yield Check(call.action, arn("rds", f"pg:default.postgres{major}"))
        yield Check(call.action, arn("rds", f"og:default:postgres-{major}"))


def delete_instance(call: Call) -> Iterator[Check]:
    """The final snapshot takes two more permissions, and its tags are copied (AWS's notice of August 2024)."""
    yield from on_instance(call)
    if name := call.text("FinalDBSnapshotIdentifier"):
        snapshot = arn("rds", f"snapshot:{name}")
        yield Check("rds:CreateDBSnapshot", _instance(call))
        yield Check("rds:CreateDBSnapshot", snapshot)
        yield Check("rds:AddTagsToResource", snapshot)


def create_snapshot(call: Call) -> Iterator[Check]:
    snapshot = arn("rds", f"snapshot:{call.text('DBSnapshotIdentifier')}")
    yield Check(call.action, _instance(call), call.tags)
    yield Check(call.action, snapshot, call.tags)
    if call.tags:
        yield Check("rds:AddTagsToResource", snapshot, call.tags)


def tag_rds(call: Call) -> Iterator[Check]:
    yield Check(call.action, call.text("ResourceName"), call.tags)


def _instance(call: Call) -> str:
    return arn("rds", f"db:{call.text('DBInstanceIdentifier')}")


def _parts(call: Call) -> Iterator[str]:
    major = call.text("EngineVersion").partition(".")[0] or "17"
    yield arn("rds", f"subgrp:{call.text('DBSubnetGroupName') or 'default'}")
    yield arn("rds", f"pg:{call.text('DBParameterGroupName') or f'default.postgres{major}'}")
    yield arn("rds", f"og:{call.text('OptionGroupName') or f'default:postgres-{major}'}")


def service_linked_role(service: str, name: str) -> Iterator[Check]:
    """In an account without the service's role, the call creates it, with the permissions of the caller."""
    role = arn("iam", f"role/aws-service-role/{service}/{name}", region="")
    yield Check("iam:CreateServiceLinkedRole", role, {"iam:AWSServiceName": service})


# ---- EC2


def authorize_rule(call: Call) -> Iterator[Check]:
    rule = arn("ec2", "security-group-rule/*")
    yield Check(call.action, _group(call))
    yield Check(call.action, rule, call.tags)
    if call.tags:
        yield Check("ec2:CreateTags", rule, {**call.tags, "ec2:CreateAction": call.operation})


def on_group(call: Call) -> Iterator[Check]:
    """For a rule, the reference names only the group, although a rule can be given by its ID."""
    yield Check(call.action, _group(call))


def ec2_tags(parameters: dict[str, object]) -> Context:
    """The tags in a request: those of a new resource, or those to add or remove."""
    tags: dict[str, str] = {}
    for name, key in parameters.items():
        if match := re.fullmatch(r"((?:TagSpecification\.\d+\.)?Tag\.\d+)\.Key", name):
            tags[str(key)] = str(parameters.get(f"{match[1]}.Value", ""))
    return {**{f"aws:RequestTag/{key}": value for key, value in tags.items()}, "aws:TagKeys": list(tags)} if tags else {}


def tag_ec2(call: Call) -> Iterator[Check]:
    for resource in call.texts(r"ResourceId\.\d+"):
        yield Check(call.action, arn("ec2", f"{_EC2_TYPES[resource.partition('-')[0]]}/{resource}"), call.tags)


_EC2_TYPES = {"sg": "security-group", "sgr": "security-group-rule", "subnet": "subnet", "vpc": "vpc"}


def _group(call: Call) -> str:
    return arn("ec2", f"security-group/{call.text('GroupId')}")


# ---- The others


def on_secret(call: Call) -> Iterator[Check]:
    secret = call.text("SecretId")
    keys: Context = {**call.tags, "secretsmanager:SecretId": secret}
    if call.text("VersionStage"):
        keys["secretsmanager:VersionStage"] = call.text("VersionStage")
    yield Check(call.action, resources.secret(secret), keys)


def create_secret(call: Call) -> Iterator[Check]:
    """The secret has no tags before it's made. API reference, CreateSecret: tags take another permission."""
    name = call.text("Name")
    secret = resources.new_secret(name)
    yield Check(call.action, secret, {**call.tags, "secretsmanager:Name": name})
    if call.tags:
        yield Check("secretsmanager:TagResource", secret, call.tags)


def start_execution(call: Call) -> Iterator[Check]:
    yield Check(call.action, call.text("stateMachineArn"))


def on_execution(call: Call) -> Iterator[Check]:
    yield Check(call.action, call.text("executionArn"))


def put_events(call: Call) -> Iterator[Check]:
    for entry in call.parameters.get("Entries", []):
        bus = entry.get("EventBusName") or "default"
        resource = bus if bus.startswith("arn:") else arn("events", f"event-bus/{bus}")
        keys = {"events:source": entry.get("Source", ""), "events:detail-type": entry.get("DetailType", "")}
        yield Check(call.action, resource, keys)


def on_cluster_resource(call: Call) -> Iterator[Check]:
    cluster = call.text("cluster")
    yield Check(call.action, resources.service(cluster, call.text("service")), _cluster(cluster))


def on_snapshot(call: Call) -> Iterator[Check]:
    yield Check(call.action, arn("rds", f"snapshot:{call.text('DBSnapshotIdentifier')}"))


def on_subnet_group(call: Call) -> Iterator[Check]:
    yield Check(call.action, arn("rds", f"subgrp:{call.text('DBSubnetGroupName')}"), call.tags)


def on_parameter(call: Call) -> Iterator[Check]:
    """A name can end with a version or label (`name:3`), which isn't part of the ARN."""
    name = call.text("Name").rpartition(":parameter/")[2].partition(":")[0]
    yield Check(call.action, arn("ssm", f"parameter/{name.lstrip('/')}"), call.tags)


def on_log_stream(call: Call) -> Iterator[Check]:
    """For `CreateLogStream`, the reference names the log group, but AWS's denials name the stream. So a policy needs
    `log-group:NAME:*` (user guide of CloudWatch Logs, iam-access-control-overview-cwl: the ARN for most actions)."""
    group = call.text("logGroupName") or call.text("logGroupIdentifier").rpartition(":log-group:")[2].removesuffix(":*")
    yield Check(call.action, arn("logs", f"log-group:{group}:log-stream:{call.text('logStreamName')}"))


def on_log_group(call: Call) -> Iterator[Check]:
    yield Check(call.action, arn("logs", f"log-group:{call.text('logGroupName')}:*"))


def on_user_pool(call: Call) -> Iterator[Check]:
    yield Check(call.action, arn("cognito-idp", f"userpool/{call.text('UserPoolId')}"))


CALLS: dict[str, Needs] = {
    "cloudformation:ContinueUpdateRollback": delete_stack,
    "cloudformation:CreateChangeSet": change_stack,
    "cloudformation:CreateStack": change_stack,
    "cloudformation:DeleteChangeSet": on_change_set,
    "cloudformation:DeleteStack": delete_stack,
    "cloudformation:DescribeChangeSet": on_change_set,
    "cloudformation:DescribeStackEvents": on_stack,
    "cloudformation:DescribeStacks": on_stack,
    "cloudformation:UpdateStack": change_stack,
    "cloudformation:UpdateTerminationProtection": on_stack,
    "cloudwatch:GetMetricData": anything,
    "cognito-idp:AdminAddUserToGroup": on_user_pool,
    "cognito-idp:AdminUserGlobalSignOut": on_user_pool,
    "ec2:AuthorizeSecurityGroupEgress": authorize_rule,
    "ec2:AuthorizeSecurityGroupIngress": authorize_rule,
    "ec2:CreateTags": tag_ec2,
    "ec2:DeleteSecurityGroup": on_group,
    "ec2:DeleteTags": tag_ec2,
    "ec2:DescribeSecurityGroupRules": anything,
    "ec2:DescribeSecurityGroups": anything,
    "ec2:DescribeSubnets": anything,
    "ec2:RevokeSecurityGroupIngress": on_group,
    "ecs:DeleteService": on_cluster_resource,
    "ecs:DeregisterTaskDefinition": anything,
    "ecs:DescribeServices": on_services,
    "ecs:DescribeTaskDefinition": anything,
    "ecs:DescribeTasks": on_tasks,
    "ecs:ListClusters": anything,
    "ecs:ListServices": list_services,
    "ecs:ListTasks": list_tasks,
    "ecs:RegisterTaskDefinition": register_task_definition,
    "ecs:RunTask": run_task,
    "ecs:StopTask": on_tasks,
    "ecs:TagResource": tag_ecs,
    "ecs:UntagResource": tag_ecs,
    "ecs:UpdateService": update_service,
    "events:PutEvents": put_events,
    "logs:CreateLogStream": on_log_stream,
    "logs:DeleteLogGroup": on_log_group,
    "logs:DeleteLogStream": on_log_stream,
    "logs:GetLogEvents": on_log_stream,
    "logs:PutLogEvents": on_log_stream,
    "logs:PutRetentionPolicy": on_log_group,
    "rds:AddTagsToResource": tag_rds,
    "rds:CreateDBInstance": create_instance,
    "rds:CreateDBSnapshot": create_snapshot,
    "rds:DeleteDBInstance": delete_instance,
    "rds:DeleteDBSnapshot": on_snapshot,
    "rds:DeleteDBSubnetGroup": on_subnet_group,
    "rds:DescribeDBClusters": anything,
    "rds:DescribeDBEngineVersions": anything,
    "rds:DescribeDBInstances": anything,
    "rds:DescribeDBSnapshots": anything,
    "rds:DescribeDBSubnetGroups": anything,
    "rds:DescribeEvents": anything,
    "rds:DescribeOrderableDBInstanceOptions": anything,
    "rds:ModifyDBInstance": modify_instance,
    "rds:RemoveTagsFromResource": tag_rds,
    "rds:RestoreDBInstanceFromDBSnapshot": restore_instance,
    "secretsmanager:CreateSecret": create_secret,
    "secretsmanager:DeleteSecret": on_secret,
    "secretsmanager:DescribeSecret": on_secret,
    "secretsmanager:GetRandomPassword": anything,
    "secretsmanager:GetSecretValue": on_secret,
    "secretsmanager:PutSecretValue": on_secret,
    "secretsmanager:UpdateSecretVersionStage": on_secret,
    "ssm:GetParameter": on_parameter,
    "ssm:GetParameterHistory": on_parameter,
    "ssm:PutParameter": on_parameter,
    "states:DescribeExecution": on_execution,
    "states:StartExecution": start_execution,
}
