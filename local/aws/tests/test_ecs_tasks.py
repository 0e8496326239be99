"""ECS tasks: RunTask runs a command as ECS would, with its environment and its output."""

import json
import os
import re
import subprocess
import time
from pathlib import Path

import pytest
from ecs_tasks import CLUSTER, Jobs, numbers, seconds_ago
from local_aws import LocalAws, wait_for


def say(*words: str) -> list[str]:
    return ["sh", "-c", "; ".join(words)]


# ---- The life of a task


def test_a_task_runs_its_command_and_stops_with_its_exit_code(jobs):
    definition = jobs.define(command=say("echo out", "echo err >&2", "exit 3"))
    started = jobs.ecs.run_task(**jobs.request(definition, startedBy="stagedb/check_1"))["tasks"][0]
    assert (started["lastStatus"], started["desiredStatus"]) == ("PROVISIONING", "RUNNING")
    assert re.fullmatch(rf"arn:aws:ecs:eu-west-1:0{{12}}:task/{CLUSTER}/[0-9a-f]{{32}}", started["taskArn"])
    task = jobs.wait_for(started["taskArn"], "STOPPED")
    assert task["desiredStatus"] == "STOPPED"
    assert (task["stopCode"], task["stoppedReason"]) == (
        "EssentialContainerExited",
        "Essential container in task exited",
    )
    container = task["containers"][0]
    assert (container["name"], container["lastStatus"], container["exitCode"]) == ("psql", "STOPPED", 3)
    assert (task["taskDefinitionArn"], task["startedBy"]) == (definition, "stagedb/check_1")
    assert (task["launchType"], task["platformVersion"]) == ("FARGATE", "1.4.0")
    assert task["clusterArn"].endswith(f":cluster/{CLUSTER}")
    assert task["createdAt"] <= task["startedAt"] <= task["stoppingAt"] <= task["stoppedAt"]
    assert 0 <= seconds_ago(task["createdAt"]) < 60
    assert jobs.output(task) == ["out", "err"]


def test_a_task_goes_through_all_statuses(jobs):
    jobs.aws.http("PUT", "/_local/timings", {"ecs_task_start_seconds": 0.6})
    arn = jobs.run(jobs.define(command=["sleep", "0.4"]))
    jobs.aws.http("PUT", "/_local/timings", {"ecs_task_start_seconds": 0.1})
    seen: list[str] = []
    while seen[-1:] != ["STOPPED"]:
        seen.append(jobs.task(arn)["lastStatus"])
        time.sleep(0.01)
    seen = [status for status in dict.fromkeys(seen) if status != "DEPROVISIONING"]
    assert seen == ["PROVISIONING", "PENDING", "RUNNING", "STOPPED"]


def test_the_command_of_the_request_wins_and_the_entry_point_stays(jobs):
    definition = jobs.define(entryPoint=["sh", "-c"], command=["echo definition"])
    assert jobs.output(jobs.finished(definition)) == ["definition"]
    override = {"containerOverrides": [{"name": "psql", "command": ["echo request"]}]}
    task = jobs.finished(definition, overrides=override)
    assert jobs.output(task) == ["request"]
    assert task["overrides"]["containerOverrides"] == override["containerOverrides"]


def test_a_program_that_does_not_exist_is_named(jobs):
    task = jobs.finished(jobs.define(command=["no-such-program"]))
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith("CannotStartContainerError: ")
    assert 'exec: "no-such-program": executable file not found in $PATH' in task["containers"][0]["reason"]
    assert "exitCode" not in task["containers"][0]


def test_a_capacity_provider_takes_the_place_of_the_launch_type(jobs):
    strategy = [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]
    task = jobs.finished(jobs.define(command=["true"]), launchType=None, capacityProviderStrategy=strategy)
    assert task["capacityProviderName"] == "FARGATE_SPOT" and "launchType" not in task


