"""What ECS does as a task's execution role: reading secrets and writing logs.

Each call is checked like a request of the role.
"""

from __future__ import annotations

import json
import secrets as random
import time
from dataclasses import dataclass

from ministack.core.responses import new_uuid
from ministack.services import cloudwatch_logs, secretsmanager

from stagedb_local_aws.permissions import checks
from stagedb_local_aws.permissions.decisions import Decisions, role

MESSAGE_BYTES = 262_118
"""A longer line becomes several events (AWS's log driver)."""
_NO_SECRETS = (
    "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: "
    "unable to retrieve secret from asm: "
)
_NO_LOG = (
    "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: failed to "
    "create Cloudwatch log stream: operation error CloudWatch Logs: CreateLogStream, https response error "
)


class CannotStart(Exception):
    """The task doesn't start. The text is its `stoppedReason`."""


class _CallFailed(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


@dataclass(frozen=True)
class SecretReference:
    """A `valueFrom`: `arn:…:secret:name-suffix[:json-key:version-stage:version-id]`."""

    arn: str
    json_key: str
    request: dict[str, str]

    @staticmethod
    def parse(value_from: str) -> SecretReference:
        parts = value_from.split(":")
        if len(parts) < 7 or parts[2] != "secretsmanager":
            raise CannotStart(
                f"{_NO_SECRETS}{value_from} isn't the ARN of a secret; the local AWS can't resolve anything else"
            )
        if len(parts) not in (7, 10):
            raise CannotStart(
                f"{_NO_SECRETS}unexpected ARN format with parameters when trying to retrieve ASM secret"
            )
        key, stage, version = parts[7:] or ("", "", "")
        request = {"SecretId": ":".join(parts[:7]), "VersionStage": stage, "VersionId": version}
        return SecretReference(request["SecretId"], key, {name: value for name, value in request.items() if value})


class Agent:
    """ECS in the execution role of one task. Without a role, every call is denied."""

    def __init__(self, decisions: Decisions, role_arn: str, task_id: str) -> None:
        self._decisions = decisions
        self._role_arn = role_arn
        self._task_id = task_id

    def secrets(self, container: dict) -> dict[str, str]:
        """The `secrets` of a container definition. Each version of a secret is read only once."""
        found: dict[str, str] = {}
        read: dict[str, str] = {}
        for entry in container.get("secrets", []):
            reference = SecretReference.parse(entry["valueFrom"])
            version = json.dumps(reference.request)
            if version not in read:
                read[version] = self._secret(reference)
            found[entry["name"]] = _pick(read[version], reference.json_key)
        return found

    def _secret(self, reference: SecretReference) -> str:
        try:
            answer = self._call("secretsmanager", "GetSecretValue", reference.request)
        except _CallFailed as failed:
            raise CannotStart(
                f"{_NO_SECRETS}service call has been retried 1 time(s): failed to fetch secret {reference.arn} from "
                f"secrets manager: {failed}"
            ) from None
        return answer.get("SecretString", "")

    def log(self, container: dict) -> Log | None:
        """The log stream of a container. None if it has no `awslogs` configuration."""
        configuration = container.get("logConfiguration", {})
        if configuration.get("logDriver") != "awslogs":
            return None
        options = configuration.get("options", {})
        parts = (options.get("awslogs-stream-prefix"), container["name"], self._task_id)
        log = Log(self, options.get("awslogs-group", ""), "/".join(filter(None, parts)))
        try:
            self._call("logs", "CreateLogStream", log.stream)
        except _CallFailed as failed:
            reason = str(failed)
            if failed.code == "ResourceNotFoundException":
                reason = f"{failed.code}: The specified log group does not exist."
            if failed.code == "AccessDeniedException":
                reason = f"api error {reason}"
            raise CannotStart(f"{_NO_LOG}StatusCode: 400, RequestID: {new_uuid()}, {reason} : exit status 1") from None
        return log

    def put_events(self, stream: dict, messages: list[str]) -> None:
        """A role that may not write loses the events, as with AWS's log driver."""
        now = int(time.time() * 1000)
        events = [{"timestamp": now, "message": message} for message in messages]
        try:
            self._call("logs", "PutLogEvents", {**stream, "logEvents": events})
        except _CallFailed:
            return

    def _call(self, service: str, operation: str, parameters: dict) -> dict:
        principal = role(self._role_arn, self._task_id)
        needed = checks.needed(checks.Call(service, operation, parameters, {})) or []
        if denial := self._decisions.first_denial(principal, needed):
            raise _CallFailed("AccessDeniedException", denial.message)
        # Looked up here, because other modules replace them.
        handler = {
            "GetSecretValue": secretsmanager._get_secret_value,
            "CreateLogStream": cloudwatch_logs._create_log_stream,
            "PutLogEvents": cloudwatch_logs._put_log_events,
        }[operation]
        status, _, body = handler(parameters)
        answer = json.loads(body)
        if status != 200:
            raise _CallFailed(answer["__type"], answer["message"])
        return answer


@dataclass(frozen=True)
class Log:
    """A log stream that a container's output goes to."""

    agent: Agent
    group: str
    name: str

    @property
    def stream(self) -> dict[str, str]:
        return {"logGroupName": self.group, "logStreamName": self.name}

    def write(self, line: str) -> None:
        # A character has at most four bytes.
        size = MESSAGE_BYTES // 4
        if chunks := [line[start : start + size] for start in range(0, len(line), size)]:
            self.agent.put_events(self.stream, chunks)


def _pick(secret: str, key: str) -> str:
    """The secret itself, or the value of its JSON key. A value that isn't a string is passed as JSON text."""
    if not key:
        return secret
    try:
        values = json.loads(secret)
    except ValueError:
        values = None
    if not isinstance(values, dict) or key not in values:
        raise CannotStart(
            f"{_NO_SECRETS}service call has been retried 1 time(s): retrieved secret from Secrets Manager did not "
            f"contain json key {key}"
        )
    return values[key] if isinstance(values[key], str) else json.dumps(values[key])


def network_timeout(container: dict) -> CannotStart:
    """What a task without a route to Secrets Manager stops with."""
    secret = next((entry["valueFrom"] for entry in container.get("secrets", [])), "secret")
    return CannotStart(
        f"{_NO_SECRETS}service call has been retried 5 time(s): failed to fetch secret "
        f"{':'.join(secret.split(':')[:7])} from secrets manager: RequestError: send request failed caused by: Post "
        f'"https://secretsmanager.amazonaws.com/": dial tcp 203.0.113.{random.randbelow(250)}:443: i/o timeout'
    )
