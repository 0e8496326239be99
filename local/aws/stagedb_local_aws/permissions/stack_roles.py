"""The role of a stack: CloudFormation makes its calls with it.

Which calls belong to a resource type is in the type's schema (`handlers.*.permissions`). Those that only read are made
after each change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ministack.services.cloudformation import _stacks, handlers
from ministack.services.cloudformation.helpers import _p

from stagedb_local_aws.permissions import resources
from stagedb_local_aws.permissions.checks import Check, Context, pass_role, service_linked_role
from stagedb_local_aws.permissions.resources import arn

_roles: dict[str, str] = {}
"""The role's ARN by the stack's name. A stack without one uses the permissions of the one who changes it."""


def role_of(stack_name: str) -> str | None:
    return _roles.get(stack_name)


def needed(resource_type: str, verb: str, physical_id: str, props: dict, stack_name: str) -> list[Check] | None:
    """What creating, updating or deleting a resource needs. None if the type isn't known."""
    if resource_type.startswith("Custom::"):
        return [Check("lambda:InvokeFunction", str(props.get("ServiceToken", "")))]
    needs = _TYPES.get(resource_type)
    return None if needs is None else list(needs(verb, physical_id, props, _tags(props, stack_name)))


def verb_of_update(resource_type: str, old: dict, new: dict) -> str:
    """`create` for a task definition that gets another revision. Other types are updated in place."""
    rest = ({name: value for name, value in props.items() if name != "Tags"} for props in (old, new))
    return "create" if resource_type == "AWS::ECS::TaskDefinition" and next(rest) != next(rest) else "update"


def _tags(props: dict, stack_name: str) -> Context:
    """A stack's tags are also those of its resources. AWS's own tags need no permission."""
    own = props.get("Tags") or {}
    of_stack = {tag["Key"]: tag.get("Value", "") for tag in _stacks.get(stack_name, {}).get("Tags", [])}
    tags = of_stack | (own if isinstance(own, dict) else {tag["Key"]: tag.get("Value", "") for tag in own})
    return {**{f"aws:RequestTag/{key}": value for key, value in tags.items()}, "aws:TagKeys": list(tags)} if tags else {}


def _once_made(verb: str, tags: Context) -> Context:
    """What is new has its tags by the time of the calls that follow."""
    if verb != "create":
        return {}
    prefix = "aws:RequestTag/"
    return {
        f"aws:ResourceTag/{key.removeprefix(prefix)}": value for key, value in tags.items() if key.startswith(prefix)
    }


# ---- Secrets Manager


def _secret(verb: str, physical_id: str, props: dict, tags: Context) -> Iterator[Check]:
    resource = resources.secret(physical_id or props["Name"])
    action = {"create": "CreateSecret", "update": "UpdateSecret", "delete": "DeleteSecret"}[verb]
    yield Check(f"secretsmanager:{action}", resource, tags if verb == "create" else {})
    if tags and verb != "delete":
        yield Check("secretsmanager:TagResource", resource, tags)
    if verb == "delete":
        # CloudFormation looks whether it's gone.
        yield Check("secretsmanager:DescribeSecret", resource, is_gone=True)
    else:
        yield Check("secretsmanager:DescribeSecret", resource, _once_made(verb, tags))


def _secret_policy(verb: str, physical_id: str, props: dict, _tags: Context) -> Iterator[Check]:
    resource = resources.secret(physical_id or props["SecretId"])
    if verb == "delete":
        yield Check("secretsmanager:DeleteResourcePolicy", resource)
    else:
        yield Check("secretsmanager:PutResourcePolicy", resource)
        if props.get("BlockPublicPolicy"):
            # CloudFormation has the policy validated before it's attached.
            yield Check("secretsmanager:ValidateResourcePolicy", resource)
    yield Check("secretsmanager:GetResourcePolicy", resource)


# ---- Systems Manager


def _parameter(verb: str, physical_id: str, props: dict, tags: Context) -> Iterator[Check]:
    resource = arn("ssm", f"parameter/{(physical_id or props['Name']).lstrip('/')}")
    if verb == "delete":
        yield Check("ssm:DeleteParameter", resource)
    else:
        yield Check("ssm:PutParameter", resource, tags)
        if tags:
            yield Check("ssm:AddTagsToResource", resource, tags)
        yield Check("ssm:ListTagsForResource", resource)
    yield Check("ssm:GetParameters", resource)


# ---- CloudWatch Logs


def _log_group(verb: str, physical_id: str, props: dict, tags: Context) -> Iterator[Check]:
    """Tags are those of the group itself. The other actions need `log-group:NAME:*` (user guide of CloudWatch Logs)."""
    name = physical_id or props.get("LogGroupName", "*")
    group, streams = arn("logs", f"log-group:{name}"), arn("logs", f"log-group:{name}:*")
    made = _once_made(verb, tags)
    if verb == "delete":
        yield Check("logs:DeleteLogGroup", streams)
        yield Check("logs:DescribeLogGroups", _all_log_groups())
        return
    if verb == "create":
        yield Check("logs:CreateLogGroup", streams, tags)
    if tags:
        yield Check("logs:TagResource", group, tags)
    if props.get("RetentionInDays"):
        yield Check("logs:PutRetentionPolicy", streams, made)
    elif verb == "update":
        yield Check("logs:DeleteRetentionPolicy", streams)
    yield Check("logs:DescribeLogGroups", _all_log_groups())
    yield Check("logs:ListTagsForResource", group, made)