@pytest.mark.parametrize(
    ("command", "code"), [(["sleep", "60"], 143), (say("trap '' TERM", "while :; do sleep 0.1; done"), 137)]
)
def test_a_stopped_task_gets_sigterm_and_then_sigkill(jobs, command, code):
    arn = jobs.run(jobs.define(command=command, stopTimeout=2))
    jobs.wait_for(arn, "RUNNING")
    time.sleep(0.2)
    stopped = jobs.ecs.stop_task(cluster=CLUSTER, task=arn.rpartition("/")[2], reason="too late")["task"]
    assert (stopped["desiredStatus"], stopped["stoppedReason"]) == ("STOPPED", "too late")
    task = jobs.wait_for(arn, "STOPPED")
    assert (task["stopCode"], task["stoppedReason"]) == ("UserInitiated", "too late")
    assert task["containers"][0]["exitCode"] == code
    waited = (task["executionStoppedAt"] - task["stoppingAt"]).total_seconds()
    assert waited > 1.9 if code == 137 else waited < 1.5
    again = jobs.ecs.stop_task(cluster=CLUSTER, task=arn, reason="again")["task"]
    assert again["stoppedReason"] == "too late"


def stopped(jobs, arn: str, said: list[str]) -> dict:
    """Stops a task as soon as its log has these lines, which takes at most a second."""
    jobs.wait_for(arn, "RUNNING")
    wait_for(lambda: jobs.output(jobs.task(arn)) == said, seconds=1.5)
    jobs.ecs.stop_task(cluster=CLUSTER, task=arn)
    return jobs.wait_for(arn, "STOPPED")


def test_a_shell_may_trap_sigterm_and_say_something_before_it_ends(jobs):
    script = "trap 'echo stopping; kill $child; sleep 0.5; echo stopped; exit 7' TERM; sleep 60 & child=$!; echo up; wait"
    task = stopped(jobs, jobs.run(jobs.define(entryPoint=["sh", "-c"], command=[script])), ["up"])
    assert task["containers"][0]["exitCode"] == 7
    assert jobs.output(task) == ["up", "stopping", "stopped"]


def test_the_log_grows_while_a_stopped_task_still_runs(jobs):
    script = "trap 'echo one; sleep 1; echo two; sleep 1; printf three; exit 0' TERM; echo up; while :; do sleep 0.1; done"
    arn = jobs.run(jobs.define(entryPoint=["sh", "-c"], command=[script]))
    jobs.wait_for(arn, "RUNNING")
    wait_for(lambda: jobs.output(jobs.task(arn)) == ["up"], seconds=1.5)
    jobs.ecs.stop_task(cluster=CLUSTER, task=arn)
    for said in (["up", "one"], ["up", "one", "two"]):
        wait_for(lambda: jobs.output(jobs.task(arn)) == said, seconds=1.5)
        assert jobs.task(arn)["lastStatus"] == "RUNNING"
    task = jobs.wait_for(arn, "STOPPED")
    assert task["containers"][0]["exitCode"] == 0
    assert jobs.output(task) == ["up", "one", "two", "three"]


def test_sigterm_reaches_the_command_and_not_what_it_has_started(jobs):
    child = "trap 'echo child stopped; exit' TERM; while :; do sleep 0.1; done"
    script = f"trap 'echo told; sleep 0.5; exit 0' TERM; sh -c \"{child}\" & echo up; wait"
    task = stopped(jobs, jobs.run(jobs.define(entryPoint=["sh", "-c"], command=[script])), ["up"])
    assert jobs.output(task) == ["up", "told"]


def test_a_shell_in_the_middle_of_a_command_traps_sigterm_after_it(jobs):
    script = "trap 'echo told; exit 0' TERM; echo up; sleep 1; echo never"
    task = stopped(jobs, jobs.run(jobs.define(entryPoint=["sh", "-c"], command=[script])), ["up"])
    assert jobs.output(task) == ["up", "told"]
    assert (task["executionStoppedAt"] - task["stoppingAt"]).total_seconds() > 0.5


