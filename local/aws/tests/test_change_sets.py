"""Change sets: what an update would do, without doing it."""

import json
import time

import pytest
from local_aws import wait_for

ANSWERER = """
import json, time, urllib.request

def handle(event, context):
    time.sleep(1 if event["ResourceProperties"].get("Size") == "slow" else 0)
    body = {"Status": "SUCCESS", "PhysicalResourceId": "it", "Data": {"Host": "h"}}
    body |= {k: event[k] for k in ("StackId", "RequestId", "LogicalResourceId")}
    data, headers = json.dumps(body).encode(), {"Content-Type": ""}
    urllib.request.urlopen(urllib.request.Request(event["ResponseURL"], data, headers, method="PUT"))
"""


@pytest.fixture(scope="module")
def answerer(aws):
    return aws.create_function("answerer-of-change-sets", ANSWERER)


def template(token: str, **more: object) -> dict:
    """Like a stage stack: the second resource uses an attribute of the first."""
    return {
        "Parameters": {
            "Size": {"Type": "String"},
            "Stage": {"Type": "String"},
            "Secret": {"Type": "String", "NoEcho": True, "Default": "hush"},
        },
        "Resources": {
            "Database": {
                "Type": "Custom::Database",
                "Properties": {"ServiceToken": token, "Size": {"Ref": "Size"}, "Stage": {"Ref": "Stage"}},
            },
            "Connection": {
                "Type": "Custom::Connection",
                "Properties": {"ServiceToken": token, "Host": {"Fn::GetAtt": ["Database", "Host"]}},
            },
            "Queue": {"Type": "AWS::SQS::Queue", "Properties": {}},
            **more,
        },
    }


def parameters(size: str) -> list[dict]:
    return [{"ParameterKey": "Size", "ParameterValue": size}, {"ParameterKey": "Stage", "ParameterValue": "dev"}]


@pytest.fixture
def stack(aws, answerer):
    name = f"changing-{time.time_ns()}"
    created = aws.create_stack(name, template(answerer), Parameters=parameters("20"))
    assert created["StackStatus"] == "CREATE_COMPLETE"
    return created


def create(aws, stack: dict, body: dict, size: str, name: str = "preview", **more: object) -> dict:
    """Like the settings page's preview: what the user didn't enter stays the same."""
    wanted = [
        {"ParameterKey": "Size", "ParameterValue": size},
        {"ParameterKey": "Stage", "UsePreviousValue": True},
        {"ParameterKey": "Secret", "UsePreviousValue": True},
    ]
    return aws.client("cloudformation").create_change_set(
        StackName=stack["StackName"],
        ChangeSetName=name,
        ChangeSetType="UPDATE",
        TemplateBody=json.dumps(body),
        Parameters=wanted,
        RoleARN=aws.role(),
        **more,
    )


def describe(aws, identifier: str, **more: str) -> dict:
    return aws.client("cloudformation").describe_change_set(ChangeSetName=identifier, **more)


