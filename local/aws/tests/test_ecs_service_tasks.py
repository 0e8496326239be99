"""ECS: the tasks of services come and go with the deployments."""

import time

import pytest
from local_aws import wait_for

CLUSTER = "services"


@pytest.fixture(scope="module")
def ecs(aws):
    client = aws.client("ecs")
    client.create_cluster(clusterName=CLUSTER)
    yield client
    aws.reset()


def register(ecs, family: str, **members: object) -> str:
    container = {"name": "web", "image": "nginx", **members}
    registered = ecs.register_task_definition(family=family, containerDefinitions=[container])
    return registered["taskDefinition"]["taskDefinitionArn"]


def create(ecs, name: str, count: int = 1, **more: object) -> dict:
    request = {"taskDefinition": name, "desiredCount": count, **more}
    return ecs.create_service(cluster=CLUSTER, serviceName=name, **request)["service"]


def steady(ecs, name: str) -> dict:
    def deployments() -> list[dict]:
        return ecs.describe_services(cluster=CLUSTER, services=[name])["services"][0]["deployments"]

    wait_for(lambda: [d["rolloutState"] for d in deployments()] == ["COMPLETED"])
    return deployments()[0]


def listed(ecs, name: str, status: str = "RUNNING") -> set[str]:
    return set(ecs.list_tasks(cluster=CLUSTER, serviceName=name, desiredStatus=status)["taskArns"])


def described(ecs, arns: set[str], **more: object) -> list[dict]:
    answer = ecs.describe_tasks(cluster=CLUSTER, tasks=sorted(arns), **more)
    assert answer["failures"] == []
    return answer["tasks"]


def statuses(ecs, arns: set[str]) -> set[tuple[str, str]]:
    return {(task["desiredStatus"], task["lastStatus"]) for task in described(ecs, arns)}


def test_a_deployment_has_as_many_tasks_as_the_service_wants(ecs):
    definition = register(ecs, "wanted")
    before = time.time()
    created = create(ecs, "wanted", 2)
    tasks = described(ecs, listed(ecs, "wanted"))
    assert len(tasks) == 2
    for task in tasks:
        assert task["taskArn"].startswith(f"arn:aws:ecs:eu-west-1:000000000000:task/{CLUSTER}/")
        assert task["clusterArn"] == created["clusterArn"] and task["taskDefinitionArn"] == definition
        assert (task["lastStatus"], task["desiredStatus"]) == ("RUNNING", "RUNNING")
        assert (task["group"], task["startedBy"]) == ("service:wanted", created["deployments"][0]["id"])
        assert before - 1 <= task["createdAt"].timestamp() <= task["startedAt"].timestamp() <= time.time()
        assert [(c["name"], c["lastStatus"]) for c in task["containers"]] == [("web", "RUNNING")]
        assert task["tags"] == [] and "stoppedAt" not in task


def test_old_tasks_run_until_the_newer_deployment_completes_and_then_drain(aws, ecs):
    register(ecs, "rolling")
    create(ecs, "rolling", 2)
    steady(ecs, "rolling")
    old = listed(ecs, "rolling")
    updated = ecs.update_service(cluster=CLUSTER, service="rolling", taskDefinition=register(ecs, "rolling"))["service"]
    both = listed(ecs, "rolling")
    assert old < both and len(both) == 4 and statuses(ecs, both) == {("RUNNING", "RUNNING")}
    before = aws.http("GET", "/_local/timings")[2]
    aws.http("PUT", "/_local/timings", {"ecs_drain_seconds": 600})
    steady(ecs, "rolling")
    assert listed(ecs, "rolling") == both - old and listed(ecs, "rolling", "STOPPED") == old
    assert statuses(ecs, old) == {("STOPPED", "DEACTIVATING")} and statuses(ecs, both - old) == {("RUNNING", "RUNNING")}
    aws.http("PUT", "/_local/timings", before)
    wait_for(lambda: statuses(ecs, old) == {("STOPPED", "STOPPED")})
    assert listed(ecs, "rolling", "STOPPED") == old, "stopped tasks are shown for an hour"
    for task in described(ecs, old):
        drained = task["stoppedAt"] - task["stoppingAt"]
        assert abs(drained.total_seconds() - 0.4) < 0.01
        assert task["stopCode"] == "ServiceSchedulerInitiated" and updated["deployments"][0]["id"] in task["stoppedReason"]
        assert [(c["lastStatus"], c["exitCode"]) for c in task["containers"]] == [("STOPPED", 0)]