def _all_log_groups() -> str:
    """What `DescribeLogGroups` is checked against, whatever its prefix."""
    return arn("logs", "log-group::log-stream:")


# ---- ECS


def _task_definition(verb: str, physical_id: str, props: dict, tags: Context) -> Iterator[Check]:
    """An update changes nothing but tags. Any other change creates the next revision, and deletes the old one later."""
    if verb == "create":
        resource = arn("ecs", f"task-definition/{props.get('Family', '*')}:*")
        yield Check("ecs:RegisterTaskDefinition", resource, tags)
        if tags:
            keys = {**tags, "ecs:CreateAction": "RegisterTaskDefinition"}
            yield Check("ecs:TagResource", resource, keys)
        for name in ("ExecutionRoleArn", "TaskRoleArn"):
            if props.get(name):
                yield pass_role(props[name], "ecs-tasks.amazonaws.com")
    elif verb == "update" and tags:
        yield Check("ecs:TagResource", physical_id, tags)
    elif verb == "delete":
        yield Check("ecs:DeregisterTaskDefinition")
    yield Check("ecs:DescribeTaskDefinition")


# ---- EC2


def _security_group(verb: str, physical_id: str, props: dict, tags: Context) -> Iterator[Check]:
    group = arn("ec2", f"security-group/{physical_id or '*'}")
    rule = arn("ec2", "security-group-rule/*")
    made = _once_made(verb, tags)
    if verb == "delete":
        yield Check("ec2:DescribeInstances")
        yield Check("ec2:DeleteSecurityGroup", group)
    elif verb == "create":
        yield Check("ec2:CreateSecurityGroup", group, tags)
        yield Check("ec2:CreateSecurityGroup", arn("ec2", f"vpc/{props.get('VpcId', '')}"))
        if tags:
            yield Check("ec2:CreateTags", group, {**tags, "ec2:CreateAction": "CreateSecurityGroup"})
        if props.get("SecurityGroupEgress"):
            # It replaces the rule that every new group has.
            yield Check("ec2:RevokeSecurityGroupEgress", group, made)
    elif props.get("SecurityGroupIngress"):
        yield Check("ec2:AuthorizeSecurityGroupIngress", group)
        yield Check("ec2:AuthorizeSecurityGroupIngress", rule)
    else:
        yield Check("ec2:RevokeSecurityGroupIngress", group)
    for name, direction in (("SecurityGroupIngress", "Ingress"), ("SecurityGroupEgress", "Egress")):
        if verb == "create" and props.get(name):
            yield Check(f"ec2:AuthorizeSecurityGroup{direction}", group, made)
            yield Check(f"ec2:AuthorizeSecurityGroup{direction}", rule)
    yield Check("ec2:DescribeSecurityGroups")


# ---- RDS


def _subnet_group(verb: str, physical_id: str, _props: dict, tags: Context) -> Iterator[Check]:
    resource = arn("rds", f"subgrp:{physical_id or '*'}".lower())
    action = {"create": "CreateDBSubnetGroup", "update": "ModifyDBSubnetGroup", "delete": "DeleteDBSubnetGroup"}[verb]
    yield Check(f"rds:{action}", resource, tags if verb == "create" else {})
    if verb == "create":
        if tags:
            yield Check("rds:AddTagsToResource", resource, tags)
        yield from service_linked_role("rds.amazonaws.com", "AWSServiceRoleForRDS")
    if verb != "delete":
        # RDS looks at the network with the permissions of the caller.
        yield Check("ec2:DescribeSubnets")
        yield Check("ec2:DescribeVpcs")
    yield Check("rds:DescribeDBSubnetGroups")
    yield Check("rds:ListTagsForResource", resource, _once_made(verb, tags))


_TYPES: dict[str, Callable[[str, str, dict, Context], Iterator[Check]]] = {
    "AWS::EC2::SecurityGroup": _security_group,
    "AWS::ECS::TaskDefinition": _task_definition,
    "AWS::Logs::LogGroup": _log_group,
    "AWS::RDS::DBSubnetGroup": _subnet_group,
    "AWS::SSM::Parameter": _parameter,
    "AWS::SecretsManager::ResourcePolicy": _secret_policy,
    "AWS::SecretsManager::Secret": _secret,
}


def _remember_role(operation: str, handler: Callable) -> Callable:
    def call(params):
        stack = handlers._resolve_stack(_p(params, "StackName"))
        name = stack["StackName"] if stack else _p(params, "StackName")
        before, role = _roles.get(name), _p(params, "RoleARN")
        if role:
            # Before the call, because it starts the operation.
            _roles[name] = role
        elif operation == "CreateStack":
            _roles.pop(name, None)
        answer = handler(params)
        if answer[0] != 200 and before:
            _roles[name] = before
        return answer

    return call


def install() -> None:
    for name in ("CreateStack", "UpdateStack", "DeleteStack", "ContinueUpdateRollback"):
        handlers._ACTION_HANDLERS[name] = _remember_role(name, handlers._ACTION_HANDLERS[name])
