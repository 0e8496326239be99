"""ECS: task definitions are returned as they were registered, by the API or by CloudFormation."""

from __future__ import annotations

import json

from ministack.core.responses import error_response_json, json_response
from ministack.services import ecs as service
from ministack.services.cloudformation import provisioners

Answer = tuple[int, dict, bytes]
Created = tuple[str, dict]

_MAPS = {"options", "dockerLabels", "driverOpts", "labels"}
"""Members whose keys are the user's own."""


def register(data: dict) -> Answer:
    """Keeps every given member, and adds none that AWS would leave out."""
    status, headers, body = _register_elsewhere(data)
    if status != 200:
        return status, headers, body
    arn = json.loads(body)["taskDefinition"]["taskDefinitionArn"]
    definition = service._task_defs[service._resolve_td_key(arn)]
    definition |= {name: value for name, value in data.items() if name != "tags" and name not in definition}
    for name in [name for name, value in definition.items() if value in ("", None) and not data.get(name)]:
        del definition[name]
    return json_response({"taskDefinition": definition, "tags": data.get("tags", [])})


def describe(data: dict) -> Answer:
    reference = data.get("taskDefinition", "")
    if reference and ":" not in reference:
        revision = _latest_active(reference)
        if revision is None:
            return error_response_json("ClientException", "Unable to describe task definition.", 400)
        data = data | {"taskDefinition": f"{reference}:{revision}"}
    status, headers, body = _describe_elsewhere(data)
    if status != 200 or "TAGS" in data.get("include", []):
        return status, headers, body
    return json_response({"taskDefinition": json.loads(body)["taskDefinition"]})


def _latest_active(family: str) -> int | None:
    active = [d for d in service._task_defs.values() if d["family"] == family and d["status"] == "ACTIVE"]
    return max((definition["revision"] for definition in active), default=None)


def create_resource(logical_id: str, props: dict, stack_name: str) -> Created:
    """`AWS::ECS::TaskDefinition`: MiniStack's own handler loses some members and leaves others in PascalCase."""
    data = _as_in_the_api({"Family": f"{stack_name}-{logical_id}"} | props)
    status, _, body = service._register_task_definition(data)
    if status != 200:
        raise ValueError(json.loads(body).get("message", "the task definition isn't valid"))
    arn = json.loads(body)["taskDefinition"]["taskDefinitionArn"]
    return arn, {"TaskDefinitionArn": arn}


def _as_in_the_api(value: object) -> object:
    if isinstance(value, list):
        return [_as_in_the_api(item) for item in value]
    if not isinstance(value, dict):
        return value
    camel = {name[:1].lower() + name[1:]: item for name, item in value.items()}
    return {name: item if name in _MAPS else _as_in_the_api(item) for name, item in camel.items()}


_register_elsewhere = service._register_task_definition
_describe_elsewhere = service._describe_task_definition


def install() -> None:
    for action, name, handler in (
        ("RegisterTaskDefinition", "_register_task_definition", register),
        ("DescribeTaskDefinition", "_describe_task_definition", describe),
    ):
        setattr(service, name, handler)
        service._ACTION_MAP[action] = handler
    provisioners._STACK_TAG_PROPERTY["AWS::ECS::TaskDefinition"] = ("Tags", "list")
    # Its update calls this name for a new revision.
    provisioners._ecs_task_def_create = create_resource
    provisioners._RESOURCE_HANDLERS["AWS::ECS::TaskDefinition"]["create"] = create_resource