def test_a_forced_deployment_with_the_same_definition_replaces_the_tasks(ecs):
    register(ecs, "forced-tasks")
    create(ecs, "forced-tasks")
    first = steady(ecs, "forced-tasks")
    (old,) = listed(ecs, "forced-tasks")
    ecs.update_service(cluster=CLUSTER, service="forced-tasks", forceNewDeployment=True)
    assert len(listed(ecs, "forced-tasks")) == 2
    second = steady(ecs, "forced-tasks")
    (new,) = described(ecs, listed(ecs, "forced-tasks"))
    assert new["taskArn"] != old and new["startedBy"] == second["id"] != first["id"]
    wait_for(lambda: statuses(ecs, {old}) == {("STOPPED", "STOPPED")})


def test_an_overtaken_deployment_loses_its_tasks_and_the_complete_one_keeps_them(ecs):
    register(ecs, "passed-by")
    create(ecs, "passed-by")
    steady(ecs, "passed-by")
    old = listed(ecs, "passed-by")
    ecs.update_service(cluster=CLUSTER, service="passed-by", forceNewDeployment=True)
    overtaken = listed(ecs, "passed-by") - old
    ecs.update_service(cluster=CLUSTER, service="passed-by", forceNewDeployment=True)
    running = listed(ecs, "passed-by")
    assert old < running and len(running) == 2 and not overtaken & running
    primary = steady(ecs, "passed-by")
    assert [task["startedBy"] for task in described(ecs, listed(ecs, "passed-by"))] == [primary["id"]]


@pytest.mark.parametrize("has_rollback", [True, False])
def test_tasks_that_cannot_start_stop_with_their_deployment_and_the_old_ones_stay(ecs, has_rollback):
    name = f"broken-{has_rollback}"
    good, broken = register(ecs, name), register(ecs, name, image="app:broken")
    breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": has_rollback}}
    create(ecs, name, 2, taskDefinition=good, deploymentConfiguration=breaker)
    steady(ecs, name)
    old = listed(ecs, name)
    ecs.update_service(cluster=CLUSTER, service=name, taskDefinition=broken)
    failing = listed(ecs, name) - old
    assert statuses(ecs, failing) == {("RUNNING", "PENDING")} and statuses(ecs, old) == {("RUNNING", "RUNNING")}
    wait_for(lambda: statuses(ecs, failing) == {("STOPPED", "STOPPED")})
    assert listed(ecs, name) == old and statuses(ecs, old) == {("RUNNING", "RUNNING")}
    if has_rollback:
        primary = steady(ecs, name)
        assert {task["startedBy"] for task in described(ecs, old)} == {primary["id"]}
        assert (primary["desiredCount"], primary["runningCount"]) == (2, 2)
        assert listed(ecs, name) == old, "a rollback starts nothing"


def test_a_service_is_scaled_by_its_newest_tasks_and_none_are_left_at_zero(ecs):
    register(ecs, "scaled")
    create(ecs, "scaled")
    steady(ecs, "scaled")
    first = listed(ecs, "scaled")
    ecs.update_service(cluster=CLUSTER, service="scaled", desiredCount=3)
    assert first < listed(ecs, "scaled") and len(listed(ecs, "scaled")) == 3
    ecs.update_service(cluster=CLUSTER, service="scaled", desiredCount=1)
    assert listed(ecs, "scaled") == first
    ecs.update_service(cluster=CLUSTER, service="scaled", desiredCount=0)
    assert listed(ecs, "scaled") == set() and len(listed(ecs, "scaled", "STOPPED")) == 3
    register(ecs, "nothing-wanted")
    create(ecs, "nothing-wanted", 0)
    assert listed(ecs, "nothing-wanted") == set()


