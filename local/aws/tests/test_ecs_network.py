"""ECS tasks and databases: security groups decide whether a task can connect, and a certificate proves the server."""

import time

import pytest
from ecs_tasks import CLUSTER, variables_of
from local_aws import postgres_has_ssl, wait_for

TIMEOUT = 'connection to server at "localhost" (127.0.0.1)'


@pytest.fixture(scope="module")
def open_database(jobs):
    """A database that the tasks' group may connect to, and its variables."""
    group = jobs.make_group("open")
    variables = jobs.database("open-to-tasks", group)
    jobs.allow(group, int(variables["PGPORT"]), jobs.group)
    return group, variables


@pytest.fixture(scope="module")
def definition(jobs):
    return jobs.define("network", command=["psql", "-Atc", "SELECT 40 + 2"])


def timed_out(jobs, task: dict) -> bool:
    output = " ".join(jobs.output(task))
    assert TIMEOUT in output, output
    return task["containers"][0]["exitCode"] == 2 and "timeout expired" in output and "refused" not in output


def test_a_task_reaches_a_database_that_lets_its_group_in(jobs, open_database, definition):
    task = jobs.select(definition, open_database[1])
    assert jobs.output(task) == ["42"] and task["containers"][0]["exitCode"] == 0


def test_a_task_waits_in_vain_for_a_database_that_does_not_let_its_group_in(jobs, open_database, definition):
    other = jobs.make_group("not-let-in")
    network = {"awsvpcConfiguration": {"subnets": [jobs.subnet], "securityGroups": [other]}}
    started = time.monotonic()
    assert timed_out(jobs, jobs.select(definition, open_database[1], networkConfiguration=network))
    assert time.monotonic() - started > 2, "not refused at once"
    both = {"awsvpcConfiguration": {"subnets": [jobs.subnet], "securityGroups": [other, jobs.group]}}
    assert jobs.output(jobs.select(definition, open_database[1], networkConfiguration=both)) == ["42"]
    default = {"awsvpcConfiguration": {"subnets": [jobs.subnet]}}
    assert timed_out(jobs, jobs.select(definition, open_database[1], networkConfiguration=default))


def test_a_rule_for_another_port_or_protocol_does_not_help(jobs, definition):
    group = jobs.make_group("other-port")
    variables = jobs.database("other-port", group)
    jobs.allow(group, 1, jobs.group)
    udp = {"IpProtocol": "udp", "FromPort": 0, "ToPort": 65535, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    jobs.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[udp])
    assert timed_out(jobs, jobs.select(definition, variables))


@pytest.mark.parametrize(
    ("cidr", "is_reached"),
    [("0.0.0.0/0", True), ("10.0.0.0/8", True), ("10.1.0.0/16", True), ("10.2.0.0/16", False), ("10.1.1.7/32", False)],
)
def test_a_network_lets_in_the_tasks_whose_subnets_it_contains(jobs, definition, cidr, is_reached):
    name = f"cidr-{cidr.replace('.', '-').replace('/', '-')}"
    group = jobs.make_group(name)
    variables = jobs.database(name, group)
    permission = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": cidr}]}
    jobs.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])
    task = jobs.select(definition, variables)
    if is_reached:
        assert jobs.output(task) == ["42"]
    else:
        assert timed_out(jobs, task)


def test_a_task_must_also_be_allowed_to_send(jobs, open_database, definition):
    group, variables = open_database
    mute = jobs.make_group("mute")
    jobs.allow(group, int(variables["PGPORT"]), mute)
    everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    jobs.ec2.revoke_security_group_egress(GroupId=mute, IpPermissions=[everything])
    network = {"awsvpcConfiguration": {"subnets": [jobs.subnet], "securityGroups": [mute]}}
    assert timed_out(jobs, jobs.select(definition, variables, networkConfiguration=network))
    to_group = {
        "IpProtocol": "tcp",
        "FromPort": int(variables["PGPORT"]),
        "ToPort": int(variables["PGPORT"]),
        "UserIdGroupPairs": [{"GroupId": group}],
    }
    jobs.ec2.authorize_security_group_egress(GroupId=mute, IpPermissions=[to_group])
    assert jobs.output(jobs.select(definition, variables, networkConfiguration=network)) == ["42"]


def test_the_rules_are_asked_for_each_new_connection(jobs, definition):
    group = jobs.make_group("later")
    variables = jobs.database("later", group)
    attempt = "psql -Atc 'SELECT 1' 2>&1 | grep -m 1 -o -e '^1$' -e expired; sleep 0.1"
    override = {
        "name": "psql",
        "command": ["sh", "-c", f"while :; do {attempt}; done"],
        "environment": [{"name": name, "value": value} for name, value in variables.items()],
    }
    arn = jobs.run(definition, overrides={"containerOverrides": [override]})
    jobs.wait_for(arn, "RUNNING")
    task = jobs.task(arn)
    wait_for(lambda: jobs.output(task)[-1:] == ["expired"])
    rule = jobs.allow(group, int(variables["PGPORT"]), jobs.group)
    wait_for(lambda: jobs.output(task)[-1:] == ["1"])
    jobs.ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[rule])
    wait_for(lambda: jobs.output(task)[-1:] == ["expired"])
    jobs.ecs.stop_task(cluster=CLUSTER, task=arn)
    jobs.wait_for(arn, "STOPPED")


