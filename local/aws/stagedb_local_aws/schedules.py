"""EventBridge Scheduler: a schedule calls a Lambda function with its input, in its own role.

MiniStack knows when a schedule is due. It ignores the role, the keywords in the input, and what CloudFormation refuses.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from ministack.core.responses import get_account_id, get_region, new_uuid, request_scope
from ministack.services import eventbridge, lambda_svc
from ministack.services import scheduler as service
from ministack.services.cloudformation import provisioners

from stagedb_local_aws.permissions import trust
from stagedb_local_aws.permissions.checks import Check
from stagedb_local_aws.permissions.decisions import Decisions, role

logger = logging.getLogger("scheduler")

Answer = tuple[int, dict, bytes]
PRINCIPAL = "scheduler.amazonaws.com"
SWEEP_SECONDS = 1
"""How often MiniStack looks for schedules that are due. Its own default is 10."""
NOT_TRUSTED = "The execution role you provide must allow AWS EventBridge Scheduler to assume the role."


class CannotInvoke(Exception):
    """The function isn't called. The text contains the reason."""


class _NotFound(Exception):
    pass


@dataclass(frozen=True)
class Invocation:
    """One call of a schedule's function."""

    function: dict
    event: object


class Schedules:
    def __init__(self, decisions: Decisions) -> None:
        self._decisions = decisions

    def fire(self, schedule: dict, moment: datetime) -> None:
        """Calls the function asynchronously, as Scheduler does. Then Lambda's own retries apply."""
        try:
            invocation = self._prepare(schedule, moment)
        except CannotInvoke as reason:
            logger.error("Scheduler: the schedule %s did not call its function: %s", schedule["Name"], reason)
            return
        lambda_svc.invoke_async_with_retry(invocation.function, invocation.event)

    def _prepare(self, schedule: dict, moment: datetime) -> Invocation:
        """Raises CannotInvoke if the schedule's role may not call the function."""
        target = schedule["Target"]
        if not trust.allows(target["RoleArn"], PRINCIPAL, service._group_arn(schedule["GroupName"])):
            raise CannotInvoke(NOT_TRUSTED)
        needed = [Check("lambda:InvokeFunction", target["Arn"])]
        if denial := self._decisions.first_denial(role(target["RoleArn"], "Scheduler"), needed):
            raise CannotInvoke(denial.message)
        function, config, _ = lambda_svc._get_func_record_for_ref(target["Arn"])
        if function is None or config is None:
            raise CannotInvoke(f"Function not found: {target['Arn']}")
        record = lambda_svc._execution_record_for_config(function, config)
        return Invocation(record, _event(schedule, moment))

    # ---- The control endpoint

    def control(self, method: str, path: list[str], data: object) -> tuple[int, object] | None:
        """Returns None for an unknown method and path. Raises ValueError and the like for invalid data."""
        match method, path:
            case "PUT", [name, "run"]:
                try:
                    with _schedule(name) as schedule:
                        return 200, self._run(schedule, _moment({} if data is None else data))
                except _NotFound as unknown:
                    return 404, {"message": str(unknown)}
                except CannotInvoke as reason:
                    return 400, {"message": str(reason)}
        return None

    def _run(self, schedule: dict, moment: datetime) -> dict:
        """Calls the function once, and waits for it."""
        if schedule["State"] != "ENABLED":
            raise CannotInvoke(f"the schedule {schedule['Name']} is {schedule['State']}")
        invocation = self._prepare(schedule, moment)
        result = lambda_svc._execute_function_with_config_scope(invocation.function, invocation.event)
        answered = _parsed(result.get("body"))
        has_failed = bool(result.get("error"))
        return {
            "schedule": schedule["Name"],
            "time": _text(moment),
            "input": invocation.event,
            "result": None if has_failed else answered,
            "error": answered if has_failed else None,
        }


def _moment(data: dict) -> datetime:
    if unknown := data.keys() - {"time"}:
        raise ValueError(f"unknown fields: {', '.join(sorted(unknown))}; use time")
    if "time" not in data:
        return datetime.now(UTC)
    moment = datetime.fromisoformat(data["time"])
    if moment.tzinfo is None:
        raise ValueError(f"time is {data['time']!r}, but must have a time zone, as in 2027-01-05T10:00:00Z")
    return moment.astimezone(UTC)


@contextmanager
def _schedule(name: str) -> Iterator[dict]:
    """Yields the schedule, in its account and Region, which aren't in the request."""
    found = [(key, schedule) for key, schedule in service._schedules.all_items() if schedule["Name"] == name]
    if not found:
        raise _NotFound(f"there is no schedule {name}")
    if len(found) > 1:
        raise ValueError(f"there are several schedules {name}")
    ((account, region, _), schedule) = found[0]
    with request_scope(account, region):
        yield schedule


