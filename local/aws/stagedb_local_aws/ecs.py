"""ECS: deployments take a while, and task definitions are returned as they were registered."""

from __future__ import annotations

import json
import time

from ministack.core.concurrency import spawn_background
from ministack.core.responses import error_response_json, get_account_id, get_region, json_response, new_uuid
from ministack.services import ecs as service

from stagedb_local_aws import cloudformation
from stagedb_local_aws.settings import Timings

Answer = tuple[int, dict, bytes]
_OURS = "_rolling_out"
"""Marks a deployment that we complete after a while. MiniStack hides names that start with `_`."""


class Services:
    def __init__(self, timings: Timings) -> None:
        self._timings = timings

    def create(self, data: dict) -> Answer:
        return _refuse_unknown_task_definition(data) or _create_elsewhere(data)

    def update(self, data: dict) -> Answer:
        if "taskDefinition" in data and (refusal := _refuse_unknown_task_definition(data)):
            return refusal
        return _update_elsewhere(data)

    def complete_later(self, cluster_name: str, service_key: str, expected_deployment_id: str | None = None) -> None:
        """MiniStack completes a deployment immediately. ECS waits for a steady state first."""
        primary = service._primary_deployment(service._services[service_key])
        if primary is None or _OURS in primary or primary["rolloutState"] != "IN_PROGRESS":
            return
        primary[_OURS] = True

        def complete() -> None:
            _emit(service_key, primary, "IN_PROGRESS")
            time.sleep(self._timings.ecs_steady_seconds)
            primary[_OURS] = False
            _complete_elsewhere(cluster_name, service_key, primary["id"])
            record = service._services.get(service_key)
            if record is None or primary["rolloutState"] != "COMPLETED":
                return
            record["events"].insert(
                0,
                {
                    "id": new_uuid(),
                    "createdAt": service._iso(),
                    "message": f"(service {record['serviceName']}) has reached a steady state.",
                },
            )
            _emit(service_key, primary, "COMPLETED")

        spawn_background(complete, thread_name=f"deploy {service_key}")


def _refuse_unknown_task_definition(data: dict) -> Answer | None:
    definition = service._task_defs.get(service._resolve_td_key(data.get("taskDefinition", "")))
    if definition is None:
        return error_response_json("ClientException", "TaskDefinition not found.", 400)
    if definition["status"] != "ACTIVE":
        return error_response_json("ClientException", "TaskDefinition is inactive", 400)
    return None


def make_deployment(*arguments, **options) -> dict:
    deployment = _make_elsewhere(*arguments, **options)
    deployment["rolloutState"] = "IN_PROGRESS"
    deployment["rolloutStateReason"] = f"ECS deployment {deployment['id']} in progress."
    return deployment


def wire_shape(record: object) -> object:
    """While a deployment is in progress, its tasks are still starting."""
    shown = _sanitize_elsewhere(record)
    if not (isinstance(record, dict) and "deployments" in record):
        return shown
    starting = 0
    for deployment, view in zip(record["deployments"], shown["deployments"], strict=True):
        if deployment.get(_OURS):
            starting = view["desiredCount"]
            view |= {"runningCount": 0, "pendingCount": starting}
    if starting:
        shown["runningCount"] = sum(view["runningCount"] for view in shown["deployments"])
        shown["pendingCount"] = starting
    return shown


def register_task_definition(data: dict) -> Answer:
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


def describe_task_definition(data: dict) -> Answer:
    status, headers, body = _describe_elsewhere(data)
    if status != 200 or "TAGS" in data.get("include", []):
        return status, headers, body
    return json_response({"taskDefinition": json.loads(body)["taskDefinition"]})


def _emit(service_key: str, deployment: dict, state: str) -> None:
    arn = f"arn:aws:ecs:{get_region()}:{get_account_id()}:service/{service_key}"
    detail = {
        "eventType": "INFO",
        "eventName": f"SERVICE_DEPLOYMENT_{state}",
        "deploymentId": deployment["id"],
        "updatedAt": service._iso(),
        "reason": f"ECS deployment {deployment['id']} {state.lower().replace('_', ' ')}.",
    }
    cloudformation.publish("aws.ecs", "ECS Deployment State Change", [arn], detail)


_create_elsewhere = service._create_service
_update_elsewhere = service._update_service
_make_elsewhere = service._make_deployment
_complete_elsewhere = service._complete_service_deployment
_sanitize_elsewhere = service._sanitize
_register_elsewhere = service._register_task_definition
_describe_elsewhere = service._describe_task_definition


def install(timings: Timings) -> None:
    services = Services(timings)
    service._make_deployment = make_deployment
    service._complete_service_deployment = services.complete_later
    service._sanitize = wire_shape
    for action, name, handler in (
        ("CreateService", "_create_service", services.create),
        ("UpdateService", "_update_service", services.update),
        ("RegisterTaskDefinition", "_register_task_definition", register_task_definition),
        ("DescribeTaskDefinition", "_describe_task_definition", describe_task_definition),
    ):
        setattr(service, name, handler)
        service._ACTION_MAP[action] = handler
