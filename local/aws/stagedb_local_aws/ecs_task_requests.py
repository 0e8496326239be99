"""What ECS rejects in a RunTask request.

Source: the API reference of RunTask. Where it doesn't give a message, the message is ours.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from ministack.services import ec2, iam
from ministack.services import ecs as service

OVERRIDES_MAX = 8192
STARTED_BY = re.compile(r"[A-Za-z0-9_/-]{0,128}")
COUNT_MAX = 10
SUBNETS_MAX, GROUPS_MAX = 16, 5
TOKEN_MAX = 64


class Refusal(Exception):
    def __init__(self, code: str, message: str, **members: object) -> None:
        super().__init__(message)
        self.code, self.message, self.members = code, message, members


@dataclass(frozen=True)
class Request:
    """A request that ECS accepts."""

    data: dict
    cluster: dict
    definition: dict
    launch_type: str
    capacity_provider: str | None
    overrides: dict = field(default_factory=dict)

    @property
    def network(self) -> dict:
        return self.data.get("networkConfiguration", {}).get("awsvpcConfiguration", {})

    @property
    def roles(self) -> list[str]:
        """The task's roles: those of the request, or else those of the definition."""
        names = ("executionRoleArn", "taskRoleArn")
        return [role for role in (self.overrides.get(name) or self.definition.get(name) for name in names) if role]


def parse(data: dict) -> Request:
    """Raises Refusal."""
    cluster = cluster_of(data)
    definition = _definition(data.get("taskDefinition", ""))
    launch_type, strategy, error = service._launch_choice(data, cluster)
    if error:
        raise Refusal("InvalidParameterException", json.loads(error[2])["message"])
    launch_type, provider = service._task_capacity(launch_type, strategy)
    request = Request(data, cluster, definition, launch_type, provider, data.get("overrides") or {})
    _check_texts(data)
    _check_network(request)
    _check_overrides(request)
    compatible = definition.get("requiresCompatibilities", [])
    if launch_type == "FARGATE" and "FARGATE" not in compatible:
        raise _invalid("Task definition does not support launch_type FARGATE.")
    for role in request.roles:
        _check_role(role)
    return request


def cluster_of(data: dict) -> dict:
    cluster = service._clusters.get(service._resolve_cluster_name(data.get("cluster", "default")))
    if cluster is None:
        raise Refusal("ClusterNotFoundException", "Cluster not found.")
    return cluster


def _definition(reference: str) -> dict:
    """A family stands for its latest active revision."""
    key = service._resolve_td_key(reference)
    if reference and ":" not in reference:
        active = [d for d in service._task_defs.values() if d["family"] == reference and d["status"] == "ACTIVE"]
        key = f"{reference}:{max((d['revision'] for d in active), default=0)}"
    found = service._task_defs.get(key)
    if found is None or found["status"] != "ACTIVE":
        raise Refusal("ClientException", "TaskDefinition not found.")
    return found


def _check_texts(data: dict) -> None:
    if not STARTED_BY.fullmatch(data.get("startedBy", "")):
        raise _invalid("startedBy must have at most 128 letters, digits, hyphens, underscores, and slashes.")
    if len(data.get("clientToken", "")) > TOKEN_MAX:
        raise _invalid(f"clientToken must have at most {TOKEN_MAX} characters.")
    if not 1 <= data.get("count", 1) <= COUNT_MAX:
        raise _invalid(f"count must be from 1 to {COUNT_MAX}.")
    if data.get("propagateTags", "NONE") not in ("NONE", "TASK_DEFINITION"):
        raise _invalid("Invalid value for propagateTags. A task can only get the tags of its task definition.")


def _check_network(request: Request) -> None:
    is_awsvpc = request.definition.get("networkMode") == "awsvpc"
    network = request.network
    if is_awsvpc and not network.get("subnets"):
        raise _invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
    if not is_awsvpc and network:
        raise _invalid("Network Configuration is not valid for the given networkMode of this task definition.")
    if not is_awsvpc:
        return
    subnets, groups = network["subnets"], network.get("securityGroups", [])
    if len(subnets) > SUBNETS_MAX:
        raise _invalid(f"subnets can have at most {SUBNETS_MAX} items.")
    if len(groups) > GROUPS_MAX:
        raise _invalid(f"securityGroups can have at most {GROUPS_MAX} items.")
    if network.get("assignPublicIp") == "ENABLED" and request.launch_type != "FARGATE":
        raise _invalid("Assign public IP is not supported for this launch type.")
    ec2._ensure_defaults_initialized()
    for subnet in subnets:
        if subnet not in ec2._subnets:
            raise _invalid(
                f"Error retrieving subnet information for {_listed(subnets)}: The subnet ID '{subnet}' does not exist "
                "(ErrorCode: InvalidSubnetID.NotFound)"
            )
    for group in groups:
        if group not in ec2._security_groups:
            raise _invalid(
                f"Error retrieving security group information for {_listed(groups)}: The security group '{group}' does "
                "not exist (ErrorCode: InvalidGroup.NotFound)"
            )
        if ec2._security_groups[group]["VpcId"] != ec2._subnets[subnets[0]]["VpcId"]:
            raise _invalid(f"Security group {group} does not appear to belong to the same VPC as the input subnets.")


def _check_overrides(request: Request) -> None:
    if len(json.dumps(request.overrides, separators=(",", ":"), ensure_ascii=False)) > OVERRIDES_MAX:
        raise _invalid(f"Container Overrides length must be at most {OVERRIDES_MAX}")
    names = {container["name"] for container in request.definition["containerDefinitions"]}
    for override in request.overrides.get("containerOverrides", []):
        if override.get("name") not in names:
            raise _invalid(
                f"Override for container named {override.get('name')} is not a container in the TaskDefinition."
            )


def _check_role(arn: str) -> None:
    """A task's role must exist, and trust ECS."""
    role = iam._roles.get(arn.rpartition("/")[2])
    if role is None or not _trusts_ecs(role["AssumeRolePolicyDocument"]):
        raise Refusal(
            "ClientException",
            f"ECS was unable to assume the role '{arn}' that was provided for this task. Please verify that the role "
            "being passed has the proper trust relationship and permissions and that your IAM user has permissions to "
            "pass this role.",
        )


def _trusts_ecs(document: str | dict) -> bool:
    statements = (json.loads(document) if isinstance(document, str) else document).get("Statement", [])
    for statement in [statements] if isinstance(statements, dict) else statements:
        principal = statement.get("Principal", {})
        trusted = principal.get("Service", []) if isinstance(principal, dict) else []
        services = [trusted] if isinstance(trusted, str) else trusted
        if statement["Effect"] == "Allow" and "ecs-tasks.amazonaws.com" in services:
            return True
    return False


def _listed(items: list[str]) -> str:
    return f"[{', '.join(items)}]"


def _invalid(message: str) -> Refusal:
    return Refusal("InvalidParameterException", message)