def _event(schedule: dict, moment: datetime) -> object:
    """The input with its keywords replaced, or a notification if there is no input (user guide, "Adding context attributes")."""
    text = schedule["Target"].get("Input")
    if not text:
        return {
            "version": "0",
            "id": new_uuid(),
            "detail-type": "Scheduled Event",
            "source": "aws.scheduler",
            "account": get_account_id(),
            "time": _text(moment),
            "region": get_region(),
            "resources": [schedule["Arn"]],
            "detail": "{}",
        }
    values = {
        "schedule-arn": schedule["Arn"],
        "scheduled-time": _text(moment),
        "execution-id": secrets.token_hex(8),
        "attempt-number": "1",
    }
    for keyword, value in values.items():
        text = text.replace(f"<aws.scheduler.{keyword}>", value)
    return json.loads(text)


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _parsed(body: object) -> object:
    text = body.decode(errors="replace") if isinstance(body, bytes) else body
    try:
        return json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return text


# ---- What is refused


def _refusal(name: str, body: dict) -> str | None:
    """Why the API refuses a schedule, besides what MiniStack checks."""
    expression, target = body.get("ScheduleExpression", ""), body.get("Target") or {}
    times = (service._at_time_epoch, eventbridge._parse_rate_seconds, eventbridge._parse_cron_fields)
    if expression and all(parse(expression) is None for parse in times):
        return f"Invalid Schedule Expression {expression}."
    try:
        json.loads(target.get("Input") or "{}")
    except ValueError:
        return f"The Input of the schedule {name} must be well-formed JSON."
    group = service._group_arn(body.get("GroupName", "default"))
    if target.get("RoleArn") and not trust.allows(target["RoleArn"], PRINCIPAL, group):
        return NOT_TRUSTED
    return None


def _checked(handler: Callable[[str, dict], Answer]) -> Callable[[str, dict], Answer]:
    def handle(name: str, body: dict) -> Answer:
        if reason := _refusal(name, body):
            return service._error(400, "ValidationException", reason)
        return handler(name, body)

    return handle


# ---- AWS::Scheduler::Schedule


def create_schedule(logical_id: str, props: dict, stack_name: str) -> tuple[str, dict]:
    name = props.get("Name") or provisioners._physical_name(stack_name, logical_id, max_len=64)
    answer = _succeed(service._create_schedule(name, props))
    return name, {"Arn": answer["ScheduleArn"]}


def update_schedule(physical_id: str, old: dict, new: dict, stack_name: str) -> tuple[str, dict]:
    """Another name is another schedule. CloudFormation deletes the old one later."""
    if new.get("Name", physical_id) != physical_id:
        return create_schedule("", new, stack_name)
    if new.get("GroupName") != old.get("GroupName"):
        raise ValueError("The local AWS doesn't model moving a schedule to another group.")
    answer = _succeed(service._update_schedule(physical_id, new))
    return physical_id, {"Arn": answer["ScheduleArn"]}


def delete_schedule(physical_id: str, props: dict) -> None:
    service._delete_schedule(physical_id, {"groupName": props.get("GroupName", "default")})


def _succeed(answer: Answer) -> dict:
    status, _, text = answer
    body = json.loads(text)
    if status != 200:
        raise ValueError(f"{body['Message']} (Service: Scheduler, Status Code: {status})")
    return body


def install(decisions: Decisions) -> Schedules:
    """After `event_targets`, because MiniStack's sweep calls targets the way rules do."""
    schedules = Schedules(decisions)
    invoke_elsewhere, delete_elsewhere = eventbridge._invoke_target, service._delete_schedule

    def invoke(target: dict, event: dict, rule: dict, view=None) -> None:
        is_ours = event.get("Source") == "aws.scheduler" and ":function:" in target.get("Arn", "")
        if not is_ours:
            invoke_elsewhere(target, event, rule, view)
            return
        schedules.fire(rule, datetime.fromtimestamp(event["Time"], UTC))

    def delete(name: str, query: dict) -> Answer:
        # Otherwise, a new schedule with this name would go on where the old one stopped.
        key = f"{query.get('groupName', 'default')}/{name}"
        service._schedule_last_fired.pop((get_account_id(), get_region(), key), None)
        return delete_elsewhere(name, query)

    eventbridge._invoke_target = invoke
    service._SCHEDULE_TICK_INTERVAL = SWEEP_SECONDS
    service._create_schedule = _checked(service._create_schedule)
    service._update_schedule = _checked(service._update_schedule)
    service._delete_schedule = delete
    provisioners._RESOURCE_HANDLERS["AWS::Scheduler::Schedule"] = {
        "create": create_schedule,
        "update": update_schedule,
        "delete": delete_schedule,
    }
    return schedules
