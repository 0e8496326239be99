"""Step Functions: idempotent starts, and the timeout of an execution."""

from __future__ import annotations

import json
import threading
import time

from ministack.core.concurrency import spawn_background
from ministack.core.responses import json_response, now_iso
from ministack.services import stepfunctions as service

# If two starts use the same name at the same moment, only one of them may get it.
_lock = threading.Lock()


def start_execution(data: dict):
    """For STANDARD state machines. If the execution has ended or has another input, its name stays in use
    for 90 days: ExecutionAlreadyExists. (As on AWS, whitespace in the input matters.)"""
    with _lock:
        answer = _start_elsewhere(data)
        if answer[0] == 200:
            _limit_time(service._executions[json.loads(answer[2])["executionArn"]])
            return answer
        if json.loads(answer[2]).get("__type") != "ExecutionAlreadyExists":
            return answer
        machine = service._resolve_state_machine_arn(data["stateMachineArn"].partition("#")[0])
        for execution in service._executions.values():
            if (execution["stateMachineArn"], execution["name"]) == (machine, data["name"]):
                same = execution["input"] == data.get("input", "{}")
                if same and execution["status"] == "RUNNING":
                    return json_response(
                        {"executionArn": execution["executionArn"], "startDate": execution["startDate"]}
                    )
        return answer


def _limit_time(execution: dict) -> None:
    """MiniStack supports the `TimeoutSeconds` of a state, but not of the whole state machine."""
    machine = service._state_machines[execution["stateMachineArn"]]
    seconds = json.loads(machine["definition"]).get("TimeoutSeconds")
    if not isinstance(seconds, int):
        return

    def end() -> None:
        time.sleep(seconds)
        if execution["status"] != "RUNNING":
            return
        execution["status"] = "TIMED_OUT"
        execution["stopDate"] = now_iso()
        service._add_event(execution, "ExecutionTimedOut", {"executionTimedOutEventDetails": {}})
        service._emit_execution_status_event(execution)

    spawn_background(end, thread_name=f"time limit of {execution['name']}")


def fail_execution(execution: dict, error: str, cause: str) -> None:
    """Fails an execution only if it's still running, not if it was stopped or timed out in the meantime."""
    if execution["status"] != "RUNNING":
        return
    _fail_elsewhere(execution, error, cause)
    execution["output"] = None  # AWS sets this only when an execution succeeds.


_start_elsewhere = service._start_execution
_fail_elsewhere = service._fail_execution


def install() -> None:
    service._start_execution = start_execution
    service._fail_execution = fail_execution
