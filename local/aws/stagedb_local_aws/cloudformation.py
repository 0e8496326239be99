"""CloudFormation: status events for EventBridge, and the phases of updates and rollbacks."""

from __future__ import annotations

import contextvars
import json
import logging
import queue
import re
import sys
import threading

from ministack.services import eventbridge
from ministack.services.cloudformation import _stack_events, _stacks, handlers, stacks
from ministack.services.cloudformation.helpers import _error, _p

logger = logging.getLogger("cloudformation")

STACK = "AWS::CloudFormation::Stack"
CLEANUP = "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
_CLEANUP_BEFORE = {
    "UPDATE_COMPLETE": CLEANUP,
    # MiniStack skips it when a rollback is continued.
    "UPDATE_ROLLBACK_COMPLETE": "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
}

_events: queue.SimpleQueue = queue.SimpleQueue()


def publish(source: str, detail_type: str, resources: list[str], detail: dict) -> None:
    """Sends an event through the rules of the default bus, in the order of the calls.

    Uses a separate thread, because a rule's target may be slow, and the caller's context, because
    it holds the account and the Region.
    """
    entry = {"Source": source, "DetailType": detail_type, "Resources": resources, "Detail": json.dumps(detail)}
    context = contextvars.copy_context()
    _events.put(lambda: context.run(eventbridge._put_events, {"Entries": [entry]}, allow_aws_source=True))


def _deliver_for_ever() -> None:
    while True:
        deliver = _events.get()
        try:
            deliver()
        except Exception:
            logger.exception("EventBridge: cannot deliver an event")


def add_event(
    stack_id, stack_name, logical_id, resource_type, status, reason="", physical_id="", detailed_status=""
) -> None:
    """Records a stack event. Events of the stack itself are also published."""
    of_stack = resource_type == STACK and (physical_id or stack_id) == stack_id
    if not of_stack and status.startswith("UPDATE_") and _is_being_created(stack_id, logical_id):
        status = status.replace("UPDATE_", "CREATE_", 1)
    cleanup = _CLEANUP_BEFORE.get(status) if of_stack else None
    if cleanup and _last_stack_status(stack_id) != cleanup:
        add_event(stack_id, stack_name, logical_id, STACK, cleanup, physical_id=stack_id)
    if status.endswith("_FAILED") and not of_stack and not physical_id:
        failed = _stacks.get(stack_name, {}).get("_resources", {}).get(logical_id, {})
        physical_id = failed.get("PhysicalResourceId", "")
    _add_elsewhere(stack_id, stack_name, logical_id, resource_type, status, reason, physical_id, detailed_status)
    if of_stack:
        detail = {
            "stack-id": stack_id,
            "status-details": {"status": status, "status-reason": reason},
            "client-request-token": stacks.CLIENT_REQUEST_TOKEN.get(),
        }
        publish("aws.cloudformation", "CloudFormation Stack Status Change", [stack_id], detail)


def _is_being_created(stack_id: str, logical_id: str) -> bool:
    """Whether an update adds this resource. MiniStack gives all resources of an update the same status."""
    of_resource = [event for event in _stack_events.get(stack_id, []) if event["LogicalResourceId"] == logical_id]
    return not of_resource or of_resource[-1]["ResourceStatus"] in ("CREATE_IN_PROGRESS", "DELETE_COMPLETE")


def _last_stack_status(stack_id: str) -> str:
    of_stack = [event for event in _stack_events.get(stack_id, []) if event["PhysicalResourceId"] == stack_id]
    return of_stack[-1]["ResourceStatus"] if of_stack else ""


def delete_resource(resource_type, physical_id, props, stack_name=None, logical_id=None) -> None:
    """The cleanup phase: removed resources are deleted only after everything else has succeeded."""
    stack = _stacks.get(stack_name)
    if stack is None or stack["StackStatus"] not in ("UPDATE_IN_PROGRESS", CLEANUP):
        _delete_elsewhere(resource_type, physical_id, props, stack_name, logical_id)
        return
    stack_id = stack["StackId"]
    if stack["StackStatus"] != CLEANUP:
        stack["StackStatus"] = CLEANUP
        add_event(stack_id, stack_name, stack_name, STACK, CLEANUP, physical_id=stack_id)
    add_event(stack_id, stack_name, logical_id, resource_type, "DELETE_IN_PROGRESS", physical_id=physical_id)
    _delete_elsewhere(resource_type, physical_id, props, stack_name, logical_id)
    add_event(stack_id, stack_name, logical_id, resource_type, "DELETE_COMPLETE", physical_id=physical_id)


