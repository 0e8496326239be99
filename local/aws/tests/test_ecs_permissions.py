"""ECS tasks: what a role needs to start, see, and stop them."""

import json

import boto3
import pytest
from ecs_tasks import ACCOUNT, CLUSTER, TRUST, numbers
from local_aws import REGION, wait_for

ARN = f"arn:aws:ecs:{REGION}:{ACCOUNT}"
CLUSTER_ARN = f"{ARN}:cluster/{CLUSTER}"
IN_CLUSTER = {"ArnEquals": {"ecs:cluster": CLUSTER_ARN}}


def allow(action: str, resource: str = "*", **condition: object) -> dict:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **({"Condition": condition} if condition else {})}


@pytest.fixture
def as_role(jobs):
    """A client of ECS with the credentials of a role that has these statements."""

    def make(*statements: dict, service: str = "ecs"):
        name = f"caller-{next(numbers)}"
        jobs.make_role(name, "sts:GetCallerIdentity", "*")
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        jobs.aws.client("iam").put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=policy)
        keys = json.loads(jobs.aws.http("POST", "/_local/credentials", {"role": name})[2])
        return boto3.client(
            service,
            endpoint_url=jobs.aws.url,
            region_name=REGION,
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
            config=boto3.session.Config(retries={"total_max_attempts": 1}),
        )

    return make


def passing(role: str) -> dict:
    return allow("iam:PassRole", role, StringEquals={"iam:PassedToService": "ecs-tasks.amazonaws.com"})


def check_denied(expect_error, call, request: dict, action: str, resource: str) -> None:
    code, message = expect_error(call, **request)
    assert code == "AccessDeniedException", message
    assert f"is not authorized to perform: {action} on resource: {resource} because" in message, message


def test_a_task_is_started_from_a_revision_with_its_tags_in_a_cluster(jobs, as_role, expect_error):
    tagged = {"StringEquals": {"aws:ResourceTag/team": "shop"}}
    first = jobs.define("mine", tags=[{"key": "team", "value": "shop"}], command=["true"])
    second = jobs.define("mine", tags=[{"key": "team", "value": "other"}], command=["true"])
    client = as_role(allow("ecs:RunTask", f"{ARN}:task-definition/mine:*", **tagged, **IN_CLUSTER), passing(jobs.role))
    assert client.run_task(**jobs.request(first))["tasks"]
    check_denied(expect_error, client.run_task, jobs.request(second), "ecs:RunTask", second)
    check_denied(expect_error, client.run_task, jobs.request("mine"), "ecs:RunTask", second)
    assert client.run_task(**jobs.request(first, cluster=CLUSTER_ARN))["tasks"]
    jobs.ecs.create_cluster(clusterName="elsewhere")
    check_denied(expect_error, client.run_task, jobs.request(first, cluster="elsewhere"), "ecs:RunTask", first)


def test_the_roles_of_the_definition_and_of_the_request_must_be_passed(jobs, as_role, expect_error):
    definition = jobs.define("passed", command=["true"])
    other = jobs.make_role("passed-execution", "*", "*")
    task_role = jobs.make_role("passed-task", "*", "*")
    run = allow("ecs:RunTask", definition)
    check_denied(expect_error, as_role(run).run_task, jobs.request(definition), "iam:PassRole", jobs.role)
    client = as_role(run, passing(jobs.role))
    assert client.run_task(**jobs.request(definition))["tasks"]
    for name, role in (("executionRoleArn", other), ("taskRoleArn", task_role)):
        request = jobs.request(definition, overrides={name: role})
        check_denied(expect_error, client.run_task, request, "iam:PassRole", role)
        assert as_role(run, passing(jobs.role), passing(role)).run_task(**request)["tasks"]
    to_another_service = allow("iam:PassRole", "*", StringEquals={"iam:PassedToService": "lambda.amazonaws.com"})
    client = as_role(run, to_another_service)
    check_denied(expect_error, client.run_task, jobs.request(definition), "iam:PassRole", jobs.role)


def test_tags_of_a_task_take_another_permission(jobs, as_role, expect_error):
    definition = jobs.define("tagging", tags=[{"key": "stage", "value": "dev"}], command=["true"])
    own, propagated = {"tags": [{"key": "stage", "value": "dev"}]}, {"propagateTags": "TASK_DEFINITION"}
    basic = (allow("ecs:RunTask", definition), passing(jobs.role))
    keys = {"ecs:CreateAction": "RunTask", "aws:RequestTag/stage": "dev"}
    tag = allow("ecs:TagResource", f"{ARN}:task/{CLUSTER}/*", StringEquals=keys)
    for change in (own, propagated):
        request = jobs.request(definition, **change)
        resource = f"{ARN}:task/{CLUSTER}/*"
        check_denied(expect_error, as_role(*basic).run_task, request, "ecs:TagResource", resource)
        assert as_role(*basic, tag).run_task(**request)["tasks"]
    request = jobs.request(definition, tags=[{"key": "stage", "value": "prod"}])
    check_denied(expect_error, as_role(*basic, tag).run_task, request, "ecs:TagResource", f"{ARN}:task/{CLUSTER}/*")
    limited = allow("ecs:RunTask", definition, StringEquals={"aws:RequestTag/stage": "dev"})
    assert as_role(limited, passing(jobs.role), tag).run_task(**jobs.request(definition, **own))["tasks"]