def test_output_before_sigkill_is_in_the_log(jobs):
    script = "trap 'echo ignored' TERM; echo up; while :; do sleep 0.1; done"
    task = stopped(jobs, jobs.run(jobs.define(command=["sh", "-c", script], stopTimeout=2)), ["up"])
    assert task["containers"][0]["exitCode"] == 137
    assert jobs.output(task) == ["up", "ignored"]


def test_without_its_own_timeout_a_container_has_half_a_minute(jobs):
    script = "trap 'sleep 5; echo cleaned; exit 0' TERM; echo up; while :; do sleep 0.1; done"
    task = stopped(jobs, jobs.run(jobs.define(command=["sh", "-c", script])), ["up"])
    assert task["containers"][0]["exitCode"] == 0
    assert jobs.output(task) == ["up", "cleaned"]


def test_a_task_can_be_stopped_before_it_has_started(jobs):
    jobs.aws.http("PUT", "/_local/timings", {"ecs_task_start_seconds": 5})
    arn = jobs.run(jobs.define(command=["true"]))
    jobs.aws.http("PUT", "/_local/timings", {"ecs_task_start_seconds": 0.1})
    jobs.ecs.stop_task(cluster=CLUSTER, task=arn)
    task = jobs.wait_for(arn, "STOPPED")
    assert (task["stopCode"], task["stoppedReason"]) == ("UserInitiated", "Task stopped by user")
    assert "exitCode" not in task["containers"][0] and "startedAt" not in task


def test_unknown_tasks_are_missing(jobs, expect_error):
    missing = f"arn:aws:ecs:eu-west-1:000000000000:task/{CLUSTER}/{'0' * 32}"
    answer = jobs.ecs.describe_tasks(cluster=CLUSTER, tasks=[missing])
    assert answer["tasks"] == [] and answer["failures"] == [{"arn": missing, "reason": "MISSING"}]
    code, message = expect_error(jobs.ecs.stop_task, cluster=CLUSTER, task=missing)
    assert (code, message) == ("InvalidParameterException", "The referenced task was not found.")
    for call in (jobs.ecs.describe_tasks, jobs.ecs.stop_task, jobs.ecs.list_tasks):
        arguments = {"cluster": "no-such-cluster"}
        arguments |= {"tasks": ["x"]} if call == jobs.ecs.describe_tasks else {}
        arguments |= {"task": "x"} if call == jobs.ecs.stop_task else {}
        assert expect_error(call, **arguments)[0] == "ClusterNotFoundException"


def test_tasks_are_listed_by_family_by_starter_and_by_desired_status(jobs, expect_error):
    definition = jobs.define("listed", command=["sleep", "60"])
    one, other = (jobs.run(definition, startedBy=name) for name in ("list-one", "list-other"))

    def listed(**filters: str) -> list[str]:
        return jobs.ecs.list_tasks(cluster=CLUSTER, **filters)["taskArns"]

    assert sorted(listed(family="listed")) == sorted([one, other])
    assert listed(startedBy="list-one") == [one]
    assert expect_error(listed, serviceName="listed")[0] == "ServiceNotFoundException"
    jobs.ecs.stop_task(cluster=CLUSTER, task=one)
    assert listed(family="listed") == [other] and listed(family="listed", desiredStatus="STOPPED") == [one]
    jobs.ecs.stop_task(cluster=CLUSTER, task=other)
    assert expect_error(listed, family="listed", startedBy="list-one")[0] == "InvalidParameterException"


