"""The control endpoint: faults and timings, for tests only."""

import json

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


@pytest.mark.parametrize(
    ("service", "method", "operation"),
    [
        ("cloudformation", "list_stacks", "ListStacks"),
        ("ec2", "describe_vpcs", "DescribeVpcs"),
        ("ecs", "list_clusters", "ListClusters"),
        ("secretsmanager", "list_secrets", "ListSecrets"),
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
