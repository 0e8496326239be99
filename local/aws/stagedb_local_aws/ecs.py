"""ECS: deployments take a while, and can fail; lists have pages."""

from __future__ import annotations

import json
import time

from ministack.core.concurrency import spawn_background
from ministack.core.responses import error_response_json, get_account_id, get_region, json_response, new_uuid
from ministack.services import ecs as service

from stagedb_local_aws import cloudformation, ecs_service_tasks
from stagedb_local_aws.settings import Timings

Answer = tuple[int, dict, bytes]
_OURS = "_rolling_out"
"""Marks a deployment that we complete after a while. MiniStack hides names that start with `_`."""
_COMPLETED = "_last_completed"
"""The task definition of the service's last deployment that completed."""
_PAGE = 10
"""How many services a page has by default (ECS API, `ListServices`)."""
_PAGE_MAX = 100
_DESCRIBED_MAX = 10


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
            if ecs_service_tasks.cannot_start(primary):
                self._break_circuit(cluster_name, service_key, primary)
                return
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
            record[_COMPLETED] = primary["taskDefinition"]
            # MiniStack keeps a failed deployment. ECS stops showing it once another one is complete.
            record["deployments"] = [one for one in record["deployments"] if one["rolloutState"] != "FAILED"]
            _emit(service_key, primary, "COMPLETED")

        spawn_background(complete, thread_name=f"deploy {service_key}")

    def _break_circuit(self, cluster_name: str, service_key: str, failed: dict) -> None:
        """The circuit breaker: the deployment failed, and ECS goes back to the last one that completed."""
        record = service._services.get(service_key)
        breaker = (record or {}).get("deploymentConfiguration", {}).get("deploymentCircuitBreaker", {})
        if record is None or failed["status"] != "PRIMARY" or not breaker.get("enable"):
            return
        failed["rolloutState"] = "FAILED"
        failed["rolloutStateReason"] = "ECS deployment circuit breaker: tasks failed to start."
        failed["desiredCount"] = 0
        ecs_service_tasks.stop_deployment(record, failed)
        _emit(service_key, failed, "FAILED")
        definition = record.get(_COMPLETED)
        if not breaker.get("rollback") or definition is None:
            return
        failed["status"] = "ACTIVE"
        back = make_deployment(definition, record["desiredCount"])
        back["rolloutStateReason"] = f"ECS deployment circuit breaker: rolling back to deploymentId {back['id']}."
        ecs_service_tasks.hand_over(record, back)
        record["deployments"].insert(0, back)
        record["taskDefinition"] = definition
        service._reconcile_service_tasks(cluster_name, service_key)


def list_services(data: dict) -> Answer:
    status, headers, body = _list_services_elsewhere(data)
    return (status, headers, body) if status != 200 else page(json.loads(body)["serviceArns"], "serviceArns", data, _PAGE)


def list_clusters(data: dict) -> Answer:
    status, headers, body = _list_clusters_elsewhere(data)
    return (status, headers, body) if status != 200 else page(json.loads(body)["clusterArns"], "clusterArns", data)


def page(everything: list, name: str, data: dict, default: int = _PAGE_MAX) -> Answer:
    size = data.get("maxResults", default)
    start = data.get("nextToken", "0")
    if not 1 <= size <= _PAGE_MAX or not start.isdecimal():
        return error_response_json("InvalidParameterException", "Invalid nextToken or maxResults.", 400)
    end = int(start) + size
    answer: dict = {name: everything[int(start) : end]}
    if end < len(everything):
        answer["nextToken"] = str(end)
    return json_response(answer)


def describe_services(data: dict) -> Answer:
    if len(data.get("services", [])) > _DESCRIBED_MAX:
        return error_response_json("InvalidParameterException", "Services cannot have more than 10 elements.", 400)
    status, headers, body = _describe_services_elsewhere(data)
    if status != 200 or "TAGS" in data.get("include", []):
        return status, headers, body
    answer = json.loads(body)
    for found in answer["services"]:
        found.pop("tags", None)
    return json_response(answer)


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


def _emit(service_key: str, deployment: dict, state: str) -> None:
    arn = f"arn:aws:ecs:{get_region()}:{get_account_id()}:service/{service_key}"
    reason, words = deployment["rolloutStateReason"], state.lower().replace("_", " ")
    detail = {
        "eventType": "ERROR" if state == "FAILED" else "INFO",
        "eventName": f"SERVICE_DEPLOYMENT_{state}",
        "deploymentId": deployment["id"],
        "updatedAt": service._iso(),
        "reason": reason if "circuit breaker" in reason else f"ECS deployment {deployment['id']} {words}.",
    }
    cloudformation.publish("aws.ecs", "ECS Deployment State Change", [arn], detail)


_create_elsewhere = service._create_service
_update_elsewhere = service._update_service
_make_elsewhere = service._make_deployment
_complete_elsewhere = service._complete_service_deployment
_sanitize_elsewhere = service._sanitize
_list_services_elsewhere = service._list_services
_list_clusters_elsewhere = service._list_clusters
_describe_services_elsewhere = service._describe_services


def install(timings: Timings) -> None:
    services = Services(timings)
    ecs_service_tasks.install()
    service._make_deployment = make_deployment
    service._complete_service_deployment = services.complete_later
    service._sanitize = wire_shape
    for action, name, handler in (
        ("CreateService", "_create_service", services.create),
        ("UpdateService", "_update_service", services.update),
        ("ListServices", "_list_services", list_services),
        ("ListClusters", "_list_clusters", list_clusters),
        ("DescribeServices", "_describe_services", describe_services),
    ):
        setattr(service, name, handler)
        service._ACTION_MAP[action] = handler
