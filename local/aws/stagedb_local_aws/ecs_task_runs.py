"""The life of one task: PROVISIONING, PENDING, RUNNING, DEPROVISIONING, STOPPED."""

from __future__ import annotations

import json
import logging
import secrets
import signal
import threading
import time
from dataclasses import dataclass
from typing import Literal, get_args

from ministack.core.concurrency import spawn_background
from ministack.core.responses import get_account_id, get_region, new_uuid
from ministack.services import ecs as service
from ministack.services import rds

from stagedb_local_aws.ecs_agent import Agent, CannotStart, Log, network_timeout
from stagedb_local_aws.ecs_containers import Environment, Machine, Placeholder, Process
from stagedb_local_aws.ecs_network import Databases, Gate, place_of_task
from stagedb_local_aws.ecs_task_requests import Request
from stagedb_local_aws.permissions.decisions import Decisions
from stagedb_local_aws.settings import Timings

logger = logging.getLogger("ecs")

STOP_SECONDS = 30.0
"""From SIGTERM to SIGKILL, unless a container has its own `stopTimeout`."""
PLACEHOLDER_STOP_SECONDS = 2.0
"""At most, for what only pretends to run: nothing is lost by killing it."""
POLL_SECONDS = 0.02
KILLED = 128 + signal.SIGKILL
OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"
NO_CAPACITY = "Capacity is unavailable at this time. Please try again later."

Behavior = Literal[
    "",
    "another-authority",
    "capacity",
    "fargate-capacity",
    "gone",
    "image",
    "killed",
    "never-starts",
    "never-stops",
    "no-log",
    "secrets-timeout",
]
BEHAVIORS = get_args(Behavior)[1:]


@dataclass(frozen=True)
class Host:
    """What all tasks share."""

    machine: Machine
    databases: Databases
    decisions: Decisions
    timings: Timings


class Container:
    """A container of a task: what's shown of it, and what runs."""

    def __init__(self, definition: dict, override: dict, task_arn: str) -> None:
        self.definition = definition
        self.command = [
            *definition.get("entryPoint", []),
            *(override.get("command") or definition.get("command", [])),
        ]
        self.environment: Environment = _variables(override)
        self.is_essential = definition.get("essential", True)
        self._stop_seconds = float(definition.get("stopTimeout", STOP_SECONDS))
        self.process: Process | Placeholder | None = None
        self.gate: Gate | None = None
        self.record: dict = {
            "containerArn": task_arn.replace(":task/", ":container/") + f"/{new_uuid()}",
            "taskArn": task_arn,
            "name": definition["name"],
            "image": definition.get("image", ""),
            "runtimeId": None,
            "lastStatus": "PENDING",
            "exitCode": None,
            "reason": None,
            "networkBindings": [],
            "networkInterfaces": [],
            "healthStatus": "UNKNOWN",
            "cpu": str(definition.get("cpu", 0)),
        }

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.exit_code() is None

    @property
    def stop_seconds(self) -> float:
        """From SIGTERM to SIGKILL."""
        is_placeholder = isinstance(self.process, Placeholder)
        return min(self._stop_seconds, PLACEHOLDER_STOP_SECONDS) if is_placeholder else self._stop_seconds

    def finish(self) -> None:
        """Ends what the container has left."""
        if self.process is not None:
            self.process.close()
            self.record["exitCode"] = self.process.exit_code()
        if self.gate is not None:
            self.gate.close()
        self.record["lastStatus"] = "STOPPED"


