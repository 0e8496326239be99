"""What the RDS modules share: requests, responses, and which instances have a real server.

The records are in MiniStack's own dictionaries, so that its tags and filters work. An instance is
ours if there is a server for its `DbiResourceId`, or if it's a member of a cluster with a server.
MiniStack handles all others (MySQL, what CloudFormation itself creates), as a control plane only.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ministack.core.concurrency import spawn_background
from ministack.services import rds

from stagedb_local_aws import rds_xml
from stagedb_local_aws.postgres import Cluster, Installation
from stagedb_local_aws.rds_rules import Refusal
from stagedb_local_aws.settings import Timings

logger = logging.getLogger("rds")

Params = Mapping[str, object]
Answer = tuple[int, dict, bytes]
Record = dict[str, object]


class Request:
    """The parameters of a call, each parsed only once."""

    def __init__(self, params: Params) -> None:
        self.params = params

    def given(self, name: str) -> bool:
        return self.text(name) != ""

    def text(self, name: str, default: str = "") -> str:
        return rds._p(self.params, name) or default

    def number(self, name: str, default: int | None = None) -> int | None:
        text = self.text(name)
        if not text:
            return default
        if not text.isdigit():
            raise Refusal("InvalidParameterValue", f"The parameter {name} must be a number.")
        return int(text)

    def flag(self, name: str, default: bool = False) -> bool:
        return self.text(name, str(default)).lower() == "true"

    def many(self, name: str) -> list[str]:
        return rds._parse_member_list(self.params, name)

    def tags(self) -> list[dict[str, str]]:
        return rds._parse_tags(self.params)

    def required(self, name: str) -> str:
        if not self.given(name):
            raise Refusal("MissingParameter", f"The request must contain the parameter {name}.")
        return self.text(name)


@dataclass(frozen=True)
class Ending:
    """How a failed creation ends: not in `available`, without a server, and without an endpoint."""

    status: str
    event: str = ""


class Store:
    def __init__(self, installation: Installation, timings: Timings) -> None:
        self.installation = installation
        self.timings = timings
        self.lock = threading.RLock()
        self.servers: dict[str, Cluster | None] = {}
        """By DbiResourceId. None until the server of a new instance has been created."""
        self.cluster_servers: dict[str, Cluster | None] = {}
        """By DbClusterResourceId."""
        self.snapshot_files: dict[str, Path] = {}
        """By DBSnapshotArn."""
        self.next_creations: dict[str, Ending] = {}
        """By DBInstanceIdentifier. Each takes effect only once."""
        self._optimized_at: dict[str, float] = {}
        """By DbiResourceId: when the storage optimization ends."""

    def find(self, identifier: str) -> Record | None:
        """Finds an instance, ours or MiniStack's. Identifiers are case-insensitive."""
        return rds._resolve_instance(identifier) or rds._resolve_instance(identifier.lower())

    def instance(self, identifier: str) -> Record | None:
        """Finds an instance with its own server."""
        found = self.find(identifier)
        return found if found is not None and self.owns(found) else None

    def owns(self, record: Record) -> bool:
        return record.get("DbiResourceId") in self.servers

    def is_current(self, record: Record) -> bool:
        return rds._instances.get(record["DBInstanceIdentifier"]) is record

    def server(self, record: Record) -> Cluster:
        server = self.servers[record["DbiResourceId"]]
        if server is None:
            raise RuntimeError(f"{record['DBInstanceIdentifier']} has no server")
        return server

    def optimize(self, record: Record, seconds: float) -> None:
        self._optimized_at[str(record["DbiResourceId"])] = time.monotonic() + seconds

    def is_optimizing(self, record: Record) -> bool:
        return time.monotonic() < self._optimized_at.get(str(record["DbiResourceId"]), 0.0)

    def settled_status(self, record: Record) -> str:
        """The status of an instance without changes in progress."""
        return "storage-optimization" if self.is_optimizing(record) else "available"

    def leave(self, record: Record, status: str, following: str) -> None:
        """Goes to the next status, unless something else has happened in the meantime."""
        with self.lock:
            if record["DBInstanceStatus"] == status:
                record["DBInstanceStatus"] = following

    def forget_everything(self) -> None:
        """Called by MiniStack's reset."""
        with self.lock:
            for server in [*self.servers.values(), *self.cluster_servers.values()]:
                if server is not None:
                    server.remove()
            for files in self.snapshot_files.values():
                self.installation.discard(files)
            self.servers.clear()
            self.cluster_servers.clear()
            self.next_creations.clear()
            self.snapshot_files.clear()


