"""Policies that the evaluator doesn't understand are refused when they're attached, and never silently allow anything."""

from __future__ import annotations

import json

from ministack.core import iam_evaluator

KEYS = frozenset({
    "aws:sourcearn",
    "aws:tagkeys",
    "cloudformation:changesetname",
    "cloudformation:createaction",
    "cloudformation:rolearn",
    "ec2:createaction",
    "ecs:cluster",
    "ecs:createaction",
    "ecs:task-definition",
    "events:detail-type",
    "events:source",
    "iam:awsservicename",
    "iam:passedtoservice",
    "secretsmanager:name",
    "secretsmanager:secretid",
    "secretsmanager:versionstage",
})  # fmt: skip
"""What `checks.py` puts into a context, besides tags."""
TAG_KEYS = ("aws:resourcetag/", "aws:requesttag/")
ELEMENTS = frozenset({"Sid", "Effect", "Action", "Resource", "Condition", "Principal"})
"""`NotAction`, `NotResource` and `NotPrincipal` allow what nobody listed."""


class NotUnderstood(ValueError):
    """A policy that can't be evaluated."""


def check(document: str | dict, owner: str) -> None:
    """Raises NotUnderstood with the place and what is wrong there."""
    document = json.loads(document) if isinstance(document, str) else document
    statements = document.get("Statement", [])
    for index, statement in enumerate([statements] if isinstance(statements, dict) else statements):
        place = f"the statement {statement.get('Sid') or index} of {owner}"
        unknown = set(statement) - ELEMENTS
        if unknown:
            raise NotUnderstood(f"{place} has {', '.join(sorted(unknown))}, which the local AWS can't evaluate")
        for resource in _list(statement.get("Resource", [])):
            if "${" in resource:
                raise NotUnderstood(f"{place} has the variable {resource}, which the local AWS can't evaluate")
        for operator, keys in statement.get("Condition", {}).items():
            _check_operator(operator, place)
            for key in keys:
                if key.lower() not in KEYS and not key.lower().startswith(TAG_KEYS):
                    raise NotUnderstood(f"{place} asks for {key}, which the local AWS doesn't know in a request")


def _check_operator(operator: str, place: str) -> None:
    name = operator.lower().removesuffix("ifexists").rpartition(":")[2]
    if name != "null" and name not in iam_evaluator._CONDITION_OPS:
        raise NotUnderstood(f"{place} has the operator {operator}, which the local AWS can't evaluate")


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