class Run:
    def __init__(self, host: Host, request: Request, behavior: Behavior, tags: list[dict]) -> None:
        self._host = host
        self._behavior = behavior
        self._lock = threading.Lock()
        self._stop_requested = threading.Event()
        self._abandoned = threading.Event()
        self.definition = json.loads(json.dumps(request.definition))
        self.id = secrets.token_hex(16)
        self.arn = arn_of_task(request.cluster, self.id)
        overrides = {each["name"]: each for each in request.overrides.get("containerOverrides", [])}
        self._containers = [
            Container(definition, overrides.get(definition["name"], {}), self.arn)
            for definition in self.definition["containerDefinitions"]
        ]
        self._place = place_of_task(request.network)
        role = request.overrides.get("executionRoleArn") or self.definition.get("executionRoleArn", "")
        self._agent = Agent(host.decisions, role, self.id)
        self.record = record_of(request, self.arn, [container.record for container in self._containers], tags)

    def start(self) -> None:
        service._tasks[self.arn] = self.record
        service._tags[self.arn] = list(self.record["tags"])
        spawn_background(self._live, thread_name=f"task {self.id}")

    def stop(self, reason: str) -> None:
        """As StopTask. A task that's already stopping stays as it is."""
        self._stop_with("UserInitiated", reason)
        self._stop_requested.set()

    def abandon(self, reason: str) -> None:
        """Stops it at once: nobody waits for what it still has to say."""
        self._abandoned.set()
        self.stop(reason)

    def _live(self) -> None:
        try:
            if self._prepare():
                self._run()
        except CannotStart as failure:
            self._stop_with("TaskFailedToStart", str(failure))
        except Exception:
            logger.exception("ECS: the task %s failed", self.id)
            self._stop_with("TaskFailedToStart", "the local AWS failed; see its log")
        finally:
            self._end()

    def _prepare(self) -> bool:
        """False if the task is stopped before its containers run. Raises CannotStart."""
        half = self._host.timings.ecs_task_start_seconds / 2
        if self._stop_requested.wait(half):
            return False
        if self._behavior == "fargate-capacity":
            raise CannotStart(NO_CAPACITY)
        self._enter("PENDING")
        if self._stop_requested.wait(None if self._behavior == "never-starts" else half):
            return False
        if self._behavior == "secrets-timeout":
            raise network_timeout(self._containers[0].definition)
        if self._behavior == "image":
            reason = self._containers[0].record["reason"] = _cannot_pull(self._containers[0].definition["image"])
            raise CannotStart(reason)
        for container in self._containers:
            given = {**_variables(container.definition), **self._agent.secrets(container.definition)}
            container.environment = given | container.environment
        return True

    def _run(self) -> None:
        logs = [self._agent.log(container.definition) for container in self._containers]
        for container, log in zip(self._containers, logs, strict=True):
            container.process = self._process(container, log)
            container.record |= {"lastStatus": "RUNNING", "runtimeId": f"{self.id}-{secrets.randbelow(10**10):010}"}
        self.record["startedAt"] = now()
        self._enter("RUNNING")
        while not self._stop_requested.wait(POLL_SECONDS):
            ended = [container.process.exit_code() is not None for container in self._containers]
            if all(ended) or any(end and c.is_essential for end, c in zip(ended, self._containers, strict=True)):
                self._stop_with("EssentialContainerExited", "Essential container in task exited")
                break
        self._terminate()

    def _process(self, container: Container, log: Log | None) -> Process | Placeholder:
        if self._behavior == "never-stops":
            return Placeholder(ignored=signal.SIGTERM)
        if self._behavior == "killed":
            container.record["reason"] = OUT_OF_MEMORY
            return Placeholder(exit_code=KILLED)
        if not container.command:
            return Placeholder()  # What its image would run isn't known.
        self._adapt(container)
        output = log.write if log is not None and self._behavior != "no-log" else _drop
        name = container.definition["name"]
        try:
            return self._host.machine.start(self.id, name, container.command, container.environment, output)
        except OSError:
            reason = container.record["reason"] = (
                "CannotStartContainerError: ResourceInitializationError: failed to create new container runtime task: "
                "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container "
                f'process: exec: "{container.command[0]}": executable file not found in $PATH: unknown'
            )
            raise CannotStart(reason) from None

    def _adapt(self, container: Container) -> None:
        """What differs from AWS in a container's environment: the certificate authority, and the way to a database."""
        environment = container.environment
        certificates = environment.get("RDS_CERTIFICATES")
        if certificates and self._behavior != "another-authority":
            environment["RDS_CERTIFICATES"] = f"{certificates.rstrip()}\n{rds._ensure_pg_ca()[0]}"
        port = environment.get("PGPORT", "5432")
        is_local = environment.get("PGHOST") in ("localhost", "127.0.0.1") and port.isdecimal()
        if self._place is None or not is_local or self._host.databases.at(int(port)) is None:
            return
        container.gate = Gate(self._host.databases, self._place, int(port))
        # The name stays, for the certificate and for messages.
        environment["PGPORT"] = str(container.gate.port)

    def _terminate(self) -> None:
        """SIGTERM, and SIGKILL for each container that still runs after its `stopTimeout`."""
        began = time.monotonic()
        for container in self._containers:
            if container.is_running:
                container.process.send(signal.SIGTERM)
        while running := [container for container in self._containers if container.is_running]:
            passed = time.monotonic() - began
            for container in running:
                if passed >= container.stop_seconds or self._abandoned.is_set():
                    container.process.send(signal.SIGKILL)
            time.sleep(POLL_SECONDS)

    def _stop_with(self, code: str, reason: str) -> None:
        with self._lock:
            if self.record["stopCode"] is None:
                self.record |= {"stopCode": code, "stoppedReason": reason}
                self.record |= {"desiredStatus": "STOPPED", "stoppingAt": now()}

    def _end(self) -> None:
        self._enter("DEPROVISIONING")
        for container in self._containers:
            try:
                container.finish()
            except Exception:
                logger.exception("ECS: a container of the task %s did not end well", self.id)
        self.record["executionStoppedAt"] = self.record["stoppedAt"] = now()
        if self._behavior == "gone":
            service._tasks.pop(self.arn, None)
        self._enter("STOPPED")

    def _enter(self, status: str) -> None:
        self.record["lastStatus"] = status
        service._bump_task_version(self.record)
        service._recount_cluster(service._resolve_cluster_name(self.record["clusterArn"]))


