"""Step Functions: the features that a state machine waiting for a database needs."""

import json

import pytest
from local_aws import wait_for

STEP = """
def handle(event, context):
    if event.get("fail"):
        raise ValueError("cannot")
    return {"n": event["n"] + 1, "wait": 1, "done": event["n"] >= 1, "started": event["started"]}
"""


def definition(function: str, fail: bool = False) -> dict:
    payload = {"n.$": "$.n", "started.$": "$$.Execution.StartTime", "name.$": "$$.Execution.Name", "fail": fail}
    return {
        "StartAt": "Step",
        "States": {
            "Step": {
                "Type": "Task",
                "Resource": "arn:aws:states:::lambda:invoke",
                "Parameters": {"FunctionName": function, "Payload": payload},
                "ResultSelector": {"step.$": "$.Payload"},
                "ResultPath": "$.result",
                "Retry": [{"ErrorEquals": ["Lambda.ServiceException"], "MaxAttempts": 2}],
                "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Failed"}],
                "Next": "Done?",
            },
            "Done?": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.result.step.done", "BooleanEquals": True, "Next": "Succeeded"}],
                "Default": "Wait",
            },
            "Wait": {"Type": "Wait", "SecondsPath": "$.result.step.wait", "Next": "Again"},
            "Again": {"Type": "Pass", "Parameters": {"n.$": "$.result.step.n"}, "Next": "Step"},
            "Failed": {"Type": "Fail", "Error": "StepFailed", "CausePath": "$.error.Cause"},
            "Succeeded": {"Type": "Succeed", "OutputPath": "$.result.step"},
        },
    }


@pytest.fixture(scope="module")
def step(aws):
    return aws.create_function("step", STEP)


@pytest.fixture
def machine(aws):
    sfn = aws.client("stepfunctions")

    def create(name: str, body: dict) -> str:
        machine = sfn.create_state_machine(name=name, definition=json.dumps(body), roleArn=aws.role())
        return machine["stateMachineArn"]

    return create


@pytest.fixture
def finished(aws):
    sfn = aws.client("stepfunctions")

    def run(arn: str, **options: object) -> dict:
        execution = sfn.start_execution(stateMachineArn=arn, **options)["executionArn"]
        wait_for(lambda: sfn.describe_execution(executionArn=execution)["status"] != "RUNNING")
        return sfn.describe_execution(executionArn=execution)

    return run


def test_steps_repeat_with_a_wait_from_their_own_answer(step, machine, finished):
    execution = finished(machine("loop", definition(step)), input='{"n": 0}')
    output = json.loads(execution["output"])
    assert execution["status"] == "SUCCEEDED" and output["n"] == 2 and output["started"].endswith("Z")


def test_a_failure_is_caught(step, machine, finished):
    execution = finished(machine("caught", definition(step, fail=True)), input='{"n": 0}')
    assert (execution["status"], execution["error"]) == ("FAILED", "StepFailed") and "cannot" in execution["cause"]
    assert "output" not in execution


def test_a_repeated_start_is_the_same_execution_while_it_runs(aws, machine, expect_error):
    sfn = aws.client("stepfunctions")
    arn = machine("repeated", {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 30, "End": True}}})
    start = {"stateMachineArn": arn, "name": "request-1", "input": '{"a": 1}'}
    first, again = sfn.start_execution(**start), sfn.start_execution(**start)
    assert (first["executionArn"], first["startDate"]) == (again["executionArn"], again["startDate"])
    assert expect_error(sfn.start_execution, **{**start, "input": '{"a": 2}'})[0] == "ExecutionAlreadyExists"
    sfn.stop_execution(executionArn=first["executionArn"])
    assert expect_error(sfn.start_execution, **start)[0] == "ExecutionAlreadyExists"


def test_a_state_machine_gives_up_in_time_and_says_so(aws, machine, finished):
    sqs, events = aws.client("sqs"), aws.client("events")
    url = sqs.create_queue(QueueName="given-up")["QueueUrl"]
    pattern = {"source": ["aws.states"], "detail": {"status": ["FAILED", "TIMED_OUT", "ABORTED"]}}
    events.put_rule(Name="given-up", EventPattern=json.dumps(pattern))
    target = {"Id": "1", "Arn": "arn:aws:sqs:eu-west-1:000000000000:given-up"}
    events.put_targets(Rule="given-up", Targets=[target])
    slow = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 3, "End": True}}, "TimeoutSeconds": 1}
    execution = finished(machine("limited", slow))
    assert execution["status"] == "TIMED_OUT"
    found: list[dict] = []

    def told() -> bool:
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        found.extend(json.loads(message["Body"])["detail"] for message in messages)
        return ("limited", "TIMED_OUT") in [(d["stateMachineArn"].split(":")[-1], d["status"]) for d in found]

    wait_for(told)