def test_a_client_that_is_still_waiting_gets_through_once_a_rule_allows_it(jobs, definition):
    group = jobs.make_group("patient")
    variables = jobs.database("patient", group) | {"PGCONNECT_TIMEOUT": "20"}
    override = {"name": "psql", "environment": [{"name": name, "value": value} for name, value in variables.items()]}
    arn = jobs.run(definition, overrides={"containerOverrides": [override]})
    jobs.wait_for(arn, "RUNNING")
    time.sleep(0.5)
    jobs.allow(group, int(variables["PGPORT"]), jobs.group)
    assert jobs.output(jobs.wait_for(arn, "STOPPED")) == ["42"]


def test_a_database_without_a_running_server_refuses_connections(jobs, definition):
    group = jobs.make_group("stopped")
    variables = jobs.database("stops", group)
    jobs.allow(group, int(variables["PGPORT"]), jobs.group)
    jobs.aws.client("rds").stop_db_instance(DBInstanceIdentifier="stops")
    jobs.aws.wait_for_status("stops", "stopped")
    output = " ".join(jobs.output(jobs.select(definition, variables)))
    assert f"{TIMEOUT}, port" in output and "Connection refused" in output
    gone = variables_of("localhost", 1)
    assert "Connection refused" in " ".join(jobs.output(jobs.select(definition, gone)))


def test_a_wrong_password_is_reported_as_by_the_server(jobs, open_database, definition):
    task = jobs.select(definition, {**open_database[1], "PGPASSWORD": "wrong"})
    assert 'password authentication failed for user "app"' in " ".join(jobs.output(task))


def test_an_aurora_cluster_is_reached_in_the_same_way(jobs, definition):
    rds, group = jobs.aws.client("rds"), jobs.make_group("aurora")
    rds.create_db_cluster(
        DBClusterIdentifier="tasks-aurora", Engine="aurora-postgresql", MasterUsername="app", DatabaseName="app",
        MasterUserPassword="first-password-1", DBSubnetGroupName="jobs", VpcSecurityGroupIds=[group],
    )  # fmt: skip

    def described() -> dict:
        return rds.describe_db_clusters(DBClusterIdentifier="tasks-aurora")["DBClusters"][0]

    wait_for(lambda: described()["Status"] == "available")
    variables = variables_of(described()["Endpoint"], described()["Port"])
    assert timed_out(jobs, jobs.select(definition, variables))
    jobs.allow(group, described()["Port"], jobs.group)
    certified = {**variables, "RDS_CERTIFICATES": "Amazon's\n", "PGSSLMODE": "verify-full"}
    assert jobs.output(jobs.select(definition, variables)) == ["42"]
    if postgres_has_ssl():
        assert jobs.output(jobs.select(definition, certified, *VERIFYING)) == ["42"]


VERIFYING = (
    "sh",
    "-c",
    'printf "%s" "$RDS_CERTIFICATES" > $TMPDIR/ca.pem; PGSSLROOTCERT=$TMPDIR/ca.pem exec psql -Atc "SELECT 40 + 2"',
)


@pytest.mark.skipif(not postgres_has_ssl(), reason="this Postgres was built without TLS")
def test_the_local_certificate_authority_joins_amazons(jobs, open_database, definition):
    verified = {**open_database[1], "PGSSLMODE": "verify-full", "RDS_CERTIFICATES": "Amazon's\n"}
    assert jobs.output(jobs.select(definition, verified, *VERIFYING)) == ["42"]
    jobs.aws.client("rds").reboot_db_instance(DBInstanceIdentifier="open-to-tasks")
    jobs.aws.wait_for_status("open-to-tasks", "available")
    assert jobs.output(jobs.select(definition, verified, *VERIFYING)) == ["42"]
    shown = jobs.output(jobs.select(definition, verified, "sh", "-c", 'echo "$RDS_CERTIFICATES"'))
    assert shown[:2] == ["Amazon's", "-----BEGIN CERTIFICATE-----"]
    none = jobs.select(definition, {**verified, "RDS_CERTIFICATES": ""}, "sh", "-c", 'echo "<$RDS_CERTIFICATES>"')
    assert jobs.output(none) == ["<>"]
    other = jobs.select(definition, {**verified, "PGHOST": "127.0.0.1"}, *VERIFYING)
    assert jobs.output(other) == ["42"], "the certificate has this address, too"
    jobs.plan({"network": {"behavior": "another-authority", "times": 1}})
    alone = jobs.select(definition, verified, "sh", "-c", 'echo "$RDS_CERTIFICATES"')
    assert [line for line in jobs.output(alone) if line] == ["Amazon's"]