def record_of(request: Request, arn: str, containers: list[dict], tags: list[dict]) -> dict:
    """With every member from the start, because another thread may be reading it."""
    definition, data = request.definition, request.data
    is_fargate = request.launch_type == "FARGATE"
    version = data.get("platformVersion") or "LATEST"
    return {
        "taskArn": arn,
        "clusterArn": request.cluster["clusterArn"],
        "taskDefinitionArn": definition["taskDefinitionArn"],
        "lastStatus": "PROVISIONING",
        "desiredStatus": "RUNNING",
        "launchType": None if request.capacity_provider else request.launch_type,
        "capacityProviderName": request.capacity_provider,
        "platformVersion": ("1.4.0" if version == "LATEST" else version) if is_fargate else None,
        "platformFamily": "Linux" if is_fargate else None,
        "overrides": {"containerOverrides": [], "inferenceAcceleratorOverrides": [], **request.overrides},
        "cpu": definition.get("cpu"),
        "memory": definition.get("memory"),
        "group": data.get("group") or f"family:{definition['family']}",
        "startedBy": data.get("startedBy"),
        "enableExecuteCommand": data.get("enableExecuteCommand", False),
        "availabilityZone": f"{get_region()}a",
        "attachments": [],
        "attributes": [],
        "connectivity": "CONNECTED",
        "healthStatus": "UNKNOWN",
        "containers": containers,
        "tags": tags,
        "version": 1,
        "createdAt": now(),
        "startedAt": None,
        "stoppingAt": None,
        "executionStoppedAt": None,
        "stoppedAt": None,
        "stopCode": None,
        "stoppedReason": None,
    }


def _variables(definition: dict) -> Environment:
    return {entry["name"]: entry.get("value", "") for entry in definition.get("environment", [])}


def _cannot_pull(image: str) -> str:
    name, _, tag = image.partition("@")[0].rpartition(":") if ":" in image.rpartition("/")[2] else (image, "", "latest")
    registry, _, path = name.partition("/")
    if not path or not ("." in registry or ":" in registry):
        registry, path = "docker.io", name if path else f"library/{name}"
    host = "registry-1.docker.io" if registry == "docker.io" else registry
    return (
        "CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref "
        f'{registry}/{path}:{tag}: failed to do request: Head "https://{host}/v2/{path}/manifests/{tag}": '
        "dial tcp 203.0.113.7:443: i/o timeout"
    )


def arn_of_task(cluster: dict, identifier: str) -> str:
    return f"arn:aws:ecs:{get_region()}:{get_account_id()}:task/{cluster['clusterName']}/{identifier}"


def now() -> float:
    return round(time.time(), 3)


def _drop(_line: str) -> None:
    pass