async def roll_back(stack_name, stack_id, stack, operation, reason_override="") -> None:
    """The rollback also deletes custom resources whose creation failed."""
    for logical_id, resource in stack.get("_resources", {}).items():
        if resource["ResourceStatus"] == "CREATE_FAILED" and logical_id not in operation["created"]:
            operation["created"].append(logical_id)
    failed = operation.get("failed_logical_id")
    if failed and not (operation["is_update"] or operation["cancelled"] or reason_override):
        reason_override = f"The following resource(s) failed to create: [{failed}]. Rollback requested by user."
    before = dict(stack.get("_resources", {}))
    await _roll_back_elsewhere(stack_name, stack_id, stack, operation, reason_override)
    if stack["StackStatus"] == "ROLLBACK_FAILED":
        # MiniStack forgets resources that it couldn't delete, and so would the next DeleteStack.
        for logical_id in stack["_rollback_failed"]:
            stack["_resources"][logical_id] = {**before[logical_id], "ResourceStatus": "DELETE_FAILED"}


def create_stack(params):
    existing = _stacks.get(_p(params, "StackName"))
    if existing is not None and existing["StackStatus"] == "ROLLBACK_COMPLETE":
        return _error("AlreadyExistsException", f"Stack [{existing['StackName']}] already exists")
    answer = _create_stack_elsewhere(params)
    if answer[0] == 200:
        created = _stacks[_p(params, "StackName")]
        created["LastUpdatedTime"] = created["CreationTime"]
    return answer


def without_updates_that_never_were(handler):
    """AWS returns the time of the last update only if there was one."""
    both = re.compile(rb"(<CreationTime>([^<]*)</CreationTime>)<LastUpdatedTime>\2</LastUpdatedTime>")

    def handle(params):
        status, headers, body = handler(params)
        return status, headers, both.sub(rb"\1", body)

    return handle


def keeping_what_was_deleted(handler):
    """A deleted stack stays readable by its ARN, even after its name is used again."""

    def handle(params):
        existing = _stacks.get(_p(params, "StackName"))
        answer = handler(params)
        if existing is not None and _stacks.get(existing["StackName"]) is not existing:
            _stacks[existing["StackId"]] = existing
        return answer

    return handle


def refuse_update(stack) -> tuple | None:
    status = stack["StackStatus"]
    if status.endswith(("_IN_PROGRESS", "_FAILED")) or status == "ROLLBACK_COMPLETE":
        return _error("ValidationError", f"Stack:{stack['StackId']} is in {status} state and can not be updated.")
    return None


def update_stack(params):
    stack = handlers._resolve_stack(_p(params, "StackName"))
    return (refuse_update(stack) if stack else None) or _update_stack_elsewhere(params)


def delete_stack(params):
    stack = handlers._resolve_stack(_p(params, "StackName"))
    status = stack["StackStatus"] if stack else ""
    if status.startswith("UPDATE") and status.endswith("_IN_PROGRESS"):
        return _error("ValidationError", f"Stack [{stack['StackName']}] cannot be deleted while in status {status}")
    if status == "DELETE_IN_PROGRESS":
        return handlers._xml(200, "DeleteStackResponse", "")
    return _delete_stack_elsewhere(params)


_add_elsewhere = stacks._add_event
_delete_elsewhere = stacks._delete_resource
_roll_back_elsewhere = stacks._roll_back_operation
_create_stack_elsewhere = handlers._ACTION_HANDLERS["CreateStack"]
_update_stack_elsewhere = handlers._ACTION_HANDLERS["UpdateStack"]
_delete_stack_elsewhere = handlers._ACTION_HANDLERS["DeleteStack"]


def install() -> None:
    threading.Thread(target=_deliver_for_ever, name="events", daemon=True).start()
    # Several modules import these functions by name.
    for module in list(sys.modules.values()):
        if not getattr(module, "__name__", "").startswith("ministack."):
            continue
        if getattr(module, "_add_event", None) is _add_elsewhere:
            module._add_event = add_event
        if getattr(module, "_roll_back_operation", None) is _roll_back_elsewhere:
            module._roll_back_operation = roll_back
    stacks._delete_resource = delete_resource
    # MiniStack requires CAPABILITY_IAM only if it also checks permissions.
    handlers._capabilities_enforced = lambda: True
    handlers._ACTION_HANDLERS |= {
        "CreateStack": keeping_what_was_deleted(create_stack),
        "CreateChangeSet": keeping_what_was_deleted(handlers._ACTION_HANDLERS["CreateChangeSet"]),
        "DescribeStacks": without_updates_that_never_were(handlers._ACTION_HANDLERS["DescribeStacks"]),
        "ListStacks": without_updates_that_never_were(handlers._ACTION_HANDLERS["ListStacks"]),
        "UpdateStack": update_stack,
        "DeleteStack": delete_stack,
    }
