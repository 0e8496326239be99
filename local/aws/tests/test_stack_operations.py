"""Stack operations: what happens only once, what you can do after a failure, and how events show it."""

import json

import pytest

QUEUE = {"Type": "AWS::SQS::Queue", "Properties": {}}
# Fails every kind of request listed in the file `broken`, and logs each request.
BREAKABLE = """
import json, os, urllib.request

def handle(event, context):
    home, kind = os.environ["HOME"], event["RequestType"]
    with open(os.path.join(home, "breakable-log"), "a") as log:
        log.write(json.dumps([event["StackId"], kind, event["ResourceProperties"].get("Value")]) + "\\n")
    path = os.path.join(home, "broken")
    broken = kind in (open(path).read() if os.path.exists(path) else "")
    body = {"Status": "FAILED" if broken else "SUCCESS", "Reason": f"{kind} is broken", "PhysicalResourceId": "it"}
    body |= {k: event[k] for k in ("StackId", "RequestId", "LogicalResourceId")}
    data, headers = json.dumps(body).encode(), {"Content-Type": ""}
    urllib.request.urlopen(urllib.request.Request(event["ResponseURL"], data, headers, method="PUT"))
"""


@pytest.fixture(scope="module")
def breakable(aws):
    return aws.create_function("breakable", BREAKABLE)


@pytest.fixture
def broken(aws):
    """Sets which kinds of requests fail from now on."""
    path = aws.directory / "broken"
    yield lambda kinds: path.write_text(kinds)
    path.unlink(missing_ok=True)


def template(token: str, value: int, **more: object) -> dict:
    thing = {"Type": "Custom::Thing", "Properties": {"ServiceToken": token, "Value": value}}
    return {"Resources": {"Thing": thing, **more}}


def requests(aws, stack: dict) -> list[tuple]:
    lines = (aws.directory / "breakable-log").read_text().splitlines()
    return [(kind, value) for stack_id, kind, value in map(json.loads, lines) if stack_id == stack["StackId"]]


def resource(aws, stack: str) -> dict:
    (found,) = aws.client("cloudformation").describe_stack_resources(StackName=stack, LogicalResourceId="Thing")[
        "StackResources"
    ]
    return found


def stuck(aws, name: str, token: str, broken) -> dict:
    """A stack whose update and rollback both failed."""
    aws.create_stack(name, template(token, 1))
    broken("Update")
    stack = aws.update_stack(name, template(token, 2))
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_FAILED"
    return stack


def test_a_failed_rollback_is_continued_once_its_cause_is_gone(aws, breakable, broken, status_events, expect_error):
    stack = stuck(aws, "stuck", breakable, broken)
    assert "failed to update: [Thing]" in stack["StackStatusReason"]
    thing = resource(aws, "stuck")
    assert thing["ResourceStatus"] == "UPDATE_FAILED" and "Update is broken" in thing["ResourceStatusReason"]
    status_events(stack["StackId"], "UPDATE_ROLLBACK_FAILED")
    cloudformation = aws.client("cloudformation")
    update = {"StackName": "stuck", "TemplateBody": json.dumps(template(breakable, 3))}
    code, message = expect_error(cloudformation.update_stack, **update)
    assert code == "ValidationError" and "is in UPDATE_ROLLBACK_FAILED state and can not be updated" in message
    cloudformation.continue_update_rollback(StackName="stuck", ClientRequestToken="first-try")
    assert aws.stack("stuck")["StackStatus"] in ("UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_FAILED")
    assert aws.settled_stack("stuck")["StackStatus"] == "UPDATE_ROLLBACK_FAILED"
    status_events(stack["StackId"], "UPDATE_ROLLBACK_FAILED")
    broken("")
    cloudformation.continue_update_rollback(
        StackName="stuck", ClientRequestToken="second-try", RoleARN=aws.role()
    )
    assert aws.settled_stack("stuck")["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    told = [
        e["detail"]["status-details"]["status"] for e in status_events(stack["StackId"], "UPDATE_ROLLBACK_COMPLETE")
    ]
    assert told == [
        "UPDATE_ROLLBACK_IN_PROGRESS",
        "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
        "UPDATE_ROLLBACK_COMPLETE",
    ]
    ended = [event for event in aws.stack_events("stuck") if event.get("ClientRequestToken") == "second-try"]
    assert [(event["LogicalResourceId"], event["ResourceStatus"]) for event in ended] == [
        ("stuck", "UPDATE_ROLLBACK_IN_PROGRESS"),
        ("Thing", "UPDATE_IN_PROGRESS"),
        ("Thing", "UPDATE_COMPLETE"),
        ("stuck", "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS"),
        ("stuck", "UPDATE_ROLLBACK_COMPLETE"),
    ]
    thing = resource(aws, "stuck")
    assert thing["ResourceStatus"] == "UPDATE_COMPLETE" and not thing.get("ResourceStatusReason")
    assert requests(aws, stack) == [("Create", "1"), ("Update", "2"), *[("Update", "1")] * 3]
    assert aws.update_stack("stuck", template(breakable, 3))["StackStatus"] == "UPDATE_COMPLETE"


