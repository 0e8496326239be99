"""The ARNs and tags of the resources that a request names, as they are now."""

from __future__ import annotations

from ministack.core.responses import get_account_id, get_region
from ministack.services import cloudwatch_logs as logs
from ministack.services import ec2, ecs, iam, rds, ssm
from ministack.services import secretsmanager as secrets
from ministack.services.cloudformation import _stacks

Tags = dict[str, str]


def arn(service: str, rest: str, region: str | None = None) -> str:
    return f"arn:aws:{service}:{get_region() if region is None else region}:{get_account_id()}:{rest}"


def tags_of(resource: str) -> Tags:
    """The tags of the resource with this ARN. Empty if it doesn't exist, or has none."""
    parts = resource.split(":", 5)
    find = _TAGS.get(parts[2]) if len(parts) == 6 else None
    return find(resource, parts[5]) if find else {}


# ---- CloudFormation


def stack(name_or_id: str) -> str:
    """AWS knows the ID of a stack that exists. That of a new one isn't known yet."""
    found = _stacks.get(name_or_id) or next((s for s in _stacks.values() if s.get("StackId") == name_or_id), None)
    if found is not None and found["StackStatus"] != "DELETE_COMPLETE":
        return found["StackId"]
    return name_or_id if name_or_id.startswith("arn:") else arn("cloudformation", f"stack/{name_or_id}/*")


def _of_stack(resource: str, _rest: str) -> Tags:
    found = next((s for s in _stacks.values() if s.get("StackId") == resource), {})
    return _pairs(found.get("Tags", []))


# ---- ECS


def service(cluster: str, name_or_arn: str) -> str:
    if name_or_arn.startswith("arn:"):
        return name_or_arn
    return arn("ecs", f"service/{cluster.rpartition('/')[2] or 'default'}/{name_or_arn}")


def task_definition(reference: str) -> str:
    """ECS authorizes against a revision: that of the request, or the family's latest active one (API reference, RunTask)."""
    name = reference.rpartition("task-definition/")[2]
    if name and ":" not in name:
        active = [d["revision"] for d in ecs._task_defs.values() if d["family"] == name and d["status"] == "ACTIVE"]
        name = f"{name}:{max(active, default='*')}"
    return arn("ecs", f"task-definition/{name}")


def roles_of_task(definition: str, overrides: dict) -> list[str]:
    """Those of the definition, and those that a request names instead."""
    found = ecs._task_defs.get(definition.rpartition("/")[2]) or {}
    names = ("executionRoleArn", "taskRoleArn")
    return list(dict.fromkeys(roles[name] for roles in (found, overrides) for name in names if roles.get(name)))


def task(cluster: str, id_or_arn: str) -> str:
    if id_or_arn.startswith("arn:"):
        return id_or_arn
    return arn("ecs", f"task/{cluster.rpartition('/')[2] or 'default'}/{id_or_arn}")


def _of_ecs(resource: str, _rest: str) -> Tags:
    return {tag["key"]: tag["value"] for tag in ecs._tags.get(resource, [])}


# ---- The others


def secret(name_or_arn: str) -> str:
    """AWS authorizes against the ARN with its six random characters, also for a secret that doesn't exist yet."""
    _, found = secrets._resolve(name_or_arn)
    if found:
        return found["ARN"]
    return name_or_arn if name_or_arn.startswith("arn:") else new_secret(name_or_arn)


def new_secret(name: str) -> str:
    """Also if there is a secret with this name already: its ARN and tags say nothing about another one."""
    return arn("secretsmanager", f"secret:{name}-AbCdEf")


def _of_secret(resource: str, _rest: str) -> Tags:
    _, found = secrets._resolve(resource)
    return _pairs((found or {}).get("Tags") or [])


def _of_ec2(_resource: str, rest: str) -> Tags:
    return _pairs(ec2._tags.get(rest.partition("/")[2], []))


def _of_log(_resource: str, rest: str) -> Tags:
    """Of a log group, also for its streams."""
    name = rest.removeprefix("log-group:").partition(":")[0]
    return dict((logs._log_groups.get(name) or {}).get("tags") or {})


def _pairs(tags: list[dict]) -> Tags:
    return {tag["Key"]: tag.get("Value", "") for tag in tags}


_TAGS = {
    "cloudformation": _of_stack,
    "ec2": _of_ec2,
    "ecs": _of_ecs,
    "iam": lambda _arn, rest: _pairs((iam._roles.get(rest.rpartition("/")[2]) or {}).get("Tags") or []),
    "logs": _of_log,
    "rds": lambda resource, _rest: _pairs(rds._tags.get(resource, [])),
    "secretsmanager": _of_secret,
    "ssm": lambda resource, _rest: dict(ssm._tags.get(resource, {})),
}
