"""ECS: deployments take a while, and task definitions are returned as they were registered."""

import json
from pathlib import Path

import botocore.session
import pytest
from local_aws import wait_for


@pytest.fixture(scope="module")
def ecs(aws):
    client = aws.client("ecs")
    client.create_cluster(clusterName="shop")
    return client


def register(ecs, family: str, **members: object) -> str:
    container = {"name": "web", "image": "nginx", **members}
    registered = ecs.register_task_definition(family=family, containerDefinitions=[container])
    return registered["taskDefinition"]["taskDefinitionArn"]


def service_of(ecs, name: str) -> dict:
    return ecs.describe_services(cluster="shop", services=[name])["services"][0]


def states(service: dict) -> list[tuple]:
    return [(d["status"], d["rolloutState"], d["runningCount"], d["desiredCount"]) for d in service["deployments"]]


def test_a_deployment_is_in_progress_until_the_service_is_steady(ecs):
    first, second = register(ecs, "web"), register(ecs, "web", cpu=1)
    created = ecs.create_service(cluster="shop", serviceName="web", taskDefinition=first, desiredCount=2)["service"]
    assert states(created) == [("PRIMARY", "IN_PROGRESS", 0, 2)] and created["runningCount"] == 0
    wait_for(lambda: states(service_of(ecs, "web")) == [("PRIMARY", "COMPLETED", 2, 2)])
    updated = ecs.update_service(cluster="shop", service="web", taskDefinition=second)["service"]
    assert states(updated) == [("PRIMARY", "IN_PROGRESS", 0, 2), ("ACTIVE", "COMPLETED", 2, 2)]
    assert [d["taskDefinition"] for d in updated["deployments"]] == [second, first]
    assert updated["runningCount"] == 2 and updated["pendingCount"] == 2
    wait_for(lambda: states(service_of(ecs, "web")) == [("PRIMARY", "COMPLETED", 2, 2)])
    steady = service_of(ecs, "web")
    assert steady["taskDefinition"] == second
    assert steady["events"][0]["message"] == "(service web) has reached a steady state."


def test_a_forced_deployment_runs_the_same_definition_again(ecs):
    definition = register(ecs, "forced")
    ecs.create_service(cluster="shop", serviceName="forced", taskDefinition=definition, desiredCount=1)
    wait_for(lambda: states(service_of(ecs, "forced")) == [("PRIMARY", "COMPLETED", 1, 1)])
    before = service_of(ecs, "forced")["deployments"][0]["id"]
    ecs.update_service(cluster="shop", service="forced", forceNewDeployment=True)
    wait_for(lambda: states(service_of(ecs, "forced")) == [("PRIMARY", "COMPLETED", 1, 1)])
    assert service_of(ecs, "forced")["deployments"][0]["id"] != before


def test_a_newer_deployment_overtakes_the_one_in_progress(ecs):
    first, second = register(ecs, "overtaken"), register(ecs, "overtaken")
    ecs.create_service(cluster="shop", serviceName="overtaken", taskDefinition=first, desiredCount=1)
    ecs.update_service(cluster="shop", service="overtaken", taskDefinition=second)
    wait_for(lambda: states(service_of(ecs, "overtaken")) == [("PRIMARY", "COMPLETED", 1, 1)])
    assert service_of(ecs, "overtaken")["deployments"][0]["taskDefinition"] == second


def test_a_service_with_no_tasks_becomes_steady_too(ecs):
    ecs.create_service(cluster="shop", serviceName="empty", taskDefinition=register(ecs, "empty"), desiredCount=0)
    wait_for(lambda: states(service_of(ecs, "empty")) == [("PRIMARY", "COMPLETED", 0, 0)])


def test_an_unknown_task_definition_is_refused(ecs, expect_error):
    ecs.create_service(cluster="shop", serviceName="strict", taskDefinition=register(ecs, "strict"), desiredCount=1)
    for unknown in ("strict:99", "nothing", "arn:aws:ecs:eu-west-1:000000000000:task-definition/strict:99"):
        update = {"cluster": "shop", "service": "strict", "taskDefinition": unknown}
        assert expect_error(ecs.update_service, **update)[0] == "ClientException"
    assert service_of(ecs, "strict")["taskDefinition"].endswith("strict:1")
    create = {"cluster": "shop", "serviceName": "new", "taskDefinition": "nothing", "desiredCount": 1}
    assert expect_error(ecs.create_service, **create)[0] == "ClientException"