def test_a_task_is_seen_and_stopped_by_its_tags_and_cluster(jobs, as_role, expect_error):
    definition = jobs.define("seen", command=["sleep", "60"])
    mine = jobs.run(definition, tags=[{"key": "team", "value": "shop"}])
    other = jobs.run(definition)
    tagged = {"StringEquals": {"aws:ResourceTag/team": "shop"}}
    resource = f"{ARN}:task/{CLUSTER}/*"
    client = as_role(allow("ecs:DescribeTasks", resource, **tagged, **IN_CLUSTER))
    assert client.describe_tasks(cluster=CLUSTER, tasks=[mine.rpartition("/")[2]])["tasks"]
    request = {"cluster": CLUSTER, "tasks": [mine, other]}
    check_denied(expect_error, client.describe_tasks, request, "ecs:DescribeTasks", other)
    client = as_role(allow("ecs:StopTask", resource, **tagged, **IN_CLUSTER))
    request = {"cluster": CLUSTER, "task": other}
    check_denied(expect_error, client.stop_task, request, "ecs:StopTask", other)
    client.stop_task(cluster=CLUSTER, task=mine)
    jobs.ecs.stop_task(cluster=CLUSTER, task=other)


def test_tasks_are_listed_in_a_cluster(jobs, as_role, expect_error):
    client = as_role(allow("ecs:ListTasks", f"{ARN}:container-instance/{CLUSTER}/*", **IN_CLUSTER))
    assert client.list_tasks(cluster=CLUSTER)["taskArns"] is not None
    resource = f"{ARN}:container-instance/default/*"
    check_denied(expect_error, client.list_tasks, {}, "ecs:ListTasks", resource)


def test_the_tasks_of_a_service_are_seen_in_their_cluster_and_have_no_tags(jobs, as_role, expect_error):
    jobs.ecs.create_service(
        cluster=CLUSTER,
        serviceName="seen-service",
        desiredCount=1,
        tags=[{"key": "team", "value": "shop"}],
        **{name: jobs.request(jobs.define("served"))[name] for name in ("taskDefinition", "networkConfiguration")},
    )
    client = as_role(
        allow("ecs:DescribeTasks", f"{ARN}:task/{CLUSTER}/*", **IN_CLUSTER),
        allow("ecs:ListTasks", **IN_CLUSTER),
    )
    (task,) = client.list_tasks(cluster=CLUSTER, serviceName="seen-service")["taskArns"]
    assert client.describe_tasks(cluster=CLUSTER, tasks=[task])["tasks"][0]["group"] == "service:seen-service"
    tagged = as_role(allow("ecs:DescribeTasks", StringEquals={"aws:ResourceTag/team": "shop"}))
    request = {"cluster": CLUSTER, "tasks": [task]}
    check_denied(expect_error, tagged.describe_tasks, request, "ecs:DescribeTasks", task)
    jobs.ecs.delete_service(cluster=CLUSTER, service="seen-service", force=True)


def role_of_stack(jobs, name: str, *statements: dict) -> str:
    """An execution role that a template creates. Returns its ARN."""
    document = {"Version": "2012-10-17", "Statement": [allow("logs:*"), *statements]}
    role = {"AssumeRolePolicyDocument": TRUST, "Policies": [{"PolicyName": "own", "PolicyDocument": document}]}
    template = {
        "Resources": {"Role": {"Type": "AWS::IAM::Role", "Properties": role}},
        "Outputs": {"Role": {"Value": {"Fn::GetAtt": ["Role", "Arn"]}}},
    }
    stack = jobs.aws.create_stack(name, template, Capabilities=["CAPABILITY_IAM"])
    assert stack["StackStatus"] == "CREATE_COMPLETE", jobs.aws.stack_events(name)
    return stack["Outputs"][0]["OutputValue"]


READ, OF_SHOP = "secretsmanager:GetSecretValue", {"StringEquals": {"aws:ResourceTag/team": "shop"}}