def settled(aws, identifier: str) -> dict:
    wait_for(lambda: describe(aws, identifier)["Status"] not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"))
    return describe(aws, identifier)


def test_a_change_of_a_custom_resource_reaches_those_that_read_it(aws, answerer, stack):
    change_set = settled(aws, create(aws, stack, template(answerer), "30")["Id"])
    assert (change_set["Status"], change_set["ExecutionStatus"]) == ("CREATE_COMPLETE", "AVAILABLE")
    changes = {
        change["ResourceChange"]["LogicalResourceId"]: change["ResourceChange"] for change in change_set["Changes"]
    }
    assert changes.keys() == {"Database", "Connection"}
    database, connection = changes["Database"], changes["Connection"]
    for change in (database, connection):
        assert (change["Action"], change["Replacement"]) == ("Modify", "False")
        assert change["Scope"] == ["Properties"] and change["PhysicalResourceId"] == "it"
    assert database["ResourceType"] == "Custom::Database"
    told = [(detail["Target"]["Name"], detail["ChangeSource"], detail["Evaluation"]) for detail in database["Details"]]
    assert ("Size", "ParameterReference", "Static") in told
    assert connection["Details"] == [
        {
            "Target": {"Attribute": "Properties", "Name": "Host", "RequiresRecreation": "Never"},
            "Evaluation": "Dynamic",
            "ChangeSource": "ResourceAttribute",
            "CausingEntity": "Database.Host",
        }
    ]


def test_what_is_added_and_what_is_removed_is_reported(aws, answerer, stack):
    body = template(answerer, Another={"Type": "AWS::SQS::Queue"})
    del body["Resources"]["Queue"]
    changes = settled(aws, create(aws, stack, body, "20")["Id"])["Changes"]
    actions = {change["ResourceChange"]["LogicalResourceId"]: change["ResourceChange"]["Action"] for change in changes}
    assert actions == {"Another": "Add", "Queue": "Remove"}


def test_nothing_to_change_is_a_failure_in_words(aws, answerer, stack):
    change_set = settled(aws, create(aws, stack, template(answerer), "20")["Id"])
    assert (change_set["Status"], change_set["ExecutionStatus"]) == ("FAILED", "UNAVAILABLE")
    assert "didn't contain changes" in change_set["StatusReason"] and change_set["Changes"] == []


def test_a_change_set_takes_a_moment_and_cannot_be_used_before(aws, answerer, stack, expect_error):
    cloudformation = aws.client("cloudformation")
    identifier = create(aws, stack, template(answerer), "30")["Id"]
    early = describe(aws, identifier)
    assert early["Status"] in ("CREATE_PENDING", "CREATE_IN_PROGRESS") and early["Changes"] == []
    assert early["ExecutionStatus"] == "UNAVAILABLE"
    for call in (cloudformation.execute_change_set, cloudformation.delete_change_set):
        assert expect_error(call, ChangeSetName=identifier)[0] == "InvalidChangeSetStatus"
    settled(aws, identifier)
    cloudformation.delete_change_set(ChangeSetName=identifier)
    code, _ = expect_error(cloudformation.describe_change_set, ChangeSetName=identifier)
    assert code in ("ChangeSetNotFound", "ChangeSetNotFoundException")


def test_neither_making_nor_deleting_a_change_set_touches_the_stack(aws, answerer, stack, status_events):
    events = len(aws.stack_events(stack["StackName"]))
    first = create(aws, stack, template(answerer), "30")["Id"]
    settled(aws, first)
    settled(aws, create(aws, stack, template(answerer), "20", name="nothing")["Id"])
    aws.client("cloudformation").delete_change_set(ChangeSetName=first)
    assert aws.stack(stack["StackName"]) == stack
    assert len(aws.stack_events(stack["StackName"])) == events
    # Anything still on its way would arrive before this.
    aws.update_stack(stack["StackName"], template(answerer), Parameters=parameters("40"))
    told = status_events(stack["StackId"], "UPDATE_COMPLETE")
    assert told[0]["detail"]["status-details"]["status"] == "UPDATE_IN_PROGRESS"


def test_a_change_set_is_known_by_its_name_with_the_stacks_name_or_arn(aws, answerer, stack):
    cloudformation = aws.client("cloudformation")
    identifier = create(aws, stack, template(answerer), "30")["Id"]
    settled(aws, identifier)
    for named in (stack["StackName"], stack["StackId"]):
        assert describe(aws, "preview", StackName=named)["ChangeSetId"] == identifier
        assert len(cloudformation.list_change_sets(StackName=named)["Summaries"]) == 1
    shown = {p["ParameterKey"]: p["ParameterValue"] for p in describe(aws, identifier)["Parameters"]}
    assert shown == {"Size": "30", "Stage": "dev", "Secret": "****"}


def test_a_repeated_call_with_its_token_is_the_same_change_set(aws, answerer, stack, expect_error):
    first = create(aws, stack, template(answerer), "30", ClientToken="token-1")
    assert create(aws, stack, template(answerer), "30", ClientToken="token-1")["Id"] == first["Id"]
    repeat = {"aws": aws, "stack": stack, "body": template(answerer), "size": "30"}
    assert expect_error(create, **repeat)[0] == "AlreadyExistsException"
    assert expect_error(create, **repeat, ClientToken="token-2")[0] == "AlreadyExistsException"
    settled(aws, first["Id"])


def test_a_change_set_that_was_overtaken_by_an_update_is_obsolete(aws, answerer, stack):
    early = create(aws, stack, template(answerer), "30")["Id"]
    aws.update_stack(stack["StackName"], template(answerer), Parameters=parameters("40"))
    assert settled(aws, early)["ExecutionStatus"] == "OBSOLETE"


def test_a_stack_that_is_being_updated_takes_no_change_set(aws, answerer, stack, expect_error):
    aws.client("cloudformation").update_stack(
        StackName=stack["StackName"], TemplateBody=json.dumps(template(answerer)), Parameters=parameters("slow")
    )
    code, message = expect_error(create, aws=aws, stack=stack, body=template(answerer), size="30")
    assert code == "ValidationError" and "is in UPDATE_IN_PROGRESS state and can not be updated" in message
    aws.settled_stack(stack["StackName"])


def test_an_executed_change_set_is_an_update(aws, answerer, stack):
    identifier = create(aws, stack, template(answerer), "30")["Id"]
    settled(aws, identifier)
    aws.client("cloudformation").execute_change_set(ChangeSetName=identifier, ClientRequestToken="executed")
    assert aws.settled_stack(stack["StackName"])["StackStatus"] == "UPDATE_COMPLETE"
    assert describe(aws, identifier)["ExecutionStatus"] == "EXECUTE_COMPLETE"
    assert aws.stack_events(stack["StackName"])[-1]["ClientRequestToken"] == "executed"