def test_a_resource_that_cannot_be_rolled_back_can_be_skipped(aws, breakable, broken, expect_error):
    stack = stuck(aws, "skipped", breakable, broken)
    call = aws.client("cloudformation").continue_update_rollback
    assert expect_error(call, StackName="skipped", ResourcesToSkip=["Other"])[0] == "ValidationError"
    call(StackName="skipped", ResourcesToSkip=["Thing"])
    assert aws.settled_stack("skipped")["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert resource(aws, "skipped")["ResourceStatus"] == "UPDATE_COMPLETE"
    assert requests(aws, stack)[-1] == ("Update", "1") and len(requests(aws, stack)) == 3


def test_only_a_failed_rollback_can_be_continued(aws, breakable, expect_error):
    aws.create_stack("healthy", template(breakable, 1))
    call = aws.client("cloudformation").continue_update_rollback
    assert expect_error(call, StackName="healthy")[0] == "ValidationError"
    assert expect_error(call, StackName="nowhere")[0] == "ValidationError"
    assert aws.stack("healthy")["StackStatus"] == "CREATE_COMPLETE"


def test_a_stuck_stack_can_be_deleted(aws, breakable, broken):
    stack = stuck(aws, "given-up", breakable, broken)
    assert aws.delete_stack("given-up")["StackStatus"] == "DELETE_COMPLETE"
    assert requests(aws, stack)[-1][0] == "Delete"


def test_a_creation_whose_rollback_failed_is_deleted_by_the_next_try(aws, breakable, broken):
    broken("Create Delete")
    stack = aws.create_stack("half-made", template(breakable, 1, Queue=QUEUE))
    assert stack["StackStatus"] == "ROLLBACK_FAILED"
    thing = resource(aws, "half-made")
    assert (thing["ResourceStatus"], thing["PhysicalResourceId"]) == ("DELETE_FAILED", "it")
    assert aws.delete_stack("half-made")["StackStatus"] == "DELETE_FAILED"
    broken("")
    assert aws.delete_stack("half-made")["StackStatus"] == "DELETE_COMPLETE"
    assert [kind for kind, _ in requests(aws, stack)] == ["Create", "Delete", "Delete", "Delete"]


def test_a_deletion_that_failed_is_tried_again_or_forced(aws, breakable, broken, expect_error):
    cloudformation = aws.client("cloudformation")
    for name in ("again", "forced"):
        aws.create_stack(name, template(breakable, 1, Queue=QUEUE))
    force = {"StackName": "forced", "DeletionMode": "FORCE_DELETE_STACK"}
    assert expect_error(cloudformation.delete_stack, **force)[0] == "ValidationError"
    broken("Delete")
    stacks = {name: aws.delete_stack(name) for name in ("again", "forced")}
    assert {stack["StackStatus"] for stack in stacks.values()} == {"DELETE_FAILED"}
    cloudformation.delete_stack(**force)
    assert aws.settled_stack(stacks["forced"]["StackId"])["StackStatus"] == "DELETE_COMPLETE"
    skipped = [e for e in aws.stack_events(stacks["forced"]["StackId"]) if e["ResourceStatus"] == "DELETE_SKIPPED"]
    assert [event["LogicalResourceId"] for event in skipped] == ["Thing"]
    assert [kind for kind, _ in requests(aws, stacks["forced"])] == ["Create", "Delete"]
    broken("")
    assert aws.delete_stack("again")["StackStatus"] == "DELETE_COMPLETE"
    assert [kind for kind, _ in requests(aws, stacks["again"])] == ["Create", "Delete", "Delete"]


def test_all_events_of_an_operation_carry_its_token(aws, breakable, broken):
    aws.create_stack("tokens", template(breakable, 1), ClientRequestToken="made")
    created = aws.stack_events("tokens")
    assert {event.get("ClientRequestToken") for event in created} == {"made"}
    broken("Update")
    aws.update_stack("tokens", template(breakable, 2), ClientRequestToken="changed")
    updated = aws.stack_events("tokens")[len(created) :]
    assert "UPDATE_ROLLBACK_IN_PROGRESS" in {event["ResourceStatus"] for event in updated}
    assert {event.get("ClientRequestToken") for event in updated} == {"changed"}


def test_a_repeated_call_with_its_token_begins_nothing(aws, breakable, broken, expect_error):
    cloudformation = aws.client("cloudformation")

    def call(verb: str, token: str, value: int | None = None, **more: object) -> dict:
        body = {} if value is None else {"TemplateBody": json.dumps(template(breakable, value))}
        return getattr(cloudformation, verb)(StackName="repeated", ClientRequestToken=token, **body, **more)

    made = call("create_stack", "t-create", 1)["StackId"]
    assert call("create_stack", "t-create", 1)["StackId"] == made
    stack = aws.settled_stack("repeated")
    assert call("create_stack", "t-create", 1)["StackId"] == made
    another = {"StackName": "repeated", "TemplateBody": json.dumps(template(breakable, 1))}
    assert expect_error(cloudformation.create_stack, **another)[0] == "AlreadyExistsException"
    for _ in range(3):
        assert call("update_stack", "t-update", 2)["StackId"] == made
    aws.settled_stack("repeated")
    assert call("update_stack", "t-update", 2)["StackId"] == made
    assert aws.stack("repeated")["StackStatus"] == "UPDATE_COMPLETE"
    assert requests(aws, stack) == [("Create", "1"), ("Update", "2")]
    code, _ = expect_error(call, verb="delete_stack", token="t-update")
    assert code == "TokenAlreadyExistsException"
    broken("Update")
    call("update_stack", "t-broken", 3)
    assert aws.settled_stack("repeated")["StackStatus"] == "UPDATE_ROLLBACK_FAILED"
    assert call("update_stack", "t-broken", 3)["StackId"] == made
    broken("")
    for _ in range(2):
        call("continue_update_rollback", "t-continue")
    assert aws.settled_stack("repeated")["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    call("continue_update_rollback", "t-continue")
    for _ in range(2):
        call("delete_stack", "t-delete")
    assert aws.settled_stack(made)["StackStatus"] == "DELETE_COMPLETE"
    assert [kind for kind, _ in requests(aws, stack)] == ["Create", *["Update"] * 4, "Delete"]


def test_a_refused_call_leaves_its_token_free(aws, breakable, expect_error):
    cloudformation = aws.client("cloudformation")
    aws.create_stack("refused", template(breakable, 1))
    same = {"StackName": "refused", "ClientRequestToken": "once", "TemplateBody": json.dumps(template(breakable, 1))}
    assert expect_error(cloudformation.update_stack, **same)[1] == "No updates are to be performed."
    assert aws.update_stack("refused", template(breakable, 2), ClientRequestToken="once")["StackId"]
    assert aws.stack("refused")["StackStatus"] == "UPDATE_COMPLETE"


def test_events_come_in_pages_that_do_not_shift_when_more_happens(aws):
    cloudformation = aws.client("cloudformation")
    aws.create_stack("long", {"Resources": {f"Queue{number}": QUEUE for number in range(60)}})
    before = cloudformation.describe_stack_events(StackName="long")
    assert len(before["StackEvents"]) == 100
    aws.update_stack("long", {"Resources": {f"Queue{number}": QUEUE for number in range(61)}})
    rest = cloudformation.describe_stack_events(StackName="long", NextToken=before["NextToken"])
    assert len(rest["StackEvents"]) == 22 and "NextToken" not in rest
    ids = [event["EventId"] for event in before["StackEvents"] + rest["StackEvents"]]
    assert len(set(ids)) == len(ids) == 122
    pages = cloudformation.get_paginator("describe_stack_events").paginate(StackName="long")
    every = [event["EventId"] for page in pages for event in page["StackEvents"]]
    assert len(set(every)) == len(every) > 122 and every[-22:] == ids[-22:]
