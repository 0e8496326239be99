"""ECS: the tasks of services. They're descriptions without a process.

MiniStack starts and stops them with the deployments of their service. Here, they look as on AWS, a stopped one drains for
a while and is then shown for an hour, and one whose image can't start stays `PENDING`.
"""

from __future__ import annotations

import json
import secrets
import threading

from ministack.core.responses import json_response
from ministack.services import ecs as service

from stagedb_local_aws.ecs_task_requests import Request
from stagedb_local_aws.ecs_task_runs import Container, arn_of_task, now, record_of

Answer = tuple[int, dict, bytes]
KEPT_SECONDS = 3600.0
"""How long a stopped task is shown (API reference, DescribeTasks: at least an hour)."""
KEPT_MAX = 200
"""How many stopped tasks are shown. On AWS, there's no such limit."""
_DEPLOYMENT = "_deployment_id"
"""The deployment that a task belongs to. MiniStack sets it for the tasks of services only."""
_lock = threading.Lock()


def cannot_start(deployment: dict) -> bool:
    """An image with the tag `broken` can't start, and one with `broken-with-secrets` or `broken-without-secrets` not so."""
    definition = service._task_defs.get(service._resolve_td_key(deployment["taskDefinition"]), {})
    containers = definition.get("containerDefinitions", [])
    tags = {container.get("image", "").rpartition(":")[2]: bool(container.get("secrets")) for container in containers}
    return "broken" in tags or tags.get("broken-with-secrets", False) or not tags.get("broken-without-secrets", True)


# ---- Starting


def run(data: dict) -> Answer:
    """MiniStack's RunTask, with which it also starts the tasks of a deployment."""
    if not data.get("_deploymentId"):
        return _run_elsewhere(data)
    request = _request(data)
    started = [_start(request, data["_deploymentId"]) for _ in range(data["count"])]
    service._recount_cluster(request.cluster["clusterName"])
    return json_response({"tasks": [service._sanitize(task) for task in started], "failures": []})


def _request(data: dict) -> Request:
    cluster = service._clusters[service._resolve_cluster_name(data["cluster"])]
    definition = service._task_defs[service._resolve_td_key(data["taskDefinition"])]
    launch_type, provider = service._task_capacity(data.get("launchType"), data.get("capacityProviderStrategy"))
    return Request({**data, "startedBy": data["_deploymentId"]}, cluster, definition, launch_type, provider)


def _start(request: Request, deployment_id: str) -> dict:
    identifier = secrets.token_hex(16)
    arn = arn_of_task(request.cluster, identifier)
    definitions = json.loads(json.dumps(request.definition["containerDefinitions"]))
    containers = [Container(definition, {}, arn).record for definition in definitions]
    task = record_of(request, arn, containers, _tags(request))
    # `_startup_stable`: MiniStack waits for it before a deployment is complete.
    task |= {_DEPLOYMENT: deployment_id, "_startup_stable": True, "lastStatus": "PENDING"}
    if not cannot_start({"taskDefinition": request.definition["taskDefinitionArn"]}):
        for container in containers:
            container |= {"lastStatus": "RUNNING", "runtimeId": f"{identifier}-{secrets.randbelow(10**10):010}"}
        task |= {"lastStatus": "RUNNING", "startedAt": task["createdAt"]}
    service._tags[arn] = list(task["tags"])
    service._tasks[arn] = task
    return task


def _tags(request: Request) -> list[dict]:
    """What the service propagates. Without that, its tasks have no tags."""
    record = _service_of({"clusterArn": request.cluster["clusterArn"], "group": request.data["group"]})
    source = {"SERVICE": record.get("serviceArn", ""), "TASK_DEFINITION": request.definition["taskDefinitionArn"]}
    found = service._tags.get(source.get(record.get("propagateTags"), ""), [])
    return [dict(tag) for tag in found if not tag["key"].startswith("aws:")]


# ---- Stopping


def stop(data: dict) -> Answer:
    """MiniStack's StopTask, with which it also stops the tasks of old deployments."""
    task = _find(data)
    if task is None:
        return _stop_elsewhere(data)
    primary = service._primary_deployment(_service_of(task)) or {"id": task[_DEPLOYMENT]}
    _drain(task, "ServiceSchedulerInitiated", f"Scaling activity initiated by (deployment {primary['id']})")
    return json_response({"task": service._sanitize(task)})