def sample(shape, path: tuple = ()) -> object:
    """A value for every member of a shape in the API model."""
    if shape.name in path:
        return None
    if shape.type_name == "structure":
        members = {name: sample(member, (*path, shape.name)) for name, member in shape.members.items()}
        return {name: value for name, value in members.items() if value is not None}
    if shape.type_name == "list":
        return [sample(shape.member, (*path, shape.name))]
    if shape.type_name == "map":
        return {"key": sample(shape.value, (*path, shape.name))}
    if shape.type_name in ("integer", "long", "float", "double"):
        return 1
    if shape.type_name == "boolean":
        return True
    return getattr(shape, "enum", None) and shape.enum[0] or "text"


def test_every_member_of_a_task_definition_comes_back(aws, ecs):
    given = sample(ecs.meta.service_model.operation_model("RegisterTaskDefinition").input_shape)
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    role = aws.client("iam").create_role(RoleName="task", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    given |= {"family": "everything", "networkMode": "awsvpc", "cpu": "256", "memory": "512"}
    given |= {"taskRoleArn": role, "executionRoleArn": role}
    arn = ecs.register_task_definition(**given)["taskDefinition"]["taskDefinitionArn"]
    described = ecs.describe_task_definition(taskDefinition=arn, include=["TAGS"])
    assert described["tags"] == given.pop("tags")
    returned = described["taskDefinition"]
    assert {name: returned.get(name) for name in given} == given
    assert "tags" not in ecs.describe_task_definition(taskDefinition=arn)


def test_a_small_task_definition_gets_no_invented_members(ecs):
    described = ecs.describe_task_definition(taskDefinition=register(ecs, "small"))["taskDefinition"]
    assert not {"executionRoleArn", "taskRoleArn", "pidMode", "ipcMode", "proxyConfiguration"} & described.keys()


def test_a_deployment_is_announced_on_the_default_bus(aws, ecs):
    sqs, events = aws.client("sqs"), aws.client("events")
    url = sqs.create_queue(QueueName="deployments")["QueueUrl"]
    events.put_rule(Name="deployments", EventPattern=json.dumps({"source": ["aws.ecs"]}))
    target = {"Id": "1", "Arn": "arn:aws:sqs:eu-west-1:000000000000:deployments"}
    events.put_targets(Rule="deployments", Targets=[target])
    ecs.create_service(cluster="shop", serviceName="told", taskDefinition=register(ecs, "told"), desiredCount=1)
    names: list[str] = []

    def told() -> bool:
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            event = json.loads(message["Body"])
            if event["resources"][0].endswith("service/shop/told"):
                names.append(event["detail"]["eventName"])
        return names == ["SERVICE_DEPLOYMENT_IN_PROGRESS", "SERVICE_DEPLOYMENT_COMPLETED"]

    wait_for(told)


def test_the_fixture_of_the_adapters_has_every_member_of_a_task_definition():
    """`shared/aws` must keep every field in a new revision, so it must know any member that ECS adds."""
    fixture = Path(__file__).parents[3] / "shared/aws/tests/task-definition.json"
    described = json.loads(fixture.read_text())["taskDefinition"]
    shapes = botocore.session.get_session().get_service_model("ecs")
    assert missing_members(shapes.shape_for("TaskDefinition"), described, "") == []


def missing_members(shape, value, path: str) -> list[str]:
    if shape.type_name == "structure":
        absent = [f"{path}/{name}" for name in shape.members if name not in value]
        present = [(shape.members[name], value[name], f"{path}/{name}") for name in shape.members if name in value]
        return absent + [lost for member in present for lost in missing_members(*member)]
    if shape.type_name == "list":
        return missing_members(shape.member, value[0], path) if value else [f"{path}/0"]
    return []


def test_lists_have_pages_and_at_most_ten_services_are_described(ecs, expect_error):
    ecs.create_cluster(clusterName="pages")
    definition = register(ecs, "pages")
    names = [f"s{number:02}" for number in range(12)]
    for name in names:
        ecs.create_service(cluster="pages", serviceName=name, taskDefinition=definition, desiredCount=0)
    first = ecs.list_services(cluster="pages")
    second = ecs.list_services(cluster="pages", nextToken=first["nextToken"])
    arns = first["serviceArns"] + second["serviceArns"]
    assert len(first["serviceArns"]) == 10 and "nextToken" not in second
    assert sorted(arn.rsplit("/")[-1] for arn in arns) == names
    assert expect_error(ecs.describe_services, cluster="pages", services=names)[0] == "InvalidParameterException"
    assert expect_error(ecs.list_services, cluster="pages", nextToken="x")[0] == "InvalidParameterException"
    assert "nextToken" not in ecs.list_clusters()
    described = ecs.describe_services(cluster="pages", services=names[:1])["services"][0]
    assert "tags" not in described, "only on request"


def test_a_family_stands_for_its_latest_active_revision(ecs, expect_error):
    first, second = register(ecs, "family"), register(ecs, "family")
    ecs.deregister_task_definition(taskDefinition=second)
    assert ecs.describe_task_definition(taskDefinition="family")["taskDefinition"]["taskDefinitionArn"] == first
    ecs.deregister_task_definition(taskDefinition=first)
    assert expect_error(ecs.describe_task_definition, taskDefinition="family")[0] == "ClientException"


BREAKER = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}


