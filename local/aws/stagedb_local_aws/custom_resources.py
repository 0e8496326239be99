"""Custom resources as CloudFormation handles them: asynchronously, with one response, and a timeout.

MiniStack invokes the function synchronously and once. AWS invokes it as an event, so a failing
function runs up to three times, and the response may come from anywhere at any time.
"""

from __future__ import annotations

import json
import secrets

from ministack.core.responses import new_uuid, now_iso
from ministack.services import lambda_svc
from ministack.services.cloudformation import _stack_events
from ministack.services.cloudformation import custom_resource as protocol
from ministack.services.cloudformation import provisioners

LONGEST_ANSWER_BYTES = 4096
DEFAULT_TIMEOUT_SECONDS = 3600


class CustomResourceFailed(RuntimeError):
    """The text is the reason that AWS shows. `physical_id` is the one in the response."""

    def __init__(self, reason: str, physical_id: str = "") -> None:
        super().__init__(reason)
        self.physical_id = physical_id


def invoke(
    request_type: str,
    logical_id: str,
    props: dict,
    stack_name: str,
    stack_id: str,
    resource_type: str,
    physical_id: str | None = None,
    old_props: dict | None = None,
) -> tuple[str, dict]:
    """Sends the event and waits for the response, for at most `ServiceTimeout` seconds.

    It blocks, so run it on a separate thread.
    """
    service_token = str(props.get("ServiceToken", ""))
    record, config, _ = lambda_svc._get_func_record_for_ref(service_token)
    if record is None or config is None:
        raise ValueError(f"Invalid service token: no function {service_token}")
    token, request_id = new_uuid(), new_uuid()
    event = {
        "RequestType": request_type,
        "ServiceToken": service_token,
        # As on AWS, the URL contains a signature, which must not appear in a log.
        "ResponseURL": f"{protocol._response_url(token)}?Signature={secrets.token_urlsafe(24)}",
        "StackId": stack_id,
        "RequestId": request_id,
        "LogicalResourceId": logical_id,
        "ResourceType": resource_type,
        "ResourceProperties": protocol._normalise_resource_properties(props),
    }
    if physical_id is not None:
        event["PhysicalResourceId"] = physical_id
    if old_props is not None:
        event["OldResourceProperties"] = protocol._normalise_resource_properties(old_props)
    _show_properties(event)
    answered = protocol.register_token(token)
    lambda_svc.invoke_async_with_retry(lambda_svc._execution_record_for_config(record, config), event)
    answered.wait(timeout=_timeout_seconds(props))
    with protocol._lock:
        answer = protocol._pending.pop(token)["result"]
    if answer is None:
        raise CustomResourceFailed(
            "CloudFormation did not receive a response from your custom resource. Please check your logs for "
            f"requestId [{request_id}]."
        )
    return _read_answer(answer, event)


def _show_properties(request: dict) -> None:
    """AWS includes the requested properties in a resource's event. MiniStack leaves them out."""
    logical_id = request["LogicalResourceId"]
    events = [event for event in _stack_events.get(request["StackId"], []) if event["LogicalResourceId"] == logical_id]
    if events and events[-1]["ResourceStatus"] == f"{request['RequestType'].upper()}_IN_PROGRESS":
        events[-1]["ResourceProperties"] = json.dumps(request["ResourceProperties"])


def _read_answer(answer: dict, event: dict) -> tuple[str, dict]:
    physical_id = answer.get("PhysicalResourceId") or ""
    if len(json.dumps(answer, separators=(",", ":"), ensure_ascii=False).encode()) > LONGEST_ANSWER_BYTES:
        raise CustomResourceFailed("Response object is too long.")
    for name in ("StackId", "RequestId", "LogicalResourceId"):
        if answer.get(name) != event[name]:
            raise CustomResourceFailed(f"Invalid {name} in the response of the custom resource.")
    if not isinstance(physical_id, str) or not 1 <= len(physical_id.encode()) <= 1024:
        raise CustomResourceFailed("Invalid PhysicalResourceId")
    status = answer.get("Status")
    if status == "SUCCESS":
        return physical_id, answer.get("Data") or {}
    if status != "FAILED":
        raise CustomResourceFailed(f"Invalid response status [{status}] from custom resource.", physical_id)
    reason = answer.get("Reason") or "See the details in CloudWatch Log Stream"
    raise CustomResourceFailed(
        f"Received response status [FAILED] from custom resource. Message returned: {reason} "
        f"(RequestId: {event['RequestId']})",
        physical_id,
    )


def _timeout_seconds(props: dict) -> int:
    text = str(props.get("ServiceTimeout", DEFAULT_TIMEOUT_SECONDS))
    if not text.isdigit() or not 1 <= int(text) <= 3600:
        raise ValueError(f"ServiceTimeout must be an integer from 1 to 3600, not {text!r}")
    return int(text)


def create(logical_id: str, props: dict, stack_name: str, resource_type: str = "AWS::CloudFormation::CustomResource"):
    """A failed creation stays in the stack as CREATE_FAILED, so that rolling back or deleting the
    stack also sends Delete for it. If the response has no physical ID, CloudFormation makes one up."""
    try:
        return _create_elsewhere(logical_id, props, stack_name, resource_type)
    except CustomResourceFailed as failure:
        from ministack.services.cloudformation import _stacks

        _stacks[stack_name]["_resources"][logical_id] = {
            "PhysicalResourceId": failure.physical_id or f"{stack_name}-{logical_id}-{new_uuid()[:12].upper()}",
            "ResourceType": resource_type,
            "ResourceStatus": "CREATE_FAILED",
            "ResourceStatusReason": str(failure),
            "LogicalResourceId": logical_id,
            "Properties": props,
            "Attributes": {},
            "Timestamp": now_iso(),
        }
        raise


_create_elsewhere = provisioners._custom_resource_create


def install() -> None:
    protocol.invoke_custom_resource = invoke
    provisioners._custom_resource_create = create
    provisioners._RESOURCE_HANDLERS["AWS::CloudFormation::CustomResource"]["create"] = create
