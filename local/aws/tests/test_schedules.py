"""EventBridge Scheduler: a schedule calls a function with its input, in its own role."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from local_aws import wait_for

ECHO = """
def handle(event, context):
    if event.get("fail"):
        raise ValueError("cannot")
    print("got", event["scheduledAt"])
    return event
"""
INPUT = '{"scheduledAt":"<aws.scheduler.scheduled-time>"}'
MOMENT = "2027-01-05T10:00:00Z"


def trust(service: str = "scheduler.amazonaws.com", **condition: object) -> dict:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [{**statement, **condition}]}


def function(events: dict) -> dict:
    code = {"Runtime": "python3.11", "Handler": "index.handle", "InlineCode": ECHO}
    return {"Type": "AWS::Serverless::Function", "Properties": {**code, "Events": events}}


def event(name: object, **properties: object) -> dict:
    own = {"Name": name, "ScheduleExpression": "rate(15 minutes)", "Input": INPUT}
    return {"Type": "ScheduleV2", "Properties": {**own, **properties}}


def template(name: object, **properties: object) -> dict:
    resources = {"Function": function({"Clock": event(name, **properties)})}
    return {"Transform": "AWS::Serverless-2016-10-31", "Resources": resources}


def role(aws, name: str, trusted: dict, resource: str = "*") -> str:
    iam = aws.client("iam")
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trusted))["Role"]["Arn"]
    statement = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": resource}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=name, PolicyName="invoke", PolicyDocument=policy)
    return made


def request(aws, name: str, function_arn: str, role_arn: str, **changes: object) -> dict:
    target = {"Arn": function_arn, "RoleArn": role_arn, "Input": INPUT}
    expression = {"ScheduleExpression": "rate(15 minutes)", "FlexibleTimeWindow": {"Mode": "OFF"}}
    return {"Name": name, "Target": target, **expression, **changes}


def run(aws, name: str, body: object = None, expected: int = 200) -> dict:
    status, _, answer = aws.http("PUT", f"/_local/schedules/{name}/run", body)
    assert status == expected, answer
    return json.loads(answer)


@pytest.fixture(scope="module")
def echo(aws):
    yield aws.create_function("echo", ECHO)
    aws.reset()


def test_a_function_of_sam_has_a_schedule_that_is_updated_and_deleted(aws, expect_error):
    scheduler = aws.client("scheduler")
    capabilities = {"Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]}
    stack = aws.create_stack("clock", template("clock-a"), **capabilities)
    assert stack["StackStatus"] == "CREATE_COMPLETE", aws.stack_events("clock")
    made = scheduler.get_schedule(Name="clock-a")
    assert (made["ScheduleExpression"], made["State"]) == ("rate(15 minutes)", "ENABLED")
    assert made["FlexibleTimeWindow"] == {"Mode": "OFF"} and made["Target"]["Input"] == INPUT
    ran = run(aws, "clock-a", {"time": MOMENT})
    assert (ran["result"], ran["error"]) == ({"scheduledAt": MOMENT}, None)

    changed = template("clock-a", ScheduleExpression="rate(1 hour)", Description="hourly")
    assert aws.update_stack("clock", changed, **capabilities)["StackStatus"] == "UPDATE_COMPLETE"
    hourly = scheduler.get_schedule(Name="clock-a")
    assert (hourly["ScheduleExpression"], hourly["Description"]) == ("rate(1 hour)", "hourly")
    assert hourly["CreationDate"] == made["CreationDate"]

    assert aws.update_stack("clock", template("clock-b"), **capabilities)["StackStatus"] == "UPDATE_COMPLETE"
    assert [each["Name"] for each in scheduler.list_schedules()["Schedules"]] == ["clock-b"]
    assert scheduler.get_schedule(Name="clock-b")["ScheduleExpression"] == "rate(15 minutes)"
    assert aws.delete_stack("clock")["StackStatus"] == "DELETE_COMPLETE"
    assert expect_error(scheduler.get_schedule, Name="clock-b")[0] == "ResourceNotFoundException"


def test_a_schedule_may_be_a_resource_of_its_own_with_its_own_role(aws):
    allow = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": {"Fn::GetAtt": ["Function", "Arn"]}}
    policy = {"PolicyName": "invoke", "PolicyDocument": {"Version": "2012-10-17", "Statement": [allow]}}
    resources = {
        "Function": function({}),
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {"AssumeRolePolicyDocument": trust(), "Policies": [policy]},
        },
        "Schedule": {
            "Type": "AWS::Scheduler::Schedule",
            "Properties": {
                "Name": {"Fn::Sub": "${AWS::StackName}-own"},
                "ScheduleExpression": "rate(15 minutes)",
                "FlexibleTimeWindow": {"Mode": "OFF"},
                "Target": {
                    "Arn": {"Fn::GetAtt": ["Function", "Arn"]},
                    "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
                    "Input": INPUT,
                },
            },
        },
    }
    outputs = {"Name": {"Value": {"Ref": "Schedule"}}, "Arn": {"Value": {"Fn::GetAtt": ["Schedule", "Arn"]}}}
    whole = {"Transform": "AWS::Serverless-2016-10-31", "Resources": resources, "Outputs": outputs}
    stack = aws.create_stack("apart", whole, Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"])
    assert stack["StackStatus"] == "CREATE_COMPLETE", aws.stack_events("apart")
    shown = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    arn = "arn:aws:scheduler:eu-west-1:000000000000:schedule/default/apart-own"
    assert shown == {"Name": "apart-own", "Arn": arn}
    assert run(aws, "apart-own", {"time": MOMENT})["result"] == {"scheduledAt": MOMENT}
    assert aws.delete_stack("apart")["StackStatus"] == "DELETE_COMPLETE"
    run(aws, "apart-own", expected=404)


def test_an_event_of_sam_may_have_its_own_name_role_and_queue(aws):
    allow = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": "*"}
    policy = {"PolicyName": "invoke", "PolicyDocument": {"Version": "2012-10-17", "Statement": [allow]}}
    more = {
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {"AssumeRolePolicyDocument": trust(), "Policies": [policy]},
        },
        "Failed": {"Type": "AWS::SQS::Queue"},
    }
    whole = template(
        {"Fn::Sub": "${AWS::StackName}-clock"},
        RoleArn={"Fn::GetAtt": ["Role", "Arn"]},
        RetryPolicy={"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 600},
        DeadLetterConfig={"Arn": {"Fn::GetAtt": ["Failed", "Arn"]}},
    )
    whole["Resources"] |= more
    stack = aws.create_stack("given", whole, Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"])
    assert stack["StackStatus"] == "CREATE_COMPLETE", aws.stack_events("given")
    resources = aws.client("cloudformation").describe_stack_resources(StackName="given")["StackResources"]
    ids = {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in resources}
    assert ids["FunctionClock"] == "given-clock" and "FunctionClockRole" not in ids
    target = aws.client("scheduler").get_schedule(Name="given-clock")["Target"]
    assert target["RoleArn"].endswith(f":role/{ids['Role']}")
    assert target["RetryPolicy"] == {"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 600}
    assert run(aws, "given-clock", {"time": MOMENT})["result"] == {"scheduledAt": MOMENT}
    assert aws.delete_stack("given")["StackStatus"] == "DELETE_COMPLETE"


def test_a_role_that_the_scheduler_may_not_assume_fails_the_stack(aws):
    aws.client("iam").create_role(RoleName="elsewhere", AssumeRolePolicyDocument=json.dumps(trust("ecs.amazonaws.com")))
    own = {"RoleArn": "arn:aws:iam::000000000000:role/elsewhere"}
    options = {"Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"], "OnFailure": "DO_NOTHING"}
    assert aws.create_stack("untrusted", template("untrusted", **own), **options)["StackStatus"] == "CREATE_FAILED"
    reasons = [told.get("ResourceStatusReason", "") for told in aws.stack_events("untrusted")]
    assert any("must allow AWS EventBridge Scheduler to assume the role" in reason for reason in reasons), reasons


def test_a_due_schedule_calls_its_function(aws, echo):
    due = datetime.now(UTC) + timedelta(seconds=1)
    at = {"ScheduleExpression": f"at({due:%Y-%m-%dT%H:%M:%S})"}
    # It's due once, also if another one had its name before.
    for number in (1, 2):
        made = request(aws, "due", echo, role(aws, f"due-{number}", trust(), echo), **at)
        aws.client("scheduler").create_schedule(**made)
        wait_for(lambda: len(printed(aws)) == number, seconds=15)
        time.sleep(1.5)
        assert len(printed(aws)) == number
        aws.client("scheduler").delete_schedule(Name="due")
    moment = datetime.fromisoformat(printed(aws)[0].removeprefix("got "))
    assert printed(aws)[0].endswith("Z") and abs((moment - due).total_seconds()) < 10


def printed(aws) -> list[str]:
    try:
        found = aws.client("logs").filter_log_events(logGroupName="/aws/lambda/echo", filterPattern="got")["events"]
    except aws.client("logs").exceptions.ResourceNotFoundException:
        return []
    return [line for told in found for line in told["message"].splitlines() if line.startswith("got ")]


def test_a_schedule_is_run_at_once_for_any_time(aws, echo):
    scheduler = aws.client("scheduler")
    scheduler.create_schedule(**request(aws, "run", echo, role(aws, "run", trust(), echo)))
    ran = run(aws, "run", {"time": "2027-01-05T11:00:00+01:00"})
    assert ran == {
        "schedule": "run",
        "time": MOMENT,
        "input": {"scheduledAt": MOMENT},
        "result": {"scheduledAt": MOMENT},
        "error": None,
    }
    now = datetime.fromisoformat(run(aws, "run")["result"]["scheduledAt"])
    assert abs((datetime.now(UTC) - now).total_seconds()) < 60
    for wrong in ({"time": "soon"}, {"time": "2027-01-05T10:00:00"}, {"when": MOMENT}, {"time": 5}, []):
        run(aws, "run", wrong, expected=400)
    run(aws, "no-such-schedule", {"time": MOMENT}, expected=404)
    assert aws.http("GET", "/_local/schedules/run/run")[0] == 404


def test_a_failure_of_the_function_is_the_answer(aws, echo):
    made = request(aws, "failing", echo, role(aws, "failing", trust(), echo))
    made["Target"]["Input"] = '{"fail": true}'
    aws.client("scheduler").create_schedule(**made)
    ran = run(aws, "failing")
    assert ran["result"] is None and ran["input"] == {"fail": True}
    assert ran["error"]["errorMessage"] == "cannot"


def test_the_keywords_of_an_input_are_replaced_and_without_one_there_is_a_notification(aws, echo):
    made = request(aws, "words", echo, role(aws, "words", trust(), echo))
    words = ("schedule-arn", "scheduled-time", "execution-id", "attempt-number")
    keywords = {word: f"<aws.scheduler.{word}>" for word in words}
    made["Target"]["Input"] = json.dumps({"scheduledAt": "at <aws.scheduler.scheduled-time>", **keywords})
    aws.client("scheduler").create_schedule(**made)
    given = run(aws, "words", {"time": MOMENT})["input"]
    arn = "arn:aws:scheduler:eu-west-1:000000000000:schedule/default/words"
    assert given.pop("execution-id").isalnum()
    assert given == {"scheduledAt": f"at {MOMENT}", "schedule-arn": arn, "scheduled-time": MOMENT, "attempt-number": "1"}

    del made["Target"]["Input"]
    aws.client("scheduler").update_schedule(**made)
    given = run(aws, "words", {"time": MOMENT})["input"]
    assert (given["source"], given["detail-type"], given["time"]) == ("aws.scheduler", "Scheduled Event", MOMENT)
    assert given["resources"] == [arn]


def test_a_function_is_called_only_if_the_role_of_the_schedule_may(aws, echo):
    scheduler, iam = aws.client("scheduler"), aws.client("iam")
    scheduler.create_schedule(**request(aws, "denied", echo, role(aws, "denied", trust(), f"{echo}-other")))
    message = run(aws, "denied", expected=400)["message"]
    assert "assumed-role/denied/" in message
    assert f"is not authorized to perform: lambda:InvokeFunction on resource: {echo} because no identity" in message
    statement = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": echo}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName="denied", PolicyName="invoke", PolicyDocument=policy)
    assert run(aws, "denied")["error"] is None
    iam.update_assume_role_policy(RoleName="denied", PolicyDocument=json.dumps(trust("ecs.amazonaws.com")))
    assert "to assume the role" in run(aws, "denied", expected=400)["message"]


def test_a_trust_policy_may_ask_for_the_account_and_the_group(aws, echo, expect_error):
    scheduler = aws.client("scheduler")
    group = "arn:aws:scheduler:eu-west-1:000000000000:schedule-group/default"
    for number, (account, source, is_right) in enumerate(
        [("000000000000", group, True), ("111111111111", group, False), ("000000000000", f"{group}-2", False)]
    ):
        asked = {"StringEquals": {"aws:SourceAccount": account, "aws:SourceArn": source}}
        made = request(aws, f"asked-{number}", echo, role(aws, f"asked-{number}", trust(Condition=asked)))
        if is_right:
            scheduler.create_schedule(**made)
            assert run(aws, f"asked-{number}")["error"] is None
        else:
            code, message = expect_error(scheduler.create_schedule, **made)
            assert (code, message) == (
                "ValidationException",
                "The execution role you provide must allow AWS EventBridge Scheduler to assume the role.",
            )


def test_what_the_scheduler_does_not_understand_is_refused(aws, echo, expect_error):
    made = request(aws, "refused", echo, role(aws, "refused", trust()))
    for wrong in (
        {"ScheduleExpression": "rate(15 parsecs)"},
        {"ScheduleExpression": "hourly"},
        {"Target": {**made["Target"], "Input": "{not json"}},
        {"Target": {**made["Target"], "RoleArn": "arn:aws:iam::000000000000:role/no-such-role"}},
    ):
        assert expect_error(aws.client("scheduler").create_schedule, **{**made, **wrong})[0] == "ValidationException"


def test_a_disabled_schedule_is_not_run(aws, echo):
    made = request(aws, "disabled", echo, role(aws, "disabled", trust()), State="DISABLED")
    aws.client("scheduler").create_schedule(**made)
    assert "DISABLED" in run(aws, "disabled", expected=400)["message"]


def test_a_function_that_is_gone_is_named(aws, echo):
    gone = aws.create_function("gone", ECHO)
    aws.client("scheduler").create_schedule(**request(aws, "gone", gone, role(aws, "gone", trust())))
    aws.client("lambda").delete_function(FunctionName="gone")
    assert f"Function not found: {gone}" in run(aws, "gone", expected=400)["message"]