def test_a_deployment_that_does_not_start_goes_back_to_the_last_one_that_did(ecs):
    good, broken = register(ecs, "breaker"), register(ecs, "breaker", image="app:broken")
    ecs.create_service(
        cluster="shop", serviceName="breaker", taskDefinition=good, desiredCount=1, deploymentConfiguration=BREAKER
    )
    wait_for(lambda: states(service_of(ecs, "breaker")) == [("PRIMARY", "COMPLETED", 1, 1)])
    ecs.update_service(cluster="shop", service="breaker", taskDefinition=broken)
    wait_for(lambda: service_of(ecs, "breaker")["taskDefinition"] == good)
    back, failed = service_of(ecs, "breaker")["deployments"][:2]
    assert back["rolloutStateReason"].startswith("ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/")
    assert (failed["rolloutState"], failed["taskDefinition"]) == ("FAILED", broken)
    wait_for(lambda: states(service_of(ecs, "breaker")) == [("PRIMARY", "COMPLETED", 1, 1)])


def test_an_image_may_start_only_without_secrets(ecs):
    secrets = [{"name": "A", "valueFrom": "arn:aws:secretsmanager:eu-west-1:000000000000:secret:a"}]
    without = register(ecs, "picky", image="app:broken-with-secrets")
    with_them = register(ecs, "picky", image="app:broken-with-secrets", secrets=secrets)
    ecs.create_service(
        cluster="shop", serviceName="picky", taskDefinition=without, desiredCount=1, deploymentConfiguration=BREAKER
    )
    wait_for(lambda: states(service_of(ecs, "picky")) == [("PRIMARY", "COMPLETED", 1, 1)])
    ecs.update_service(cluster="shop", service="picky", taskDefinition=with_them)
    wait_for(lambda: service_of(ecs, "picky")["taskDefinition"] == without)


def test_cloudformation_registers_a_task_definition_as_the_api_does(aws, ecs):
    container = {
        "Name": "web",
        "Image": "nginx",
        "Secrets": [{"Name": "A", "ValueFrom": "arn:a"}],
        "DockerLabels": {"Own.Key": "1"},
        "LogConfiguration": {"LogDriver": "awslogs", "Options": {"awslogs-group": "x"}},
    }
    properties = {
        "Family": "by-template",
        "ContainerDefinitions": [container],
        "RuntimePlatform": {"CpuArchitecture": "ARM64"},
    }
    resource = {"Type": "AWS::ECS::TaskDefinition", "Properties": properties}
    template = json.dumps({"Resources": {"Definition": resource}})
    aws.client("cloudformation").create_stack(StackName="by-template", TemplateBody=template)
    wait_for(lambda: "by-template" in ecs.list_task_definition_families()["families"])
    definition = ecs.describe_task_definition(taskDefinition="by-template")["taskDefinition"]
    web = definition["containerDefinitions"][0]
    assert web["secrets"] == [{"name": "A", "valueFrom": "arn:a"}]
    assert web["dockerLabels"] == {"Own.Key": "1"}
    assert web["logConfiguration"] == {"logDriver": "awslogs", "options": {"awslogs-group": "x"}}
    assert definition["runtimePlatform"] == {"cpuArchitecture": "ARM64"}
    assert "taskRoleArn" not in definition


def test_a_rule_starts_a_task(aws, ecs):
    register(ecs, "started")
    events = aws.client("events")
    events.put_rule(Name="starts", EventPattern=json.dumps({"source": ["team"]}))
    cluster = ecs.describe_clusters(clusters=["shop"])["clusters"][0]["clusterArn"]
    family = "arn:aws:ecs:eu-west-1:000000000000:task-definition/started"
    target = {
        "Id": "1",
        "Arn": cluster,
        "RoleArn": "arn:aws:iam::000000000000:role/x",
        "EcsParameters": {"TaskDefinitionArn": family, "TaskCount": 2, "LaunchType": "FARGATE"},
    }
    events.put_targets(Rule="starts", Targets=[target])
    events.put_events(Entries=[{"Source": "team", "DetailType": "go", "Detail": "{}"}])
    wait_for(lambda: len(ecs.list_tasks(cluster="shop", family="started")["taskArns"]) == 2)
