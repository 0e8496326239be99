"""IAM: each request is checked against the policies of its role, as on AWS.

MiniStack checks signatures and evaluates policies (`AUTH=true`). It doesn't know all resources and condition keys of the
calls that stagedb makes, so they come from here (`checks.py`). CloudFormation's calls for a stack are checked against the
stack's role (`stack_roles.py`), and those of a state machine against its own. Every decision is recorded.
"""

from __future__ import annotations

import contextvars
import json
import re
from collections.abc import Callable

from ministack.core import iam_actions, iam_evaluator
from ministack.core.iam_evaluator import AuthError, EvalResult, PrincipalInfo
from ministack.core.router import extract_access_key_id
from ministack.services import lambda_svc, stepfunctions
from ministack.services.cloudformation import provisioners, stacks

from stagedb_local_aws.permissions import checks, policies, stack_roles
from stagedb_local_aws.permissions.checks import Call, Check
from stagedb_local_aws.permissions.decisions import Decisions, Denial, role

LOG_DELIVERY = (
    "CreateLogDelivery",
    "DescribeLogGroups",
    "DescribeResourcePolicies",
    "GetLogDelivery",
    "ListLogDeliveries",
    "PutResourcePolicy",
    "UpdateLogDelivery",
)
"""What a state machine's role needs so that its log can be delivered (Step Functions developer guide, cw-logs)."""

WITH_OWN_DENIALS = frozenset({"logs", "ssm"})
"""For these services, MiniStack writes the message itself, with the resource as it knows it."""

_RPC_PATH = re.compile(r"/service/[^/]+/operation/(\w+)")
"""The path of a call in the protocol Smithy RPC v2, which CloudWatch uses."""

_call: contextvars.ContextVar[Call | None] = contextvars.ContextVar("call", default=None)
_denial: contextvars.ContextVar[Denial | None] = contextvars.ContextVar("denial", default=None)


class NotAuthorized(RuntimeError):
    """CloudFormation, or another service, isn't allowed to make a call for a user's resource."""


def install(decisions: Decisions) -> None:
    _check_requests(decisions)
    _check_stack_operations(decisions)
    _check_state_machines(decisions)
    _check_policies()
    stack_roles.install()


# ---- Requests


def _check_requests(decisions: Decisions) -> None:
    action_elsewhere = iam_actions.extract_iam_action
    resource_of = iam_actions.extract_resource_arn
    answer_denied = iam_actions.access_denied_response
    evaluate_elsewhere = iam_evaluator.enforce

    def action_of(service, method, path, headers, body, params):
        """MiniStack allows a request whose action it can't tell. Here, it's denied to roles."""
        if action := action_elsewhere(service, method, path, headers, body, params):
            return action
        if operation := _RPC_PATH.fullmatch(path):
            return f"{iam_actions.SERVICE_TO_IAM_NAMESPACE.get(service, service)}:{operation[1]}"
        principal = _principal(extract_access_key_id(headers, params))
        is_role = isinstance(principal, PrincipalInfo) and principal.policies is not None
        return f"{service}:UnknownAction" if is_role else None

    def remember_call(service, method, path, headers, body, params, region, account):
        if _RPC_PATH.fullmatch(path):
            body = b""  # It's CBOR, and MiniStack would read it as JSON.
        _call.set(_read(service, method, path, headers, body, params))
        return resource_of(service, method, path, headers, body, params, region, account)

    def enforce(access_key_id, iam_action, service, region, resource_arn="*", service_context=None):
        call, _ = _call.get(), _denial.set(None)
        principal = _principal(access_key_id)
        if call is None or not isinstance(principal, PrincipalInfo) or principal.policies is None:
            return evaluate_elsewhere(access_key_id, iam_action, service, region, resource_arn, service_context)
        if failure := iam_evaluator.check_credentials(access_key_id, service):
            return failure
        needed = checks.needed(call)
        if needed is None:
            denial = decisions.unknown(principal, call.action)
        else:
            denial = decisions.first_denial(principal, needed)
        _denial.set(denial)
        return denial and EvalResult("Deny" if denial.is_explicit else "ImplicitDeny", principal_arn=principal.arn)

    def say_what_was_denied(service, action, principal_arn, request_id, **more):
        denial = _denial.get()
        if denial is not None and not more.get("error_code"):
            more["message"] = denial.message
            if service in WITH_OWN_DENIALS:
                error = {"__type": "AccessDeniedException", "Message": denial.message}
                return 400, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(error).encode()
        return answer_denied(service, action, principal_arn, request_id, **more)

    iam_actions.extract_iam_action = action_of
    iam_actions.extract_resource_arn = remember_call
    iam_evaluator.enforce = enforce
    iam_actions.access_denied_response = say_what_was_denied


