"""Asks the policies, and remembers every question with its answer."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from pathlib import Path

from ministack.core import iam_evaluator
from ministack.core.iam_evaluator import EvalContext, PrincipalInfo
from ministack.core.responses import get_account_id, get_region

from stagedb_local_aws.permissions import resources
from stagedb_local_aws.permissions.checks import Check

SERVICES_WITH_POLICIES = {"secretsmanager"}
"""Services whose resources have policies of their own, which can allow what a role's policies don't."""


@dataclass(frozen=True)
class Denial:
    """A denied action, in AWS's words."""

    check: Check
    principal: str
    is_explicit: bool = False
    is_unknown: bool = False

    @property
    def message(self) -> str:
        action = self.check.action
        if self.is_unknown:
            reason = "because the local AWS doesn't know what it needs (permissions/checks.py)"
        elif self.is_explicit:
            reason = "with an explicit deny in an identity-based policy"
        else:
            reason = f"because no identity-based policy allows the {action} action"
        return (
            f"User: {self.principal} is not authorized to perform: {action} on resource: {self.check.resource} {reason}"
        )


class Decisions:
    """Decides, and writes each decision to a file: one JSON object per line."""

    def __init__(self, record: Path) -> None:
        self._record = record
        self._lock = threading.Lock()
        self._known: set[str] = set()

    def first_denial(self, principal: PrincipalInfo, checks: list[Check]) -> Denial | None:
        for check in checks:
            decision = self._decide(principal, check)
            if decision != "Allow":
                return Denial(check, principal.arn, is_explicit=decision == "Deny")
        return None

    def unknown(self, principal: PrincipalInfo, action: str) -> Denial:
        """Nobody said what this action needs, so it's denied."""
        self._remember(principal.arn, action, "unknown", {}, "ImplicitDeny")
        return Denial(Check(action), principal.arn, is_unknown=True)

    def _decide(self, principal: PrincipalInfo, check: Check) -> str:
        tags = {} if check.is_gone else resources.tags_of(check.resource)
        keys = {**{f"aws:ResourceTag/{key}": value for key, value in tags.items()}, **check.context}
        context = {key.lower(): value for key, value in keys.items()}
        # A request that names no tags doesn't have this key.
        context.setdefault("aws:tagkeys", None)
        question = EvalContext(
            principal_arn=principal.arn,
            principal_type=principal.type,
            principal_account=principal.account,
            action=check.action,
            resource_arn=check.resource,
            region=get_region(),
            service_context=context,
            principal_keys=principal.keys,
        )
        result = iam_evaluator.evaluate(question, principal.policies or [], *principal.limits)
        service = check.action.partition(":")[0]
        policy = iam_evaluator._resource_policy(service, check.resource) if service in SERVICES_WITH_POLICIES else None
        if policy is not None:
            result = iam_evaluator.combine_resource_policy(result, question, *policy, limits=principal.limits)
        self._remember(principal.arn, check.action, check.resource, keys, result.decision)
        return result.decision

    def _remember(self, principal: str, action: str, resource: str, keys: dict, decision: str) -> None:
        entry = {
            "role": principal.split("/")[1] if "/" in principal else principal,
            "action": action,
            "resource": resource,
            "context": keys,
            "decision": decision,
        }
        line = json.dumps(entry, sort_keys=True)
        with self._lock:
            if line not in self._known:
                self._known.add(line)
                with self._record.open("a") as record:
                    record.write(line + "\n")


def role(arn: str, session: str) -> PrincipalInfo:
    """A service that has assumed a role."""
    name, account = arn.rpartition("/")[2], get_account_id()
    return PrincipalInfo(
        arn=f"arn:aws:sts::{account}:assumed-role/{name}/{session}",
        type="AssumedRole",
        account=account,
        policies=iam_evaluator._gather_role_policies(name, account),
    )
