"""Custom resources: one event, one response from anywhere at any time, and Delete after a failed Create."""

import json
import time

import pytest
from local_aws import wait_for

# Sends each event to a queue, and responds as the property `Answer` says.
RECORDER = """
import json, os, urllib.request, boto3

def answer(event, status, **more):
    body = {"Status": status, **{k: event[k] for k in ("StackId", "RequestId", "LogicalResourceId")}, **more}
    data, headers = json.dumps(body).encode(), {"Content-Type": ""}
    urllib.request.urlopen(urllib.request.Request(event["ResponseURL"], data, headers, method="PUT"))

def handle(event, context):
    queue = os.environ["AWS_ENDPOINT_URL"] + "/000000000000/custom-events"
    # As the root user: the local AWS knows only the calls that stagedb makes with roles.
    root = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "aws_session_token": ""}
    boto3.client("sqs", **root).send_message(QueueUrl=queue, MessageBody=json.dumps(event))
    how = event["ResourceProperties"]["Answer"]
    if event["RequestType"] == "Delete" and how != "fail-delete":
        answer(event, "SUCCESS", PhysicalResourceId=event["PhysicalResourceId"])
    elif how == "fail":
        answer(event, "FAILED", PhysicalResourceId="made-before-failing", Reason="the disk is full")
    elif how == "silent":
        pass
    elif how == "no-id":
        answer(event, "SUCCESS")
    elif how == "long":
        answer(event, "SUCCESS", PhysicalResourceId="x", Data={"Long": "x" * 5000})
    else:
        answer(event, "SUCCESS", PhysicalResourceId=event.get("PhysicalResourceId", "id-1"), Data={"Host": "h-" + how})
"""


@pytest.fixture(scope="module")
def recorder(aws):
    aws.client("sqs").create_queue(QueueName="custom-events")
    return aws.create_function("recorder", RECORDER)


@pytest.fixture
def received(aws):
    """The events since the start of the test."""
    sqs = aws.client("sqs")
    url = sqs.get_queue_url(QueueName="custom-events")["QueueUrl"]
    seen: list[dict] = []

    def take() -> list[dict]:
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            for message in messages:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                seen.append(json.loads(message["Body"]))
        return seen

    take()
    seen.clear()
    return take


def stack_with(token: str, answer: str, **properties: object) -> dict:
    custom = {"ServiceToken": token, "Answer": answer, "Number": 20, "Flag": True, **properties}
    return {"Resources": {"Thing": {"Type": "Custom::Thing", "Properties": custom}}}


def test_create_update_and_delete_are_events_with_strings_only(aws, recorder, received):
    template = stack_with(recorder, "one")
    template["Outputs"] = {"Host": {"Value": {"Fn::GetAtt": ["Thing", "Host"]}}}
    stack = aws.create_stack("custom", template)
    assert stack["StackStatus"] == "CREATE_COMPLETE" and stack["Outputs"][0]["OutputValue"] == "h-one"
    template["Resources"]["Thing"]["Properties"]["Answer"] = "two"
    assert aws.update_stack("custom", template)["Outputs"][0]["OutputValue"] == "h-two"
    aws.delete_stack("custom")
    create, update, delete = received()
    assert create["ResourceProperties"] == {"ServiceToken": recorder, "Answer": "one", "Number": "20", "Flag": "true"}
    assert create["ServiceToken"] == recorder and "PhysicalResourceId" not in create
    assert create["StackId"] == stack["StackId"] and create["ResourceType"] == "Custom::Thing"
    assert (update["RequestType"], update["PhysicalResourceId"]) == ("Update", "id-1")
    assert update["OldResourceProperties"]["Answer"] == "one"
    assert (delete["RequestType"], delete["PhysicalResourceId"]) == ("Delete", "id-1")
    assert len({event["RequestId"] for event in (create, update, delete)}) == 3