def _principal(access_key_id: str) -> PrincipalInfo | AuthError:
    from ministack.core.responses import get_account_id

    return iam_evaluator.resolve_principal(access_key_id or "", get_account_id())


def _read(service: str, method: str, path: str, headers: dict, body: bytes, params: dict) -> Call | None:
    action = iam_actions.extract_iam_action(service, method, path, headers, body, params)
    if action is None:
        return None
    prefix, _, operation = action.partition(":")
    if body[:1] == b"{":
        parameters = json.loads(body)
    else:
        parameters = {name: value[0] if isinstance(value, list) else value for name, value in params.items()}
    tags = checks.ec2_tags(parameters) if prefix == "ec2" else {}
    return Call(prefix, operation, parameters, tags or iam_actions.request_tag_context(service, action, body, params))


# ---- CloudFormation


def _check_stack_operations(decisions: Decisions) -> None:
    provision, update, delete = stacks._provision_resource, stacks._update_resource, stacks._delete_resource

    def allow(resource_type: str, verb: str, physical_id: str, props: dict, stack_name: str) -> None:
        arn = stack_roles.role_of(stack_name)
        if arn is None:
            return
        needed = stack_roles.needed(resource_type, verb, physical_id, props, stack_name)
        if needed is None:
            raise NotAuthorized(f"the local AWS doesn't know what {resource_type} needs (permissions/stack_roles.py)")
        if denial := decisions.first_denial(role(arn, "AWSCloudFormation"), needed):
            raise NotAuthorized(f"{denial.message} (Status Code: 403, HandlerErrorCode: AccessDenied)")

    def provision_resource(resource_type, logical_id, props, stack_name):
        allow(resource_type, "create", "", props, stack_name)
        return provision(resource_type, logical_id, props, stack_name)

    def update_resource(resource_type, physical_id, old_props, new_props, stack_name, *more, **named):
        if old_props != new_props:
            verb = stack_roles.verb_of_update(resource_type, old_props, new_props)
            allow(resource_type, verb, physical_id, new_props, stack_name)
        return update(resource_type, physical_id, old_props, new_props, stack_name, *more, **named)

    def delete_resource(resource_type, physical_id, props, stack_name=None, logical_id=None):
        allow(resource_type, "delete", physical_id, props, stack_name or "")
        return delete(resource_type, physical_id, props, stack_name, logical_id)

    stacks._provision_resource = provision_resource
    stacks._update_resource = update_resource
    stacks._delete_resource = delete_resource


# ---- Step Functions


def _check_state_machines(decisions: Decisions) -> None:
    execute, call, create = stepfunctions._execute_task, stepfunctions._call_lambda, _creation_of("AWS::StepFunctions::StateMachine")
    running: contextvars.ContextVar[str] = contextvars.ContextVar("state machine")

    def allow(arn: str, needed: list[Check]) -> Denial | None:
        return decisions.first_denial(role(arn, "StepFunctions"), needed)

    def execute_task(state_def, raw_input, execution, ctx):
        running.set(stepfunctions._state_machines[execution["stateMachineArn"]]["roleArn"])
        return execute(state_def, raw_input, execution, ctx)

    def call_lambda(func_ref, event):
        function = lambda_svc._get_func_record_for_ref(func_ref)[1] or {}
        denial = allow(running.get(), [Check("lambda:InvokeFunction", function.get("FunctionArn", func_ref))])
        if denial:
            raise stepfunctions._ExecutionError("Lambda.AWSLambdaException", denial.message)
        return call(func_ref, event)

    def create_state_machine(logical_id, props, stack_name):
        if props.get("LoggingConfiguration", {}).get("Level", "OFF") != "OFF":
            denial = allow(props["RoleArn"], [Check(f"logs:{action}") for action in LOG_DELIVERY])
            if denial:
                raise NotAuthorized(f"The state machine IAM Role is not authorized to access the Log Destination: {denial.message}")
        return create(logical_id, props, stack_name)

    stepfunctions._execute_task = execute_task
    stepfunctions._call_lambda = call_lambda
    provisioners._RESOURCE_HANDLERS["AWS::StepFunctions::StateMachine"]["create"] = create_state_machine


def _creation_of(resource_type: str) -> Callable:
    return provisioners._RESOURCE_HANDLERS[resource_type]["create"]


# ---- Policies


def _check_policies() -> None:
    """A policy that the evaluator doesn't understand is refused where it's attached."""
    handlers = provisioners._RESOURCE_HANDLERS["AWS::IAM::Role"]

    def checked(handler: Callable, position: int) -> Callable:
        def call(*arguments, **named):
            props = arguments[position]
            for policy in props.get("Policies", []):
                policies.check(policy.get("PolicyDocument", {}), policy.get("PolicyName", ""))
            return handler(*arguments, **named)

        return call

    handlers["create"] = checked(handlers["create"], 1)
    handlers["update"] = checked(handlers["update"], 2)
