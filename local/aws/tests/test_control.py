"""The control endpoint: faults and timings, for tests only."""

import json
import time

import pytest
from local_aws import PASSWORD


@pytest.fixture(autouse=True)
def no_faults_left(aws):
    yield
    aws.http("DELETE", "/_local/faults")


def inject(aws, **fault: object) -> None:
    assert aws.http("PUT", "/_local/faults", [fault])[0] == 200


NEW = {
    "DBInstanceClass": "db.t4g.micro",
    "Engine": "postgres",
    "AllocatedStorage": 20,
    "MasterUsername": "app",
    "MasterUserPassword": PASSWORD,
}


def test_a_fault_fails_one_call_without_an_effect(aws, expect_error):
    rds = aws.client("rds")
    code, message = "InsufficientDBInstanceCapacity", "no <capacity>"
    inject(aws, service="rds", operation="CreateDBInstance", code=code, message=message)
    assert expect_error(rds.create_db_instance, DBInstanceIdentifier="faulty", **NEW) == (code, message)
    assert expect_error(rds.describe_db_instances, DBInstanceIdentifier="faulty")[0] == "DBInstanceNotFound"
    assert json.loads(aws.http("GET", "/_local/faults")[2]) == []
    aws.create_database("faulty")


def test_a_fault_for_certain_parameters_leaves_other_calls_alone(aws, expect_error):
    inject(
        aws, service="rds", operation="DescribeDBInstances", code="Oops", times=None, when={"DBInstanceIdentifier": "x"}
    )
    rds = aws.client("rds")
    rds.describe_db_instances()
    for _ in range(2):
        assert expect_error(rds.describe_db_instances, DBInstanceIdentifier="x")[0] == "Oops"


def test_an_effect_may_happen_and_its_answer_be_lost(aws, expect_error):
    ecs = aws.client("ecs")
    inject(aws, service="ecs", operation="CreateCluster", code="ServerException", message="lost", after=True)
    assert expect_error(ecs.create_cluster, clusterName="made") == ("ServerException", "lost")
    assert ecs.describe_clusters(clusters=["made"])["clusters"][0]["status"] == "ACTIVE"


LOG = {"logGroupName": "faulty", "logStreamName": "s"}


def log_calls(aws) -> dict:
    """The calls on a log stream, by operation."""
    logs = aws.client("logs")
    event = {"timestamp": int(time.time() * 1000), "message": "written"}
    return {
        "CreateLogStream": lambda: logs.create_log_stream(**LOG),
        "PutLogEvents": lambda: logs.put_log_events(**LOG, logEvents=[event]),
        "GetLogEvents": lambda: [event["message"] for event in logs.get_log_events(**LOG)["events"]],
    }


@pytest.mark.parametrize("after", [False, True])
def test_faults_of_a_log_happen_before_or_after_the_effect(aws, expect_error, after):
    logs, calls = aws.client("logs"), log_calls(aws)
    logs.create_log_group(logGroupName="faulty")
    for operation, call in calls.items():
        fault = {"operation": operation, "code": "ServiceUnavailableException", "message": "later", "after": after}
        inject(aws, service="logs", status=500, when={"logStreamName": "s"}, **fault)
        assert expect_error(call) == ("ServiceUnavailableException", "later")
        if not after or operation == "GetLogEvents":
            call()
    assert calls["GetLogEvents"]() == ["written"], "once"
    assert expect_error(calls["CreateLogStream"])[0] == "ResourceAlreadyExistsException"
    logs.delete_log_group(logGroupName="faulty")


@pytest.mark.parametrize(
    ("service", "method", "operation"),
    [
        ("cloudformation", "list_stacks", "ListStacks"),
        ("ec2", "describe_vpcs", "DescribeVpcs"),
        ("ecs", "list_clusters", "ListClusters"),
        ("logs", "describe_log_groups", "DescribeLogGroups"),
        ("secretsmanager", "list_secrets", "ListSecrets"),
        ("ssm", "describe_parameters", "DescribeParameters"),
        ("stepfunctions", "list_state_machines", "ListStateMachines"),
    ],
)
def test_faults_work_for_each_protocol(aws, expect_error, service, method, operation):
    signed_as = {"stepfunctions": "states"}.get(service, service)
    inject(aws, service=signed_as, operation=operation, code="ThrottlingException", message="Rate exceeded", times=2)
    client = aws.client(service)
    for _ in range(2):
        assert expect_error(getattr(client, method)) == ("ThrottlingException", "Rate exceeded")
    getattr(client, method)()


def test_an_administrator_signs_a_user_out_although_the_answer_is_lost(aws, expect_error):
    cognito = aws.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName="faulty")["UserPool"]["Id"]
    user = {"UserPoolId": pool, "Username": "ann"}
    cognito.admin_create_user(**user, MessageAction="SUPPRESS")
    fault = {"operation": "AdminUserGlobalSignOut", "code": "TooManyRequestsException", "message": "Rate exceeded"}
    for after in (False, True):
        inject(aws, service="cognito-idp", after=after, **fault)
        assert expect_error(cognito.admin_user_global_sign_out, **user)[0] == "TooManyRequestsException"
    cognito.admin_user_global_sign_out(**user)


def test_a_wrong_fault_is_refused(aws):
    assert aws.http("PUT", "/_local/faults", [{"service": "rds"}])[0] == 400
    assert aws.http("PUT", "/_local/faults", [{"service": "rds", "operation": "x", "code": "y", "typo": 1}])[0] == 400


def test_timings_are_shown_and_changed(aws):
    before = json.loads(aws.http("GET", "/_local/timings")[2])
    assert before["ecs_steady_seconds"] == 0.6
    changed = json.loads(aws.http("PUT", "/_local/timings", {"ecs_steady_seconds": 1.5})[2])
    assert changed == {**before, "ecs_steady_seconds": 1.5}
    aws.http("PUT", "/_local/timings", before)
    for wrong in ({"no_such_timing": 1}, {"ecs_steady_seconds": -1}, {"ecs_steady_seconds": "soon"}):
        assert aws.http("PUT", "/_local/timings", wrong)[0] == 400
    assert json.loads(aws.http("GET", "/_local/timings")[2]) == before


def test_an_unknown_control_path_is_not_found(aws):
    assert aws.http("GET", "/_local/nothing")[0] == 404
