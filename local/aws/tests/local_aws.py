"""What all tests share: starting the local AWS as a process, and calling it."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import boto3
import psycopg2

PACKAGE = Path(__file__).parent.parent
REGION = "eu-west-1"
PASSWORD = "first-password-1"
FAST = {
    "RDS_MODIFY_SECONDS": "0.4",
    "RDS_DELETE_SECONDS": "0.4",
    "RDS_OPTIMIZATION_SECONDS": "0.4",
    "RDS_SNAPSHOT_SECONDS": "0.3",
    "ECS_STEADY_SECONDS": "0.6",
    "ECS_TASK_START_SECONDS": "0.1",
    "ECS_DRAIN_SECONDS": "0.4",
    "CLOUDFORMATION_CHANGE_SET_SECONDS": "0.4",
}


def postgres_bin() -> str:
    if chosen := os.environ.get("STAGEDB_LOCAL_POSTGRES_BIN"):
        return chosen
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    return str(installed[-1])


def postgres_has_ssl() -> bool:
    """The builds on PyPI don't have it."""
    return b"SSL_CTX_new" in Path(postgres_bin(), "postgres").read_bytes()


class LocalAws:
    """A running local AWS in its own directory. Use it as a context manager."""

    def __init__(self, environment: dict[str, str] | None = None) -> None:
        # Not pytest's tmp_path, which the user `nobody` can't enter.
        self.directory = Path(tempfile.mkdtemp(prefix="stagedb-local-aws-"))
        self.directory.chmod(0o755)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.directory),
            "PYTHONPATH": str(PACKAGE),
            "GATEWAY_PORT": str(self.port),
            "STAGEDB_LOCAL_DIR": str(self.directory / "local"),
            "STAGEDB_LOCAL_POSTGRES_BIN": postgres_bin(),
            **{f"STAGEDB_LOCAL_{name}": value for name, value in {**FAST, **(environment or {})}.items()},
        }
        self.log = self.directory / "log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "stagedb_local_aws"], env=self.environment, cwd="/", stdout=log, stderr=log
            )
        wait_for(self.is_ready)

    def __enter__(self) -> LocalAws:
        return self

    def __exit__(self, *_) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(10)

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()[-2000:]
        try:
            return self.http("GET", "/_ministack/health")[0] == 200
        except OSError:
            return False

    def client(self, service: str):
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=boto3.session.Config(retries={"total_max_attempts": 1}),
        )

    def reset(self) -> None:
        """Empties the AWS. That takes a while on a busy machine, because it stops every server and every task."""
        assert self.http("POST", "/_ministack/reset", timeout=300)[0] == 200

    def http(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: dict[str, str] | None = None,
        timeout: float = 20,
    ):
        """Returns status, headers, and body. A body that isn't bytes is sent as JSON."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    # ---- RDS

    def create_database(self, identifier: str, **changes: object) -> dict:
        """An available instance."""
        settings = {
            "DBInstanceIdentifier": identifier,
            "DBInstanceClass": "db.t4g.micro",
            "Engine": "postgres",
            "AllocatedStorage": 20,
            "MasterUsername": "app",
            "MasterUserPassword": PASSWORD,
            "DBName": "app",
            **changes,
        }
        self.client("rds").create_db_instance(**{name: value for name, value in settings.items() if value is not None})
        return self.wait_for_status(identifier, "available")

    def describe(self, identifier: str) -> dict:
        return self.client("rds").describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"][0]

    def wait_for_status(self, identifier: str, status: str) -> dict:
        wait_for(lambda: self.describe(identifier)["DBInstanceStatus"] == status, pause=0.03)
        return self.describe(identifier)

    def statuses_until(self, identifier: str, last: str) -> list[str]:
        """Every status on the way to the last one."""
        seen: list[str] = []
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and seen[-1:] != [last]:
            status = self.describe(identifier)["DBInstanceStatus"]
            if seen[-1:] != [status]:
                seen.append(status)
            time.sleep(0.02)
        return seen

    def connect(self, identifier: str, password: str = PASSWORD, **options: object):
        endpoint = self.describe(identifier)["Endpoint"]
        options = {"user": "app", "dbname": "app", "sslmode": "prefer", **options}
        return psycopg2.connect(host=endpoint["Address"], port=endpoint["Port"], password=password, **options)

    def query(self, identifier: str, statement: str, password: str = PASSWORD, **options: object) -> list[tuple]:
        connection = self.connect(identifier, password, **options)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    # ---- IAM, Lambda, and CloudFormation

    def role(self) -> str:
        """A role that may do anything. Returns its ARN."""
        iam = self.client("iam")
        allow = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        try:
            made = iam.create_role(RoleName="any", AssumeRolePolicyDocument=json.dumps({"Statement": []}))
        except iam.exceptions.EntityAlreadyExistsException:
            return iam.get_role(RoleName="any")["Role"]["Arn"]
        iam.put_role_policy(RoleName="any", PolicyName="all", PolicyDocument=json.dumps(allow))
        return made["Role"]["Arn"]

    def create_function(self, name: str, code: str, timeout: int = 20) -> str:
        """Creates a Python function whose handler is `handle` in `code`. Returns its ARN."""
        created = self.client("lambda").create_function(
            FunctionName=name,
            Runtime="python3.11",
            Role=self.role(),
            Handler="index.handle",
            Code={"ZipFile": zipped(code)},
            Timeout=timeout,
        )
        return created["FunctionArn"]

    def create_stack(self, name: str, template: dict, **options: object) -> dict:
        """Creates a stack, and waits until nothing is in progress anymore."""
        self.client("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(template), **options)
        return self.settled_stack(name)

    def update_stack(self, name: str, template: dict, **options: object) -> dict:
        self.client("cloudformation").update_stack(StackName=name, TemplateBody=json.dumps(template), **options)
        return self.settled_stack(name)

    def delete_stack(self, name: str) -> dict:
        stack_id = self.stack(name)["StackId"]
        self.client("cloudformation").delete_stack(StackName=name)
        return self.settled_stack(stack_id)

    def stack(self, name: str) -> dict:
        return self.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]

    def settled_stack(self, name: str) -> dict:
        wait_for(lambda: not self.stack(name)["StackStatus"].endswith("_IN_PROGRESS"))
        return self.stack(name)

    def stack_events(self, name: str) -> list[dict]:
        """Oldest first."""
        return self.client("cloudformation").describe_stack_events(StackName=name)["StackEvents"][::-1]

    def stack_statuses(self, name: str) -> list[str]:
        """The statuses of the stack itself."""
        events = self.stack_events(name)
        return [event["ResourceStatus"] for event in events if event["PhysicalResourceId"] == event["StackId"]]


def zipped(code: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.py", code)
    return buffer.getvalue()


def wait_for(condition, seconds: float = 60, pause: float = 0.05) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(pause)
