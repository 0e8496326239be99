"""EventBridge: a rule can start an ECS task."""

from __future__ import annotations

import json
import logging

from ministack.services import ecs, eventbridge

logger = logging.getLogger(__name__)


def invoke(target: dict, event: dict, rule: dict, view=None) -> None:
    parameters = target.get("EcsParameters")
    if not parameters:
        _invoke_elsewhere(target, event, rule, view)
        return
    data = {
        "cluster": target["Arn"],
        "taskDefinition": parameters["TaskDefinitionArn"],
        "count": parameters.get("TaskCount", 1),
        "launchType": parameters.get("LaunchType", "EC2"),
        "startedBy": f"events-rule/{rule.get('Name', '')}"[:36],
    }
    network = parameters.get("NetworkConfiguration", {}).get("awsvpcConfiguration")
    if network:
        members = {name[:1].lower() + name[1:]: value for name, value in network.items()}
        data["networkConfiguration"] = {"awsvpcConfiguration": members}
    if target.get("Input"):
        data["overrides"] = json.loads(target["Input"])
    status, _, body = ecs._run_task(data)
    if status != 200:
        logger.error("EventBridge: the rule %s did not start a task: %s", rule.get("Name"), body)


_invoke_elsewhere = eventbridge._invoke_target


def install() -> None:
    eventbridge._invoke_target = invoke