def stop_by_user(data: dict) -> Answer | None:
    """The service starts another one. None if it's no task of a service."""
    task = _find(data)
    if task is None:
        return None
    _drain(task, "UserInitiated", data.get("reason") or "Task stopped by user")
    cluster = service._resolve_cluster_name(task["clusterArn"])
    service._reconcile_service_tasks(cluster, f"{cluster}/{task['group'].removeprefix('service:')}")
    return json_response({"task": service._sanitize(task)})


def stop_deployment(record: dict, deployment: dict) -> None:
    for task in _live(record, deployment):
        stop({"cluster": record["clusterArn"], "task": task["taskArn"]})


def reconcile(cluster_name: str, service_key: str) -> None:
    """A deployment that failed or was overtaken keeps no tasks. Those of the last complete one stay until the next is."""
    record = service._services.get(service_key)
    if record is None:
        return
    for deployment in record["deployments"]:
        is_overtaken = deployment["status"] != "PRIMARY" and deployment["rolloutState"] == "IN_PROGRESS"
        if is_overtaken or deployment["rolloutState"] == "FAILED":
            stop_deployment(record, deployment)
    primary = service._primary_deployment(record)
    if primary and primary["rolloutState"] == "FAILED" and record["desiredCount"] > 0:
        return
    _reconcile_elsewhere(cluster_name, service_key)


def hand_over(record: dict, rollback: dict) -> None:
    """A rollback starts nothing: the tasks of the last deployment that completed stay, and belong to the rollback."""
    for deployment in list(record["deployments"]):
        is_source = deployment["rolloutState"] == "COMPLETED"
        if is_source and deployment["taskDefinition"] == rollback["taskDefinition"]:
            for task in _live(record, deployment):
                task |= {_DEPLOYMENT: rollback["id"], "startedBy": rollback["id"]}
            record["deployments"].remove(deployment)


def _drain(task: dict, code: str, reason: str) -> None:
    with _lock:
        if task["desiredStatus"] == "STOPPED":
            return
        task |= {"stopCode": code, "stoppedReason": reason, "stoppingAt": now()}
        task |= {"desiredStatus": "STOPPED", "lastStatus": "DEACTIVATING"}
        service._bump_task_version(task)
    cluster = service._resolve_cluster_name(task["clusterArn"])
    service._recount_cluster(cluster)
    service._refresh_service_state(cluster, task["group"])


# ---- Over time


def settle(drain_seconds: float) -> None:
    """What time has done to the tasks that were stopped. Call this before they're shown."""
    with _lock:
        stopping = [task for task in _all() if task["lastStatus"] == "DEACTIVATING"]
        for task in stopping:
            # What never ran has no connections to drain.
            end = task["stoppingAt"] + (drain_seconds if task["startedAt"] else 0)
            if end <= now():
                _finish(task, end)
        _forget()


def _finish(task: dict, end: float) -> None:
    for container in task["containers"]:
        container |= {"lastStatus": "STOPPED", "exitCode": 0 if task["startedAt"] else None}
    task |= {"executionStoppedAt": end, "stoppedAt": end, "lastStatus": "STOPPED"}
    service._bump_task_version(task)


def _forget() -> None:
    stopped = sorted((task for task in _all() if task["stoppedAt"]), key=lambda task: task["stoppedAt"], reverse=True)
    for place, task in enumerate(stopped):
        if place >= KEPT_MAX or task["stoppedAt"] + KEPT_SECONDS < now():
            service._tasks.pop(task["taskArn"], None)
            service._tags.pop(task["taskArn"], None)


# ---- Finding


def _all() -> list[dict]:
    return [task for task in list(service._tasks.values()) if task.get(_DEPLOYMENT)]


def _live(record: dict, deployment: dict) -> list[dict]:
    return [
        task
        for task in _all()
        if task["clusterArn"] == record["clusterArn"]
        and task[_DEPLOYMENT] == deployment["id"]
        and task["desiredStatus"] == "RUNNING"
    ]


def _find(data: dict) -> dict | None:
    """The task of a service that a request names."""
    task = service._resolve_task(data.get("task", ""), service._resolve_cluster_name(data.get("cluster", "default")))
    return task if task and task.get(_DEPLOYMENT) else None


def _service_of(task: dict) -> dict:
    cluster = service._resolve_cluster_name(task["clusterArn"])
    return service._services.get(f"{cluster}/{task['group'].removeprefix('service:')}") or {}


_run_elsewhere = service._run_task
_stop_elsewhere = service._stop_task
_reconcile_elsewhere = service._reconcile_service_tasks


def install() -> None:
    # Not for requests, which `ecs_tasks.py` answers.
    service._run_task = run
    service._stop_task = stop
    service._reconcile_service_tasks = reconcile