def test_a_failed_create_is_followed_by_its_delete_before_the_rollback_is_complete(aws, recorder, received):
    stack = aws.create_stack("failed-create", stack_with(recorder, "fail"))
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    create, delete = received()
    assert (delete["RequestType"], delete["PhysicalResourceId"]) == ("Delete", "made-before-failing")
    events = aws.stack_events("failed-create")
    failure = next(event for event in events if event["ResourceStatus"] == "CREATE_FAILED")
    assert failure["PhysicalResourceId"] == "made-before-failing"
    assert failure["ResourceStatusReason"] == (
        "Received response status [FAILED] from custom resource. Message returned: the disk is full "
        f"(RequestId: {create['RequestId']})"
    )
    (reason,) = [e["ResourceStatusReason"] for e in events if e["ResourceStatus"] == "ROLLBACK_IN_PROGRESS"]
    assert reason == "The following resource(s) failed to create: [Thing]. Rollback requested by user."
    assert [(e["LogicalResourceId"], e["ResourceStatus"]) for e in events][-4:] == [
        ("failed-create", "ROLLBACK_IN_PROGRESS"),
        ("Thing", "DELETE_IN_PROGRESS"),
        ("Thing", "DELETE_COMPLETE"),
        ("failed-create", "ROLLBACK_COMPLETE"),
    ]