def test_the_tasks_of_a_deleted_service_stop(ecs):
    register(ecs, "deleted")
    create(ecs, "deleted", 2)
    steady(ecs, "deleted")
    tasks = listed(ecs, "deleted")
    ecs.delete_service(cluster=CLUSTER, service="deleted", force=True)
    assert ecs.list_tasks(cluster=CLUSTER, family="deleted")["taskArns"] == []
    wait_for(lambda: statuses(ecs, tasks) == {("STOPPED", "STOPPED")})
    create(ecs, "deleted")
    assert len(listed(ecs, "deleted")) == 1 and not listed(ecs, "deleted") & tasks


def test_a_task_that_somebody_stops_is_replaced(ecs):
    register(ecs, "replaced")
    create(ecs, "replaced")
    steady(ecs, "replaced")
    (old,) = listed(ecs, "replaced")
    stopped = ecs.stop_task(cluster=CLUSTER, task=old, reason="why not")["task"]
    assert (stopped["stopCode"], stopped["stoppedReason"]) == ("UserInitiated", "why not")
    (new,) = listed(ecs, "replaced")
    assert new != old and statuses(ecs, {old}) == {("STOPPED", "DEACTIVATING")}


def test_tasks_are_found_by_name_by_arn_by_family_and_by_deployment_page_by_page(ecs):
    register(ecs, "found")
    service = create(ecs, "found", 5)
    expected = listed(ecs, "found")
    by_id = ecs.describe_tasks(cluster=CLUSTER, tasks=[arn.rpartition("/")[2] for arn in expected])["tasks"]
    assert {task["taskArn"] for task in by_id} == expected
    for chosen in (
        {"serviceName": "found"},
        {"serviceName": service["serviceArn"]},
        {"family": "found"},
        {"startedBy": service["deployments"][0]["id"]},
    ):
        pages = ecs.get_paginator("list_tasks").paginate(cluster=CLUSTER, **chosen, PaginationConfig={"PageSize": 2})
        found = [page["taskArns"] for page in pages]
        assert [len(arns) for arns in found] == [2, 2, 1] and set().union(*found) == expected, chosen
    assert ecs.list_tasks(cluster=CLUSTER, family="foundation")["taskArns"] == []
    assert ecs.list_tasks(cluster=service["clusterArn"], serviceName="found", launchType="FARGATE")["taskArns"] == []


def test_what_ecs_does_not_know_is_an_error(ecs, expect_error):
    register(ecs, "known")
    arn = create(ecs, "known")["serviceArn"]
    ecs.create_cluster(clusterName="another")
    for cluster, name, code in (
        ("no-such-cluster", "known", "ClusterNotFoundException"),
        (CLUSTER, "no-such-service", "ServiceNotFoundException"),
        ("another", "known", "ServiceNotFoundException"),
        ("another", arn, "ServiceNotFoundException"),
        (CLUSTER, f"{arn}-2", "ServiceNotFoundException"),
    ):
        assert expect_error(ecs.list_tasks, cluster=cluster, serviceName=name)[0] == code
    for wrong in ({"nextToken": "x"}, {"maxResults": 101}, {"desiredStatus": "STOPPING"}):
        assert expect_error(ecs.list_tasks, cluster=CLUSTER, **wrong)[0] == "InvalidParameterException"


@pytest.mark.parametrize(
    ("source", "team"), [("SERVICE", "service"), ("TASK_DEFINITION", "definition"), ("NONE", None)]
)
def test_tasks_have_the_tags_that_their_service_propagates(ecs, source, team):
    name = f"tags-{source}"
    container = {"name": "web", "image": "nginx"}
    of_definition, of_service = ([{"key": "team", "value": value}] for value in ("definition", "service"))
    ecs.register_task_definition(family=name, containerDefinitions=[container], tags=of_definition)
    create(ecs, name, tags=of_service, propagateTags=source)
    (task,) = described(ecs, listed(ecs, name), include=["TAGS"])
    assert task["tags"] == ([{"key": "team", "value": team}] if team else [])


def test_only_so_many_stopped_tasks_are_shown(ecs):
    register(ecs, "many")
    create(ecs, "many", 205)
    ecs.update_service(cluster=CLUSTER, service="many", desiredCount=0)

    def stopped() -> list[str]:
        pages = ecs.get_paginator("list_tasks").paginate(cluster=CLUSTER, desiredStatus="STOPPED")
        return [arn for page in pages for arn in page["taskArns"]]

    wait_for(lambda: len(stopped()) == 200)
