"""Stack operations: one per token, and what you can do after one has failed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from xml.sax.saxutils import escape

from ministack.services.cloudformation import _stack_events, _stacks, handlers, stacks
from ministack.services.cloudformation.helpers import _error, _p

Answer = tuple[int, dict, bytes]
Params = Mapping[str, object]
Handler = Callable[[Params], Answer]


def once_per_token(action: str, handler: Handler) -> Handler:
    """A repeated call returns the same response as the first, and starts nothing.

    API reference, ClientRequestToken: "so that CloudFormation knows that you're not attempting to
    update a stack with the same name". AWS doesn't document how long it remembers a token. Here, it's
    as long as the stack exists.
    """

    def handle(params: Params) -> Answer:
        token = _p(params, "ClientRequestToken")
        if not token:
            return handler(params)
        known = _answers(params).get(token)
        if known is not None and known[0] != action:
            return _error("TokenAlreadyExistsException", f"Token {token} was already used for {known[0]}")
        if known is not None:
            return known[1]
        answer = handler(params)
        if answer[0] == 200:
            _answers(params)[token] = (action, answer)
        return answer

    return handle


def _answers(params: Params) -> dict[str, tuple[str, Answer]]:
    stack = handlers._resolve_stack(_p(params, "StackName"))
    if stack is None or stack["StackStatus"] == "DELETE_COMPLETE":
        return {}
    return stack.setdefault("_answers", {})


def describe_events(params: Params) -> Answer:
    """The next page begins where the last one ended, even if there are new events in the meantime.

    MiniStack counts from the newest event. This token contains the number of older events that are
    left. The events of custom resources also include the requested properties.
    """
    stack = handlers._resolve_stack(_p(params, "StackName"))
    total = len(_stack_events.get(stack["StackId"], [])) if stack else 0
    if left := re.fullmatch(r"older-(\d+)", _p(params, "NextToken")):
        params = {**params, "NextToken": [f"DescribeStackEvents:{max(0, total - int(left[1]))}"]}
    status, headers, body = _describe_events_elsewhere(params)

    def name(token: re.Match[bytes]) -> bytes:
        return b"<NextToken>older-%d</NextToken>" % (total - int(token[1]))

    events = _stack_events.get(stack["StackId"], []) if stack else []
    shown = {event["EventId"]: event.get("ResourceProperties") for event in events}

    def with_properties(event: re.Match[bytes]) -> bytes:
        properties = shown.get(event[1].decode())
        return event[0] + (f"<ResourceProperties>{escape(properties)}</ResourceProperties>".encode() if properties else b"")

    body = re.sub(rb"<EventId>([^<]*)</EventId>", with_properties, body)
    return status, headers, re.sub(rb"<NextToken>DescribeStackEvents:(\d+)</NextToken>", name, body)


async def revert_update(
    stack_id, stack_name, logical_id, rtype, physical_id, applied_props, previous_props, attrs, record=None
) -> None:
    """A resource that couldn't be rolled back has a failed status itself, not only in its event."""
    try:
        await _revert_elsewhere(
            stack_id, stack_name, logical_id, rtype, physical_id, applied_props, previous_props, attrs, record
        )
    except Exception as error:
        if record is not None:
            record |= {"ResourceStatus": "UPDATE_FAILED", "ResourceStatusReason": str(error)}
        raise
    if record is not None:
        record.pop("ResourceStatusReason", None)


def continue_update_rollback(params: Params) -> Answer:
    answer = _continue_elsewhere(params)
    if answer[0] == 200:
        # The task that does it starts a moment later.
        stack = handlers._resolve_stack(_p(params, "StackName"))
        stack |= {"StackStatus": "UPDATE_ROLLBACK_IN_PROGRESS", "StackStatusReason": ""}
    return answer


async def continue_in_background(stack_name: str, stack_id: str, resources_to_skip: Iterable[str]) -> None:
    for logical_id in resources_to_skip:
        resource = _stacks[stack_name]["_resources"].get(logical_id)
        if resource is not None:
            resource["ResourceStatus"] = "UPDATE_COMPLETE"
            resource.pop("ResourceStatusReason", None)
    await _continue_in_background_elsewhere(stack_name, stack_id, resources_to_skip)


_describe_events_elsewhere = handlers._ACTION_HANDLERS["DescribeStackEvents"]
_continue_elsewhere = handlers._ACTION_HANDLERS["ContinueUpdateRollback"]
_revert_elsewhere = stacks._revert_update
_continue_in_background_elsewhere = stacks._continue_update_rollback_async


def install() -> None:
    """Call this after `cloudformation.install`, whose handlers these use."""
    actions = handlers._ACTION_HANDLERS
    stacks._revert_update = revert_update
    handlers._continue_update_rollback_async = continue_in_background
    actions |= {"DescribeStackEvents": describe_events, "ContinueUpdateRollback": continue_update_rollback}
    for action in ("CreateStack", "UpdateStack", "DeleteStack", "ContinueUpdateRollback"):
        actions[action] = once_per_token(action, actions[action])