def test_a_task_has_the_tags_of_the_request_and_of_its_definition(jobs):
    of_definition = [{"key": "team", "value": "shop"}, {"key": "stage", "value": "dev"}]
    definition = jobs.define(tags=of_definition, command=["true"])
    arn = jobs.run(definition, propagateTags="TASK_DEFINITION", tags=[{"key": "stage", "value": "prod"}])
    tags = {tag["key"]: tag["value"] for tag in jobs.task(arn, include=["TAGS"])["tags"]}
    assert tags == {"team": "shop", "stage": "prod"}
    assert jobs.task(arn)["tags"] == [], "only on request"
    assert jobs.task(jobs.run(definition), include=["TAGS"])["tags"] == []


# ---- Requests that ECS refuses


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"cluster": "nowhere"}, "ClusterNotFoundException", "Cluster not found."),
        ({"taskDefinition": "nothing"}, "ClientException", "TaskDefinition not found."),
        ({"taskDefinition": "refused:99"}, "ClientException", "TaskDefinition not found."),
        (
            {"networkConfiguration": None},
            "InvalidParameterException",
            "Network Configuration must be provided when networkMode 'awsvpc' is specified.",
        ),
        (
            {"capacityProviderStrategy": [{"capacityProvider": "FARGATE"}]},
            "InvalidParameterException",
            "Specifying both a launch type and capacity provider strategy is not supported.",
        ),
        (
            {"overrides": {"containerOverrides": [{"name": "web", "command": ["x"]}]}},
            "InvalidParameterException",
            "Override for container named web is not a container in the TaskDefinition.",
        ),
        (
            {"overrides": {"containerOverrides": [{"name": "psql", "command": ["x" * 8192]}]}},
            "InvalidParameterException",
            "at most 8192",
        ),
        ({"startedBy": "x" * 129}, "InvalidParameterException", "startedBy"),
        ({"startedBy": "a.b"}, "InvalidParameterException", "startedBy"),
        ({"clientToken": "x" * 65}, "InvalidParameterException", "clientToken"),
        ({"count": 11}, "InvalidParameterException", "count"),
        (
            {"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}},
            "InvalidParameterException",
            "The subnet ID 'subnet-1' does not exist",
        ),
    ],
)
def test_a_request_that_is_not_valid_is_refused(jobs, expect_error, change, code, words):
    definition = jobs.define("refused", command=["true"])
    found_code, message = expect_error(jobs.ecs.run_task, **jobs.request(definition, **change) | {
        name: value for name, value in change.items() if value is not None
    })
    assert found_code == code and words in message


def test_a_deregistered_definition_is_refused(jobs, expect_error):
    definition = jobs.define(command=["true"])
    jobs.ecs.deregister_task_definition(taskDefinition=definition)
    found = expect_error(jobs.ecs.run_task, **jobs.request(definition))
    assert found == ("ClientException", "TaskDefinition not found.")


def test_overrides_with_8192_characters_are_accepted(jobs):
    definition = jobs.define(command=["true"])
    empty = json.dumps({"containerOverrides": [{"name": "psql", "command": ["true", ""]}]}, separators=(",", ":"))
    override = {"name": "psql", "command": ["true", "x" * (8192 - len(empty))]}
    task = jobs.finished(definition, overrides={"containerOverrides": [override]})
    assert task["containers"][0]["exitCode"] == 0


def test_a_role_that_does_not_trust_ecs_is_refused(jobs, expect_error):
    definition = jobs.define(command=["true"])
    request = jobs.request(definition, overrides={"executionRoleArn": jobs.aws.role()})
    code, message = expect_error(jobs.ecs.run_task, **request)
    assert code == "ClientException" and message.startswith("ECS was unable to assume the role")


def test_a_repeated_request_starts_nothing_and_a_different_one_with_its_token_is_refused(jobs):
    definition = jobs.define("repeated", command=["sleep", "0.2"])
    first = jobs.run(definition, clientToken="token-1")
    assert jobs.run(definition, clientToken="token-1") == first
    jobs.wait_for(first, "STOPPED")
    assert jobs.run(definition, clientToken="token-1") == first
    with pytest.raises(jobs.ecs.exceptions.ConflictException) as conflict:
        jobs.run(definition, clientToken="token-1", startedBy="other")
    assert conflict.value.response["resourceIds"] == [first]
    assert jobs.run(definition, clientToken="token-2") != first


