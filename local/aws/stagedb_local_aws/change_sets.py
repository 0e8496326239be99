"""Change sets: take a moment to create, are also found by the stack's ARN, and treat custom resources like AWS."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from ministack.core.concurrency import spawn_background
from ministack.services.cloudformation import _stacks, changesets, handlers, provisioners, stacks
from ministack.services.cloudformation.helpers import _error, _p

from stagedb_local_aws import cloudformation
from stagedb_local_aws.settings import Timings

Answer = tuple[int, dict, bytes]
Params = Mapping[str, object]

_IN_PROGRESS = ("CREATE_PENDING", "CREATE_IN_PROGRESS")
_REPLACING = {
    "AWS::SecretsManager::ResourcePolicy": ("SecretId",),
    "AWS::EC2::SecurityGroupIngress": (
        *("CidrIp", "CidrIpv6", "FromPort", "GroupId", "GroupName", "IpProtocol", "SourcePrefixListId"),
        *("SourceSecurityGroupId", "SourceSecurityGroupName", "SourceSecurityGroupOwnerId", "ToPort"),
    ),
}
"""For the types added here: the properties whose change replaces the resource (resource reference)."""


class ChangeSets:
    def __init__(self, timings: Timings, create_elsewhere: Callable[[Params], Answer]) -> None:
        self._timings = timings
        self._create_elsewhere = create_elsewhere

    def create(self, params: Params) -> Answer:
        named = _find(params)
        token = _p(params, "ClientToken")
        if named is not None and token and named.get("_client_token") == token:
            return named["_answer"]
        stack = _stacks.get(_p(params, "StackName"))
        is_update = _p(params, "ChangeSetType", "UPDATE") == "UPDATE"
        if is_update and stack is not None and (refusal := cloudformation.refuse_update(stack)):
            return refusal
        answer = self._create_elsewhere(params)
        if answer[0] == 200:
            made = _find(params)
            made |= {"_client_token": token, "_answer": answer}
            # MiniStack shows NoEcho parameters here.
            hidden = {name for name, value in made["_resolved_params"].items() if value["NoEcho"]}
            for parameter in made["Parameters"]:
                if parameter["ParameterKey"] in hidden:
                    parameter["ParameterValue"] = "****"
            self._take_a_moment(made)
        return answer

    def _take_a_moment(self, made: dict) -> None:
        seconds = self._timings.cloudformation_change_set_seconds
        if not seconds:
            return
        ready = {name: made[name] for name in ("Status", "StatusReason", "ExecutionStatus", "Changes")}
        made |= {"Status": "CREATE_PENDING", "StatusReason": "", "ExecutionStatus": "UNAVAILABLE", "Changes": []}
        updated = _stacks[made["StackName"]].get("LastUpdatedTime")

        def finish() -> None:
            time.sleep(seconds / 4)
            made["Status"] = "CREATE_IN_PROGRESS"
            time.sleep(seconds * 3 / 4)
            stack = _stacks.get(made["StackName"], {})
            if ready["ExecutionStatus"] == "AVAILABLE" and stack.get("LastUpdatedTime") != updated:
                ready["ExecutionStatus"] = "OBSOLETE"
            made.update(ready)

        spawn_background(finish, thread_name=f"change set {made['ChangeSetName']}")


def delete(params: Params) -> Answer:
    named = _find(params)
    if named is not None and named["Status"] in _IN_PROGRESS:
        return _error("InvalidChangeSetStatus", "An operation on this ChangeSet is currently in progress.")
    return _delete_elsewhere(params)


def property_recreation(resource_type: str, name: str) -> str:
    """No property replaces a custom resource: that depends on the response of its function."""
    is_custom = resource_type.startswith("Custom::") or resource_type == "AWS::CloudFormation::CustomResource"
    return "Never" if is_custom else _recreation_elsewhere(resource_type, name)


def _find(params: Params) -> dict | None:
    return changesets._find_change_set(_p(params, "ChangeSetName"), _p(params, "StackName"))[1]


def by_name(handler: Callable[[Params], Answer]) -> Callable[[Params], Answer]:
    """MiniStack finds a change set only by its stack's name."""

    def handle(params: Params) -> Answer:
        stack = handlers._resolve_stack(_p(params, "StackName")) if _p(params, "StackName") else None
        if stack is not None and _stacks.get(stack["StackName"]) is stack:
            params = {**params, "StackName": [stack["StackName"]]}
        return handler(params)

    return handle


_delete_elsewhere = handlers._ACTION_HANDLERS["DeleteChangeSet"]
_recreation_elsewhere = provisioners._property_recreation


def install(timings: Timings) -> None:
    """Call this after `cloudformation.install`, whose handler it uses."""
    actions = handlers._ACTION_HANDLERS
    create = ChangeSets(timings, actions["CreateChangeSet"]).create
    actions |= {"CreateChangeSet": create, "DeleteChangeSet": delete}
    for action in ("CreateChangeSet", "DescribeChangeSet", "ExecuteChangeSet", "DeleteChangeSet", "ListChangeSets"):
        actions[action] = by_name(actions[action])
    provisioners._REPLACING_PROPERTIES |= _REPLACING
    provisioners._property_recreation = stacks._property_recreation = property_recreation