@pytest.mark.parametrize(
    ("case", "statements", "own_policy", "is_read"),
    [
        ("identity", [allow(READ)], None, True),
        ("tag", [allow(READ, **OF_SHOP)], None, True),
        ("other-tag", [allow(READ, StringEquals={"aws:ResourceTag/team": "other"})], None, False),
        ("nothing", [], None, False),
        ("resource", [], {"Effect": "Allow"}, True),
        ("resource-tag", [], {"Effect": "Allow", "Condition": OF_SHOP}, True),
        ("both", [allow(READ)], {"Effect": "Allow"}, True),
        ("somebody-else", [allow(READ, **OF_SHOP)], {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "a:b"}, True),
        ("denied", [allow(READ)], {"Effect": "Deny"}, False),
    ],
)
def test_a_role_of_a_template_reads_a_secret_if_its_own_policy_or_that_of_the_secret_allows_it(
    jobs, case, statements, own_policy, is_read
):
    role = role_of_stack(jobs, f"reads-{case}", *statements)
    secrets = jobs.aws.client("secretsmanager")
    tags = [{"Key": "team", "Value": "shop"}]
    arn = secrets.create_secret(Name=f"read-{case}", SecretString="seen", Tags=tags)["ARN"]
    if own_policy:
        statement = {"Principal": {"AWS": role}, "Action": READ, "Resource": "*", **own_policy}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        secrets.put_resource_policy(SecretId=arn, ResourcePolicy=policy)
    command = ["sh", "-c", "echo $A"]
    task = jobs.finished(jobs.define(role=role, command=command, secrets=[{"name": "A", "valueFrom": arn}]))
    if is_read:
        assert jobs.output(task) == ["seen"], task
    else:
        assert "AccessDeniedException" in task["stoppedReason"] and READ in task["stoppedReason"]


def test_output_is_read_from_one_stream(jobs, as_role, expect_error):
    task = jobs.finished(jobs.define(command=["echo", "said"]))
    stream = f"check/psql/{task['taskArn'].rpartition('/')[2]}"
    resource = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:jobs:log-stream:check/psql"
    client = as_role(allow("logs:GetLogEvents", f"{resource}/*"), service="logs")
    events = client.get_log_events(logGroupName="jobs", logStreamName=stream)["events"]
    assert [event["message"] for event in events] == ["said"]
    code, message = expect_error(client.get_log_events, logGroupName="jobs", logStreamName="check/web/1")
    assert code == "AccessDeniedException" and "log-group:jobs:log-stream:check/web/1" in message


# ---- Step Functions


def test_executions_are_started_and_described_one_by_one(jobs, as_role, expect_error):
    sfn, body = jobs.aws.client("stepfunctions"), {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}
    mine, other = (
        sfn.create_state_machine(name=name, definition=json.dumps(body), roleArn=jobs.aws.role())["stateMachineArn"]
        for name in ("mine", "other")
    )
    execution = mine.replace(":stateMachine:", ":execution:") + ":*"
    client = as_role(
        allow("states:StartExecution", mine), allow("states:DescribeExecution", execution), service="stepfunctions"
    )
    started = client.start_execution(stateMachineArn=mine, input="{}")["executionArn"]
    assert client.describe_execution(executionArn=started)["executionArn"] == started
    assert expect_error(client.start_execution, stateMachineArn=other)[0] == "AccessDeniedException"
    hidden = sfn.start_execution(stateMachineArn=other)["executionArn"]
    code, message = expect_error(client.describe_execution, executionArn=hidden)
    assert code == "AccessDeniedException" and f"states:DescribeExecution on resource: {hidden}" in message


PROGRESS = """
def handle(event, context):
    return {"phase": event["phase"] + 1, "function": event["function"]}
"""


def test_a_state_machine_may_call_the_functions_that_its_role_allows_whatever_its_input_says(jobs):
    mine, other = (jobs.aws.create_function(name, PROGRESS) for name in ("dynamic-mine", "dynamic-other"))
    role = jobs.make_role("dynamic", "lambda:InvokeFunction", mine)
    step = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName.$": "$.function", "Payload.$": "$"},
        "ResultSelector": {"progress.$": "$.Payload"},
        "ResultPath": "$.result",
        "End": True,
    }
    sfn, body = jobs.aws.client("stepfunctions"), {"StartAt": "Step", "States": {"Step": step}}
    machine = sfn.create_state_machine(name="dynamic", definition=json.dumps(body), roleArn=role)["stateMachineArn"]

    def finished(function: str) -> dict:
        data = json.dumps({"phase": 1, "function": function})
        execution = sfn.start_execution(stateMachineArn=machine, input=data)["executionArn"]
        wait_for(lambda: sfn.describe_execution(executionArn=execution)["status"] != "RUNNING")
        return sfn.describe_execution(executionArn=execution)

    for name in (mine, "dynamic-mine"):
        done = finished(name)
        assert done["status"] == "SUCCEEDED", done
        result = {"progress": {"phase": 2, "function": name}}
        assert json.loads(done["output"]) == {"phase": 1, "function": name, "result": result}
    denied = finished(other)
    assert denied["status"] == "FAILED" and f"lambda:InvokeFunction on resource: {other}" in denied["cause"]
