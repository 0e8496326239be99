"""What the tests of ECS tasks share: a cluster with a role, and running a task to its end."""

from __future__ import annotations

import json
import time
from itertools import count

from local_aws import PASSWORD, LocalAws, wait_for

CLUSTER = "jobs"
ACCOUNT = "000000000000"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
numbers = count(1)


class Jobs:
    """Runs tasks in one cluster."""

    def __init__(self, aws: LocalAws) -> None:
        self.aws, self.ecs, self.logs, self.ec2 = aws, aws.client("ecs"), aws.client("logs"), aws.client("ec2")
        self.ecs.create_cluster(clusterName=CLUSTER)
        self.vpc = self.ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
        self.subnet, self.other_subnet = (
            self.ec2.create_subnet(VpcId=self.vpc, CidrBlock=f"10.1.{number}.0/24", AvailabilityZone=f"eu-west-1{zone}")[
                "Subnet"
            ]["SubnetId"]
            for number, zone in ((1, "a"), (2, "b"))
        )
        self.group = self.make_group("tasks")
        self.role = self.make_role("job-execution", "*", "*")
        self.logs.create_log_group(logGroupName="jobs")
        subnets = [self.subnet, self.other_subnet]
        aws.client("rds").create_db_subnet_group(
            DBSubnetGroupName="jobs", DBSubnetGroupDescription="jobs", SubnetIds=subnets
        )

    def make_group(self, name: str) -> str:
        return self.ec2.create_security_group(GroupName=name, Description=name, VpcId=self.vpc)["GroupId"]

    def make_role(self, name: str, actions: object, resource: object, **more: object) -> str:
        iam = self.aws.client("iam")
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        statement = {"Effect": "Allow", "Action": actions, "Resource": resource, **more}
        iam.put_role_policy(
            RoleName=name, PolicyName="own", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        )
        return made

    def define(self, family: str = "", tags: list[dict] | None = None, role: str = "", **container: object) -> str:
        """Registers a definition with one container, `psql`. Returns its ARN."""
        log = {"awslogs-group": "jobs", "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "check"}
        members = {
            "name": "psql",
            "image": "public.ecr.aws/docker/library/postgres:17",
            "essential": True,
            "logConfiguration": {"logDriver": "awslogs", "options": log},
            **container,
        }
        registered = self.ecs.register_task_definition(
            family=family or f"job-{next(numbers)}",
            requiresCompatibilities=["FARGATE"],
            networkMode="awsvpc",
            cpu="256",
            memory="512",
            executionRoleArn=role or self.role,
            containerDefinitions=[members],
            **({"tags": tags} if tags else {}),
        )
        return registered["taskDefinition"]["taskDefinitionArn"]

    def request(self, definition: str, **changes: object) -> dict:
        network = {"subnets": [self.subnet], "securityGroups": [self.group], "assignPublicIp": "DISABLED"}
        request = {
            "cluster": CLUSTER,
            "taskDefinition": definition,
            "launchType": "FARGATE",
            "networkConfiguration": {"awsvpcConfiguration": network},
            **changes,
        }
        return {name: value for name, value in request.items() if value is not None}

    def run(self, definition: str, **changes: object) -> str:
        """Starts one task. Returns its ARN."""
        answer = self.ecs.run_task(**self.request(definition, **changes))
        assert not answer["failures"], answer
        return answer["tasks"][0]["taskArn"]

    def task(self, arn: str, **more: object) -> dict:
        answer = self.ecs.describe_tasks(cluster=CLUSTER, tasks=[arn], **more)
        assert not answer["failures"], answer
        return answer["tasks"][0]

    def wait_for(self, arn: str, status: str) -> dict:
        wait_for(lambda: self.task(arn)["lastStatus"] == status, seconds=30, pause=0.02)
        return self.task(arn)

    def finished(self, definition: str, **changes: object) -> dict:
        return self.wait_for(self.run(definition, **changes), "STOPPED")

    def output(self, task: dict, prefix: str = "check") -> list[str]:
        stream = f"{prefix}/{task['containers'][0]['name']}/{task['taskArn'].rpartition('/')[2]}"
        events = self.logs.get_log_events(logGroupName="jobs", logStreamName=stream, startFromHead=True)["events"]
        return [event["message"] for event in events]

    def plan(self, plans: dict) -> None:
        status, _, body = self.aws.http("PUT", "/_local/ecs/next-tasks", plans)
        assert status == 200, body

    def secret(self, name: str, value: object) -> str:
        text = value if isinstance(value, str) else json.dumps(value)
        return self.aws.client("secretsmanager").create_secret(Name=name, SecretString=text)["ARN"]

    # ---- Databases

    def database(self, identifier: str, group: str) -> dict[str, str]:
        """An instance with this security group. Returns the variables that lead to it."""
        made = self.aws.create_database(identifier, DBSubnetGroupName="jobs", VpcSecurityGroupIds=[group])
        return variables_of(made["Endpoint"]["Address"], made["Endpoint"]["Port"])

    def allow(self, group: str, port: int, source: str) -> str:
        permission = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "UserIdGroupPairs": [{"GroupId": source}]}
        made = self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])
        return made["SecurityGroupRules"][0]["SecurityGroupRuleId"]

    def select(self, definition: str, variables: dict[str, str], *command: str, **changes: object) -> dict:
        """A task that runs a query, or another command, with these variables."""
        override = {
            "name": "psql",
            "command": list(command or ("psql", "-Atc", "SELECT 40 + 2")),
            "environment": [{"name": name, "value": value} for name, value in variables.items()],
        }
        return self.finished(definition, overrides={"containerOverrides": [override]}, **changes)


def variables_of(host: str, port: int) -> dict[str, str]:
    values = {"PGHOST": host, "PGPORT": str(port), "PGUSER": "app", "PGDATABASE": "app", "PGPASSWORD": PASSWORD}
    return {**values, "PGCONNECT_TIMEOUT": "2"}


def seconds_ago(moment) -> float:
    return time.time() - moment.timestamp()