# ---- Environment and secrets


def test_a_container_has_only_its_own_environment_and_directories(jobs):
    secret = jobs.secret("environment", {"a": "from-secret", "b": {"n": 1}})
    definition = jobs.define(
        environment=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
        secrets=[{"name": "B", "valueFrom": f"{secret}:a::"}, {"name": "C", "valueFrom": f"{secret}:a::"},
                 {"name": "D", "valueFrom": f"{secret}:b:AWSCURRENT:"}, {"name": "E", "valueFrom": secret}],
        command=say("env", "touch $HOME/x $TMPDIR/y", "id -un >&2"),
    )  # fmt: skip
    override = {"name": "psql", "environment": [{"name": "C", "value": "from-request"}]}
    task = jobs.finished(definition, overrides={"containerOverrides": [override]})
    *lines, user = jobs.output(task)
    found = dict(line.split("=", 1) for line in lines)
    home, temporary = found.pop("HOME"), found.pop("TMPDIR")
    assert found.pop("PATH").endswith(":/usr/bin:/bin")
    found = {name: value for name, value in found.items() if name not in ("PWD", "SHLVL", "_", "OLDPWD")}
    assert found == {"A": "1", "B": "from-secret", "C": "from-request", "D": '{"n": 1}',
                     "E": '{"a": "from-secret", "b": {"n": 1}}'}  # fmt: skip
    assert task["containers"][0]["exitCode"] == 0
    assert not Path(home).exists() and not Path(temporary).exists()
    if os.geteuid() == 0:
        assert user == "nobody"


def failure_of(jobs, **members: object) -> str:
    task = jobs.finished(jobs.define(command=["true"], **members))
    assert task["stopCode"] == "TaskFailedToStart" and "exitCode" not in task["containers"][0]
    return task["stoppedReason"]


NO_SECRETS = (
    "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable "
    "to retrieve secret from asm: service call has been retried 1 time(s): "
)


def test_a_secret_is_read_as_the_execution_role(jobs):
    secret = jobs.secret("forbidden", "x")
    role = jobs.make_role("no-secrets", "logs:*", "*")
    task = jobs.finished(
        jobs.define(role=role, command=["true"], secrets=[{"name": "A", "valueFrom": secret}]),
    )
    user = f"arn:aws:sts::000000000000:assumed-role/no-secrets/{task['taskArn'].rpartition('/')[2]}"
    assert task["stopCode"] == "TaskFailedToStart" and "exitCode" not in task["containers"][0]
    assert task["stoppedReason"] == (
        f"{NO_SECRETS}failed to fetch secret {secret} from secrets manager: AccessDeniedException: User: {user} is not "
        f"authorized to perform: secretsmanager:GetSecretValue on resource: {secret} because no identity-based policy "
        "allows the secretsmanager:GetSecretValue action"
    )


