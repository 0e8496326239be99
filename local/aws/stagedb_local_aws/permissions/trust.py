"""Which service may assume a role.

MiniStack compares the caller with principals of type `AWS` only: for its own calls, any service counts.
"""

from __future__ import annotations

import json

from ministack.core import iam_evaluator
from ministack.core.iam_evaluator import EvalContext
from ministack.core.responses import get_account_id, get_region
from ministack.services import iam


def allows(role_arn: str, service: str, source_arn: str) -> bool:
    """Whether the role's trust policy lets this service assume it on behalf of a resource. False if there's no such role."""
    role = iam._roles.get(role_arn.rpartition("/")[2])
    if role is None or role["Arn"] != role_arn:
        return False
    document = role["AssumeRolePolicyDocument"]
    document = json.loads(document) if isinstance(document, str) else document
    statements = document.get("Statement", [])
    about_service = [
        {**statement, "Principal": "*"}
        for statement in ([statements] if isinstance(statements, dict) else statements)
        if service in _services(statement.get("Principal", {}))
    ]
    question = EvalContext(
        principal_arn=service,
        principal_type="Service",
        principal_account=get_account_id(),
        action="sts:AssumeRole",
        resource_arn=role_arn,
        region=get_region(),
        service_context={"aws:sourcearn": source_arn, "aws:sourceaccount": get_account_id()},
    )
    return iam_evaluator.evaluate_trust_policy({"Statement": about_service}, service, question)


def _services(principal: str | dict) -> list[str]:
    found = principal.get("Service", []) if isinstance(principal, dict) else []
    return [found] if isinstance(found, str) else found
