"""ECS: RunTask runs the commands of a task's containers as processes on this machine.

Tasks of services (`ecs_service_tasks.py`), and tasks that rules and state machines start, are descriptions without a process.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass

from ministack.core.responses import error_response_json, get_account_id, get_region, json_response, new_uuid
from ministack.services import ecs as service

from stagedb_local_aws import ecs_service_tasks
from stagedb_local_aws.ecs import page
from stagedb_local_aws.ecs_task_requests import Refusal, Request, cluster_of, parse
from stagedb_local_aws.ecs_task_runs import BEHAVIORS, Behavior, Host, Run

Answer = tuple[int, dict, bytes]
_DESCRIBED_MAX = 100
_REASON_MAX = 1024
_STATUSES = ("RUNNING", "PENDING", "STOPPED")


@dataclass
class Plan:
    """How the next tasks of a family behave."""

    behavior: Behavior
    times: int | None = 1
    """None means every task."""

    def __post_init__(self) -> None:
        if self.behavior not in BEHAVIORS:
            raise ValueError(f"{self.behavior!r} isn't a behavior; use one of {', '.join(BEHAVIORS)}")


class Tasks:
    def __init__(self, host: Host) -> None:
        self._host = host
        self._lock = threading.Lock()
        self._plans: dict[str, Plan] = {}
        self._runs: dict[str, Run] = {}
        """By task ARN, oldest first."""
        self._tokens: dict[tuple, tuple[str, list[str]]] = {}
        """The request with a `clientToken`, and the ARNs of its tasks."""

    # ---- The API

    def run(self, data: dict) -> Answer:
        request = parse(data)
        tags = _tags_of(request)
        with self._lock:
            if repeated := self._repeated(request):
                return _answer([self._runs[arn] for arn in repeated])
            runs, failures = [], []
            for _ in range(data.get("count", 1)):
                behavior = self._next_behavior(request.definition["family"])
                if behavior == "capacity":
                    failures.append({"arn": _container_instance(request), "reason": "RESOURCE:MEMORY"})
                else:
                    runs.append(Run(self._host, request, behavior, tags))
            self._runs |= {run.arn: run for run in runs}
            if runs and data.get("clientToken"):
                self._tokens[_token_key(request)] = (_canonical(data), [run.arn for run in runs])
            answer = _answer(runs, failures)
            for run in runs:
                run.start()
            return answer

    def stop(self, data: dict) -> Answer:
        cluster_of(data)
        if len(data.get("reason", "")) > _REASON_MAX:
            raise Refusal("InvalidParameterException", f"reason must have at most {_REASON_MAX} characters.")
        run = self._runs.get(_task_arn(data))
        if run is None:
            return ecs_service_tasks.stop_by_user(data) or _stop_elsewhere(data)
        run.stop(data.get("reason") or "Task stopped by user")
        return json_response({"task": service._sanitize(run.record)})

    def describe(self, data: dict) -> Answer:
        cluster_of(data)
        wanted = data.get("tasks", [])
        if not wanted:
            raise Refusal("InvalidParameterException", "Tasks cannot be empty.")
        if len(wanted) > _DESCRIBED_MAX:
            raise Refusal("InvalidParameterException", f"Tasks cannot have more than {_DESCRIBED_MAX} elements.")
        ecs_service_tasks.settle(self._host.timings.ecs_drain_seconds)
        status, headers, body = _describe_elsewhere(data)
        if status != 200 or "TAGS" in data.get("include", []):
            return status, headers, body
        answer = json.loads(body)
        for task in answer["tasks"]:
            task["tags"] = []
        return json_response(answer)

    def list_arns(self, data: dict) -> Answer:
        wanted = _filters(data)
        ecs_service_tasks.settle(self._host.timings.ecs_drain_seconds)
        found = [
            arn
            for arn, task in list(service._tasks.items())
            if all(task.get(name) == value for name, value in wanted.items())
            and _is_of_family(task, data.get("family", ""))
        ]
        return page(found, "taskArns", data)

    def _repeated(self, request: Request) -> list[str]:
        """The tasks of an earlier request with the same token."""
        if not request.data.get("clientToken"):
            return []
        before, arns = self._tokens.get(_token_key(request), ("", []))
        if arns and before != _canonical(request.data):
            raise Refusal(
                "ConflictException",
                "The RunTask request could not be processed due to conflicts. The provided clientToken is already in use "
                "with a different RunTask request.",
                resourceIds=arns,
            )
        return arns

    def _next_behavior(self, family: str) -> Behavior:
        plan = self._plans.get(family)
        if plan is None:
            return ""
        if plan.times is not None:
            plan.times -= 1
            if plan.times <= 0:
                del self._plans[family]
        return plan.behavior

    def forget_everything(self) -> None:
        """Called by MiniStack's reset."""
        with self._lock:
            for run in self._runs.values():
                run.abandon("The local AWS was reset")
            self._runs.clear()
            self._tokens.clear()
            self._plans.clear()

    # ---- The control endpoint

    def control(self, method: str, path: list[str], data: object) -> tuple[int, object] | None:
        """Returns None for an unknown method and path. Raises ValueError and the like for invalid data."""
        match method, path:
            case ("GET" | "PUT" | "DELETE"), ["next-tasks"]:
                if method != "GET":
                    plans = {family: Plan(**plan) for family, plan in dict(data or {}).items()}
                    with self._lock:
                        self._plans = plans
                return 200, {family: asdict(plan) for family, plan in self._plans.items()}
            case "GET", ["tasks"]:
                runs = list(self._runs.values())
                return 200, [{**service._sanitize(run.record), "taskDefinition": run.definition} for run in runs]
        return None