def test_a_secret_may_allow_the_execution_role_in_its_own_policy(jobs):
    secret = jobs.secret("allowed-by-itself", "by-policy")
    role = jobs.make_role("no-secrets-either", "logs:*", "*")
    allow = {"Effect": "Allow", "Principal": {"AWS": role}, "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    jobs.aws.client("secretsmanager").put_resource_policy(SecretId=secret, ResourcePolicy=policy)
    definition = jobs.define(role=role, command=say("echo $A"), secrets=[{"name": "A", "valueFrom": secret}])
    assert jobs.output(jobs.finished(definition)) == ["by-policy"]


def test_the_execution_role_of_the_request_wins(jobs):
    secret = jobs.secret("by-role", "x")
    other = jobs.make_role("may-write-only", "logs:*", "*")
    definition = jobs.define(command=["true"], secrets=[{"name": "A", "valueFrom": secret}])
    assert jobs.finished(definition)["containers"][0]["exitCode"] == 0
    assert "assumed-role/may-write-only/" in jobs.finished(definition, overrides={"executionRoleArn": other})["stoppedReason"]


def test_secrets_that_are_not_there_are_named(jobs):
    secret = jobs.secret("partly", {"a": "1"})
    for value_from, words in (
        (f"{secret}:nope::", "retrieved secret from Secrets Manager did not contain json key nope"),
        (f"{secret}::AWSPENDING:", f"failed to fetch secret {secret} from secrets manager: ResourceNotFoundException: "
         "Secrets Manager can't find the specified secret value for staging label: AWSPENDING"),
        (f"{secret[:-6]}gone-AbCdEf", "ResourceNotFoundException: Secrets Manager can't find the specified secret."),
    ):  # fmt: skip
        reason = failure_of(jobs, secrets=[{"name": "A", "valueFrom": value_from}])
        assert reason.startswith(NO_SECRETS) and words in reason, reason


# ---- Logs

NO_LOG = (
    "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: failed to "
    "create Cloudwatch log stream: operation error CloudWatch Logs: CreateLogStream, "
)


def test_a_log_that_cannot_be_written_keeps_a_task_from_starting(jobs):
    def options(group: str) -> dict:
        return {"logDriver": "awslogs", "options": {"awslogs-group": group, "awslogs-stream-prefix": "x"}}

    reason = failure_of(jobs, logConfiguration=options("no-such-group"))
    assert reason.startswith(NO_LOG)
    assert reason.endswith("ResourceNotFoundException: The specified log group does not exist. : exit status 1")
    role = jobs.make_role("no-logs", "secretsmanager:*", "*")
    reason = failure_of(jobs, role=role)
    assert reason.startswith(NO_LOG) and "AccessDeniedException: User: arn:aws:sts" in reason
    assert "logs:CreateLogStream" in reason and reason.endswith(": exit status 1")


def test_a_role_that_may_not_write_loses_the_output(jobs):
    role = jobs.make_role("only-streams", "logs:CreateLogStream", "*")
    task = jobs.finished(jobs.define(role=role, command=say("echo lost")))
    assert task["containers"][0]["exitCode"] == 0 and jobs.output(task) == []


def test_output_arrives_line_by_line_while_the_command_runs(jobs):
    arn = jobs.run(jobs.define(command=say("echo first", "echo", "sleep 30", "echo second")))
    jobs.wait_for(arn, "RUNNING")
    wait_for(lambda: jobs.output(jobs.task(arn)) == ["first"], seconds=5)
    assert jobs.task(arn)["lastStatus"] == "RUNNING"
    jobs.ecs.stop_task(cluster=CLUSTER, task=arn)


def test_a_container_without_a_log_configuration_writes_nowhere(jobs):
    task = jobs.finished(jobs.define(command=say("echo x"), logConfiguration={"logDriver": "none"}))
    assert task["containers"][0]["exitCode"] == 0


# ---- The process


def test_what_a_command_leaves_running_ends_with_its_task(jobs):
    marker = f"61{next(numbers):04}"
    task = jobs.finished(jobs.define(command=say(f"sleep {marker} & echo done")))
    assert jobs.output(task) == ["done"]
    assert not running(f"sleep {marker}")


@pytest.mark.parametrize("how", ["terminate", "kill"])
def test_every_process_of_a_task_ends_with_the_local_aws(how):
    marker = f"62{next(numbers):04}"
    with LocalAws() as own:
        jobs = Jobs(own)
        arn = jobs.run(jobs.define(command=["sh", "-c", f"sleep {marker} & sleep {marker}; true"]))
        wait_for(lambda: len(running(f"sleep {marker}")) == 2 and jobs.task(arn)["lastStatus"] == "RUNNING")
        getattr(own.process, how)()
        own.process.wait(10)
        wait_for(lambda: not running(f"sleep {marker}"), seconds=5)


def test_a_reset_ends_all_tasks():
    marker = f"63{next(numbers):04}"
    with LocalAws() as own:
        jobs = Jobs(own)
        jobs.run(jobs.define(command=say("trap '' TERM", f"sleep {marker} & wait", "wait")))
        wait_for(lambda: running(f"sleep {marker}"))
        own.reset()
        wait_for(lambda: not running(f"sleep {marker}"), seconds=5)
        assert json.loads(own.http("GET", "/_local/ecs/tasks")[2]) == []


def running(command: str) -> list[str]:
    """The processes with exactly this command."""
    listing = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    return [line for line in listing.stdout.splitlines() if line.strip() == command]


# ---- Behaviors


def planned(jobs, behavior: str, **container: object) -> dict:
    """A task of a family whose next task behaves like this."""
    family = f"planned-{next(numbers)}"
    definition = jobs.define(family, **{"command": say("echo ran"), **container})
    jobs.plan({family: {"behavior": behavior}})
    return jobs.finished(definition)


def test_an_image_that_cannot_be_pulled_is_named(jobs):
    task = planned(jobs, "image")
    reason = task["stoppedReason"]
    assert task["stopCode"] == "TaskFailedToStart" and task["containers"][0]["reason"] == reason
    assert reason.startswith(
        "CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref "
        "public.ecr.aws/docker/library/postgres:17: failed to do request: "
        'Head "https://public.ecr.aws/v2/docker/library/postgres/manifests/17": dial tcp '
    )
    assert reason.endswith(":443: i/o timeout")
    assert "ref docker.io/library/postgres:latest:" in planned(jobs, "image", image="postgres")["stoppedReason"]
    assert "ref docker.io/team/app:1:" in planned(jobs, "image", image="team/app:1")["stoppedReason"]


def test_a_cluster_may_have_no_room_for_a_task(jobs):
    definition = jobs.define("no-room", command=["true"])
    jobs.plan({"no-room": {"behavior": "capacity"}})
    answer = jobs.ecs.run_task(**jobs.request(definition, clientToken="no-room"))
    assert answer["tasks"] == [] and [failure["reason"] for failure in answer["failures"]] == ["RESOURCE:MEMORY"]
    assert jobs.ecs.run_task(**jobs.request(definition, clientToken="no-room"))["failures"] == []


def test_fargate_may_have_no_capacity(jobs):
    task = planned(jobs, "fargate-capacity")
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith("Capacity is unavailable at this time. Please try again later")


def test_secrets_may_be_out_of_reach(jobs):
    secret = jobs.secret("out-of-reach", "x")
    task = planned(jobs, "secrets-timeout", secrets=[{"name": "A", "valueFrom": secret}])
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith(
        "ResourceInitializationError: unable to pull secrets or registry auth: "
    )
    assert task["stoppedReason"].endswith(":443: i/o timeout")


def test_a_task_may_never_start(jobs):
    definition = jobs.define("stuck", command=["true"])
    jobs.plan({"stuck": {"behavior": "never-starts"}})
    arn = jobs.run(definition)
    jobs.wait_for(arn, "PENDING")
    time.sleep(0.5)
    assert jobs.task(arn)["lastStatus"] == "PENDING"
    jobs.ecs.stop_task(cluster=CLUSTER, task=arn)
    assert "exitCode" not in jobs.wait_for(arn, "STOPPED")["containers"][0]


def test_a_task_may_never_stop_by_itself(jobs):
    definition = jobs.define("endless", command=say("echo ran"))
    jobs.plan({"endless": {"behavior": "never-stops"}})
    arn = jobs.run(definition)
    jobs.wait_for(arn, "RUNNING")
    time.sleep(0.5)
    assert jobs.task(arn)["lastStatus"] == "RUNNING"
    jobs.ecs.stop_task(cluster=CLUSTER, task=arn)
    task = jobs.wait_for(arn, "STOPPED")
    assert task["containers"][0]["exitCode"] == 137 and jobs.output(task) == []


def test_a_container_may_be_killed(jobs):
    task = planned(jobs, "killed")
    assert (task["stopCode"], task["containers"][0]["exitCode"]) == ("EssentialContainerExited", 137)
    assert task["containers"][0]["reason"] == "OutOfMemoryError: Container killed due to memory usage"
    assert jobs.output(task) == []


def test_output_may_get_lost(jobs):
    task = planned(jobs, "no-log")
    assert task["containers"][0]["exitCode"] == 0 and jobs.output(task) == []


def test_a_stopped_task_may_be_forgotten(jobs):
    definition = jobs.define("forgotten", command=["sleep", "0.5"])
    jobs.plan({"forgotten": {"behavior": "gone"}})
    arn = jobs.run(definition)
    assert jobs.task(arn)
    wait_for(lambda: jobs.ecs.describe_tasks(cluster=CLUSTER, tasks=[arn])["tasks"] == [])
    assert jobs.ecs.describe_tasks(cluster=CLUSTER, tasks=[arn])["failures"][0]["reason"] == "MISSING"
    (found,) = [task for task in all_tasks(jobs) if task["taskArn"] == arn]
    assert found["containers"][0]["exitCode"] == 0


def test_a_behavior_applies_a_number_of_times_or_always(jobs):
    definition = jobs.define("twice", command=["true"])
    jobs.plan({"twice": {"behavior": "killed", "times": 2}})
    codes = [jobs.finished(definition)["containers"][0]["exitCode"] for _ in range(3)]
    assert codes == [137, 137, 0]
    jobs.plan({"twice": {"behavior": "killed", "times": None}})
    codes = [jobs.finished(definition)["containers"][0]["exitCode"] for _ in range(3)]
    assert codes == [137, 137, 137]
    assert json.loads(jobs.aws.http("GET", "/_local/ecs/next-tasks")[2]) == {
        "twice": {"behavior": "killed", "times": None}
    }
    assert jobs.aws.http("DELETE", "/_local/ecs/next-tasks")[0] == 200
    assert jobs.finished(definition)["containers"][0]["exitCode"] == 0


def test_an_unknown_behavior_is_refused(jobs):
    for plans in ({"x": {"behavior": "explode"}}, {"x": {"behavior": ""}}, {"x": {"times": 1}}, {"x": 1}):
        assert jobs.aws.http("PUT", "/_local/ecs/next-tasks", plans)[0] == 400
    assert jobs.aws.http("GET", "/_local/ecs/no-such-thing")[0] == 404


def all_tasks(jobs) -> list[dict]:
    status, _, body = jobs.aws.http("GET", "/_local/ecs/tasks")
    assert status == 200
    return json.loads(body)


def test_every_task_is_recorded_without_its_secrets(jobs):
    secret = jobs.secret("recorded", "a-secret-nobody-may-see")
    definition = jobs.define("recorded", command=["true"], secrets=[{"name": "A", "valueFrom": secret}])
    override = {"containerOverrides": [{"name": "psql", "environment": [{"name": "B", "value": "from-request"}]}]}
    arn = jobs.run(definition, overrides=override)
    jobs.wait_for(arn, "STOPPED")
    (found,) = [task for task in all_tasks(jobs) if task["taskArn"] == arn]
    assert found["taskDefinition"]["containerDefinitions"][0]["secrets"] == [{"name": "A", "valueFrom": secret}]
    assert found["overrides"]["containerOverrides"] == override["containerOverrides"]
    assert found["lastStatus"] == "STOPPED"
    assert "a-secret-nobody-may-see" not in json.dumps(all_tasks(jobs))