def test_a_failed_create_in_an_update_is_deleted_too(aws, recorder, received):
    aws.create_stack("failed-addition", {"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}})
    template = stack_with(recorder, "fail")
    template["Resources"]["Queue"] = {"Type": "AWS::SQS::Queue"}
    assert aws.update_stack("failed-addition", template)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert [event["RequestType"] for event in received()] == ["Create", "Delete"]
    assert aws.stack_statuses("failed-addition")[-3:] == [
        "UPDATE_ROLLBACK_IN_PROGRESS",
        "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
        "UPDATE_ROLLBACK_COMPLETE",
    ]


def test_a_failed_create_is_left_alone_when_nothing_is_to_be_done(aws, recorder, received):
    stack = aws.create_stack("left-alone", stack_with(recorder, "fail"), OnFailure="DO_NOTHING")
    assert stack["StackStatus"] == "CREATE_FAILED"
    time.sleep(0.3)
    assert [event["RequestType"] for event in received()] == ["Create"]
    aws.delete_stack("left-alone")
    assert [event["RequestType"] for event in received()] == ["Create", "Delete"]


def test_a_failed_update_is_sent_back_with_the_properties_swapped(aws, recorder, received):
    aws.create_stack("failed-update", stack_with(recorder, "one"))
    stack = aws.update_stack("failed-update", stack_with(recorder, "fail"))
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    _, forth, back = received()
    assert (forth["RequestType"], back["RequestType"]) == ("Update", "Update")
    assert back["ResourceProperties"]["Answer"] == forth["OldResourceProperties"]["Answer"] == "one"
    assert back["OldResourceProperties"]["Answer"] == "fail"


def test_the_event_of_each_request_shows_the_properties_that_it_asks_for(aws, recorder, received):
    aws.create_stack("shown", stack_with(recorder, "one"))
    aws.update_stack("shown", stack_with(recorder, "fail"))
    aws.delete_stack("shown")
    events = [event for event in aws.stack_events("shown") if event["LogicalResourceId"] == "Thing"]
    shown = [(e["ResourceStatus"], json.loads(e["ResourceProperties"])) for e in events if "ResourceProperties" in e]
    statuses = ["CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS"]
    assert shown == list(zip(statuses, [event["ResourceProperties"] for event in received()], strict=True))


def test_silence_fails_after_the_service_timeout_and_delete_gets_an_invented_id(aws, recorder, received):
    started = time.monotonic()
    stack = aws.create_stack("silent", stack_with(recorder, "silent", ServiceTimeout=2))
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE" and 2 <= time.monotonic() - started < 6
    reasons = [event.get("ResourceStatusReason", "") for event in aws.stack_events("silent")]
    assert any("did not receive a response from your custom resource" in reason for reason in reasons)
    _, delete = received()
    assert delete["RequestType"] == "Delete" and delete["PhysicalResourceId"].startswith("silent-Thing-")


@pytest.mark.parametrize(
    ("answer", "reason"), [("no-id", "Invalid PhysicalResourceId"), ("long", "Response object is too long.")]
)
def test_an_answer_that_breaks_the_protocol_fails(aws, recorder, answer, reason):
    name = f"breaks-{answer}"
    assert aws.create_stack(name, stack_with(recorder, answer))["StackStatus"] == "ROLLBACK_COMPLETE"
    assert reason in [event.get("ResourceStatusReason") for event in aws.stack_events(name)]


def test_an_answer_with_a_content_type_is_refused_as_its_signature_is_for_none(aws):
    status, _, body = aws.http("PUT", "/_ministack/cfn-response/any", {}, {"Content-Type": "application/json"})
    assert status == 403 and b"SignatureDoesNotMatch" in body


STARTER = """
import boto3, json
def handle(event, context):
    boto3.client("stepfunctions").start_execution(
        stateMachineArn=event["ResourceProperties"]["Machine"], name=event["RequestId"], input=json.dumps(event))
"""
ANSWERER = """
import json, time, urllib.request
def handle(event, context):
    body = {"Status": "SUCCESS", "PhysicalResourceId": "later", "Data": {"Steps": str(event["steps"])}}
    body |= {k: event["event"][k] for k in ("StackId", "RequestId", "LogicalResourceId")}
    data, headers = json.dumps(body).encode(), {"Content-Type": ""}
    urllib.request.urlopen(urllib.request.Request(event["event"]["ResponseURL"], data, headers, method="PUT"))
"""


def test_the_answer_may_come_later_from_a_state_machine(aws):
    starter, answerer = aws.create_function("starter", STARTER), aws.create_function("answerer", ANSWERER)
    definition = {
        "StartAt": "Wait",
        "States": {
            "Wait": {"Type": "Wait", "Seconds": 1, "Next": "Answer"},
            "Answer": {
                "Type": "Task",
                "Resource": "arn:aws:states:::lambda:invoke",
                "Parameters": {"FunctionName": answerer, "Payload": {"event.$": "$", "steps": 1}},
                "End": True,
            },
        },
    }
    machine = aws.client("stepfunctions").create_state_machine(
        name="later", definition=json.dumps(definition), roleArn=aws.role()
    )["stateMachineArn"]
    custom = {"Type": "Custom::Later", "Properties": {"ServiceToken": starter, "Machine": machine}}
    started = time.monotonic()
    stack = aws.create_stack("asynchronous", {"Resources": {"Thing": custom}})
    assert stack["StackStatus"] == "CREATE_COMPLETE" and time.monotonic() - started > 1
    resources = aws.client("cloudformation").describe_stack_resources(StackName="asynchronous")["StackResources"]
    assert resources[0]["PhysicalResourceId"] == "later"
    aws.delete_stack("asynchronous")


FLAKY = """
import os
def handle(event, context):
    import json, urllib.request
    path = os.path.join(os.environ["HOME"], "flaky-ran")
    if event["RequestType"] == "Create" and not os.path.exists(path):
        open(path, "w").close()
        raise RuntimeError("first attempt")
    body = {"Status": "SUCCESS", "PhysicalResourceId": "second-attempt"}
    body |= {k: event[k] for k in ("StackId", "RequestId", "LogicalResourceId")}
    data, headers = json.dumps(body).encode(), {"Content-Type": ""}
    urllib.request.urlopen(urllib.request.Request(event["ResponseURL"], data, headers, method="PUT"))
"""


def test_a_function_that_fails_is_run_again_with_the_same_event(aws):
    flaky = aws.create_function("flaky", FLAKY)
    custom = {"Type": "Custom::Flaky", "Properties": {"ServiceToken": flaky, "ServiceTimeout": 20}}
    assert aws.create_stack("flaky", {"Resources": {"Thing": custom}})["StackStatus"] == "CREATE_COMPLETE"
    wait_for(lambda: (aws.directory / "flaky-ran").exists())