def in_background(name: str, work: Callable[[], None], record: Record, failed_status: str = "failed") -> None:
    """Work that continues after the response. If it fails, the record shows it."""

    def run() -> None:
        try:
            work()
        except Exception:
            logger.exception("RDS: %s failed", name)
            record["DBInstanceStatus" if "DBInstanceStatus" in record else "Status"] = failed_status

    spawn_background(run, thread_name=name)


def answers_refusals(handler: Callable[[Request], Answer]) -> Callable[[Params], Answer]:
    @functools.wraps(handler)
    def handle(params: Params) -> Answer:
        try:
            return handler(Request(params))
        except Refusal as refusal:
            return rds._error(refusal.code, rds._esc(refusal.message), refusal.status)

    return handle


def instance_answer(action: str, record: Record) -> Answer:
    return rds._single_instance_response(f"{action}Response", f"{action}Result", record)


def snapshot_answer(action: str, snapshot: Record) -> Answer:
    body = f"<{action}Result><DBSnapshot>{rds._snapshot_xml(snapshot)}</DBSnapshot></{action}Result>"
    return rds._xml(200, f"{action}Response", body)


def instance_xml(record: Record) -> str:
    return rds_xml.fields({**record, "TagList": record.get("TagList", []), "DbInstancePort": 0})


def page(request: Request, items: list, most: int = 100) -> tuple[list, dict[str, object]]:
    """One page of a list, and the `Marker` of the next page, if there is one."""
    size, marker = request.number("MaxRecords", 100), request.text("Marker", "0")
    if not 20 <= size <= most:
        raise Refusal("InvalidParameterValue", f"Invalid value {size} for MaxRecords. Must be between 20 and {most}.")
    if not marker.isdigit():
        raise Refusal("InvalidParameterValue", f"Invalid marker: {marker}")
    end = int(marker) + size
    return items[int(marker) : end], {"Marker": end} if end < len(items) else {}


def answer(action: str, members: dict[str, object]) -> Answer:
    return rds._xml(200, f"{action}Response", f"<{action}Result>{rds_xml.fields(members)}</{action}Result>")


def now() -> str:
    return rds._format_time(time.time())


def security_groups(request: Request, vpc_id: str) -> list[dict[str, str]]:
    """The requested groups as RDS describes them. Each must exist in the database's VPC."""
    from ministack.services import ec2

    ec2._ensure_defaults_initialized()
    wanted = request.many("VpcSecurityGroupIds")
    for group_id in wanted:
        group = ec2._security_groups.get(group_id)
        if group is None:
            raise Refusal("InvalidParameterValue", f"Invalid security group , groupId= {group_id}, groupName=.")
        if group["VpcId"] != vpc_id:
            raise Refusal(
                "InvalidParameterCombination",
                "The DB instance and EC2 security group are in different VPCs. The DB instance is in "
                f"{vpc_id} and the EC2 security group is in {group['VpcId']}",
            )
    return [{"VpcSecurityGroupId": group_id, "Status": "active"} for group_id in wanted]


def default_security_group(vpc_id: str) -> list[dict[str, str]]:
    from ministack.services import ec2

    groups = [entry for entry in ec2._security_groups.values() if entry["VpcId"] == vpc_id]
    named = [entry["GroupId"] for entry in groups if entry["GroupName"] == "default"]
    return [{"VpcSecurityGroupId": group_id, "Status": "active"} for group_id in named[:1]]


def subnet_group(request: Request) -> Record:
    from ministack.services import ec2

    name = request.text("DBSubnetGroupName").lower()
    if not name or name == "default":
        ec2._ensure_defaults_initialized()
        return {
            "DBSubnetGroupName": "default",
            "DBSubnetGroupDescription": "default",
            "VpcId": ec2._DEFAULT_VPC_ID,
            "SubnetGroupStatus": "Complete",
            "Subnets": [],
        }
    found = rds._subnet_groups.get(name) or rds._subnet_groups.get(request.text("DBSubnetGroupName"))
    if found is None:
        raise Refusal("DBSubnetGroupNotFoundFault", f"DB subnet group '{name}' does not exist.", 404)
    return {key: value for key, value in found.items() if key != "SupportedNetworkTypes"}


def must_be_new(identifier: str) -> None:
    if identifier in rds._instances:
        raise Refusal("DBInstanceAlreadyExists", "DB instance already exists")