def _filters(data: dict) -> dict[str, str]:
    """The members that a task must have to be listed."""
    cluster = cluster_of(data)
    started_by, name = data.get("startedBy"), data.get("serviceName")
    if started_by and (data.get("family") or name):
        raise Refusal("InvalidParameterException", "If you specify startedBy, it must be the only filter.")
    status = data.get("desiredStatus", "RUNNING")
    if status not in _STATUSES:
        raise Refusal("InvalidParameterException", f"desiredStatus must be one of {', '.join(_STATUSES)}.")
    group = f"service:{_service_name(cluster, name)}" if name else None
    filters = {
        "clusterArn": cluster["clusterArn"],
        "desiredStatus": status,
        "group": group,
        "startedBy": started_by,
        "launchType": data.get("launchType"),
    }
    return {name: value for name, value in filters.items() if value}


def _service_name(cluster: dict, reference: str) -> str:
    """Of a service that exists, from its name or ARN."""
    name, of_cluster = service._resolve_service_ref(reference) or ("", None)
    is_elsewhere = of_cluster not in (None, cluster["clusterName"])
    if is_elsewhere or f"{cluster['clusterName']}/{name}" not in service._services:
        raise Refusal("ServiceNotFoundException", "Service not found.")
    return name


def _is_of_family(task: dict, family: str) -> bool:
    return not family or f"/{family}:" in task["taskDefinitionArn"]


def _tags_of(request: Request) -> list[dict]:
    """A tag in the request wins over one of the definition."""
    tags = {}
    if request.data.get("propagateTags") == "TASK_DEFINITION":
        of_definition = service._tags.get(request.definition["taskDefinitionArn"], [])
        tags = {tag["key"]: tag for tag in of_definition if not tag["key"].startswith("aws:")}
    tags |= {tag["key"]: tag for tag in request.data.get("tags", [])}
    return [dict(tag) for tag in tags.values()]


def _token_key(request: Request) -> tuple:
    return get_account_id(), get_region(), request.cluster["clusterArn"], request.data["clientToken"]


def _canonical(data: dict) -> str:
    return json.dumps(data, sort_keys=True)


def _container_instance(request: Request) -> str:
    cluster = request.cluster["clusterName"]
    return f"arn:aws:ecs:{get_region()}:{get_account_id()}:container-instance/{cluster}/{new_uuid().replace('-', '')}"


def _task_arn(data: dict) -> str:
    task, cluster = data.get("task", ""), service._resolve_cluster_name(data.get("cluster", "default"))
    return task if task.startswith("arn:") else f"arn:aws:ecs:{get_region()}:{get_account_id()}:task/{cluster}/{task}"


def _answer(runs: list[Run], failures: list[dict] | None = None) -> Answer:
    return json_response({"tasks": [service._sanitize(run.record) for run in runs], "failures": failures or []})


def _answering(handler: Callable[[dict], Answer]) -> Callable[[dict], Answer]:
    def handle(data: dict) -> Answer:
        try:
            return handler(data)
        except Refusal as refusal:
            return error_response_json(refusal.code, refusal.message, 400, refusal.members)

    return handle


_stop_elsewhere = service._stop_task
_describe_elsewhere = service._describe_tasks


def install(host: Host) -> Tasks:
    tasks = Tasks(host)
    # Only requests: MiniStack itself calls its own functions.
    service._ACTION_MAP |= {
        "RunTask": _answering(tasks.run),
        "StopTask": _answering(tasks.stop),
        "DescribeTasks": _answering(tasks.describe),
        "ListTasks": _answering(tasks.list_arns),
    }
    reset_elsewhere = service.reset

    def reset() -> None:
        tasks.forget_everything()
        reset_elsewhere()

    service.reset = reset
    return tasks
