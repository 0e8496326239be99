"""Aurora PostgreSQL: a cluster is one real server that all its instances share.

This is enough for a database that stagedb doesn't manage: it can be found, connected to, and deleted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from ministack.services import documentdb, rds

from stagedb_local_aws import rds_cluster_records as records
from stagedb_local_aws import rds_events as events
from stagedb_local_aws import rds_rules as rules
from stagedb_local_aws import rds_xml
from stagedb_local_aws.postgres import START_SECONDS, Cluster
from stagedb_local_aws.rds import bring_up
from stagedb_local_aws.rds_rules import Refusal
from stagedb_local_aws.rds_store import (
    Answer,
    Params,
    Record,
    Request,
    Store,
    answers_refusals,
    in_background,
    instance_answer,
    must_be_new,
    now,
    page,
    security_groups,
)

MEMBER_SECONDS = 0.3
"""Creating an instance of a cluster starts nothing, but its status must be visible for a while."""


class Clusters:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._timings = store.timings

    # ---- The cluster

    def create(self, request: Request) -> Answer:
        identifier = rules.check_identifier(request.required("DBClusterIdentifier"), "DBClusterIdentifier")
        records.check_cluster(request)
        user, password, database = (request.text(n) for n in ("MasterUsername", "MasterUserPassword", "DatabaseName"))
        cluster = records.new_cluster(identifier, request)
        arn, server_id = str(cluster["DBClusterArn"]), str(cluster["DbClusterResourceId"])
        with self._store.lock:
            if identifier in rds._clusters:
                raise Refusal("DBClusterAlreadyExistsFault", "DB Cluster already exists")
            self._store.cluster_servers[server_id] = None
            rds._clusters[identifier] = cluster
            rds._tags[arn] = list(cluster["TagList"])
        answer = _cluster_answer("CreateDBCluster", cluster)

        def make() -> None:
            server = self._store.installation.new_cluster(server_id)
            bring_up(server)
            server.create_master_user(user, password, database)
            time.sleep(self._timings.rds_create_seconds)
            with self._store.lock:
                if rds._clusters.get(identifier) is cluster and cluster["Status"] == "creating":
                    self._store.cluster_servers[server_id] = server
                    cluster.update(Endpoint="localhost", ReaderEndpoint="localhost", Port=server.port)
                    cluster.update(EarliestRestorableTime=now(), LatestRestorableTime=now(), Status="available")
                    return
            server.remove()  # It was deleted in the meantime.

        in_background(f"create cluster {identifier}", make, cluster)
        return answer

    def describe(self, request: Request) -> Answer:
        identifier = request.text("DBClusterIdentifier")
        filters = rds._parse_filters(request.params)
        found = [_find(identifier)] if identifier else rds._apply_cluster_filters(rds._clusters.values(), filters)
        shown, marker = page(request, found)
        clusters = "".join(f"<DBCluster>{rds._cluster_xml(cluster)}</DBCluster>" for cluster in shown)
        if not marker and not identifier:
            clusters += documentdb.cluster_members_xml(filters)
        body = f"<DBClusters>{clusters}</DBClusters>{rds_xml.fields(marker)}"
        action = "DescribeDBClusters"
        return rds._xml(200, f"{action}Response", f"<{action}Result>{body}</{action}Result>")

    def modify(self, cluster: Record, request: Request) -> Answer:
        """Changes the password, deletion protection, and security groups, which may change during use."""
        with self._store.lock:
            if cluster["Status"] != "available":
                raise records.wrong_state(cluster)
            if password := request.text("MasterUserPassword"):
                rules.check_password(password)
                self._server(cluster).set_password(str(cluster["MasterUsername"]), password)
            if groups := security_groups(request, str(cluster["_subnet_group"]["VpcId"])):
                cluster["VpcSecurityGroups"] = groups
            if request.given("DeletionProtection"):
                cluster["DeletionProtection"] = request.flag("DeletionProtection")
            return _cluster_answer("ModifyDBCluster", cluster)

    def delete(self, cluster: Record, request: Request) -> Answer:
        final = request.text("FinalDBSnapshotIdentifier").lower()
        with self._store.lock:
            _check_deletion(cluster, request.flag("SkipFinalSnapshot"), final)
            cluster["Status"] = "deleting"
            if final:
                rds._create_cluster_snapshot_internal(final, cluster)
            answer = _cluster_answer("DeleteDBCluster", cluster)

        def remove() -> None:
            time.sleep(self._timings.rds_delete_seconds)
            server = self._store.cluster_servers.pop(str(cluster["DbClusterResourceId"]), None)
            if server is not None:
                server.remove()
            rds._tags.pop(cluster["DBClusterArn"], None)
            rds._clusters.pop(cluster["DBClusterIdentifier"], None)

        in_background(f"delete cluster {cluster['DBClusterIdentifier']}", remove, cluster)
        return answer

    def _server(self, cluster: Record) -> Cluster:
        server = self._store.cluster_servers[str(cluster["DbClusterResourceId"])]
        if server is None:
            raise RuntimeError(f"{cluster['DBClusterIdentifier']} has no server")
        return server

    # ---- Its instances

    def create_member(self, request: Request) -> Answer:
        identifier = rules.check_identifier(request.required("DBInstanceIdentifier"))
        cluster = _find(request.text("DBClusterIdentifier"))
        with self._store.lock:
            records.check_member(cluster, request)
            must_be_new(identifier)
            members: list[Record] = cluster["DBClusterMembers"]
            record = records.new_member(identifier, cluster, request)
            members.append(
                {
                    "DBInstanceIdentifier": identifier,
                    "IsClusterWriter": not members,
                    "DBClusterParameterGroupStatus": "in-sync",
                    "PromotionTier": record["PromotionTier"],
                }
            )
            rds._instances[identifier] = record
            rds._tags[record["DBInstanceArn"]] = list(record["TagList"])

        def make() -> None:
            deadline = time.monotonic() + START_SECONDS
            while cluster["Status"] == "creating" and time.monotonic() < deadline:
                time.sleep(0.05)
            time.sleep(MEMBER_SECONDS + self._timings.rds_create_seconds)
            with self._store.lock:
                if not self._store.is_current(record) or record["DBInstanceStatus"] != "creating":
                    return
                port = self._server(cluster).port
                record["Endpoint"] = {"Address": "localhost", "Port": port, "HostedZoneId": "Z2R2ITUGPM61AM"}
                record.update(InstanceCreateTime=now(), DBInstanceStatus="available")
                cluster["MultiAZ"] = len({member["AvailabilityZone"] for member in _members(cluster)}) > 1
                events.record(record, events.CREATED)

        in_background(f"create {identifier}", make, record)
        return instance_answer("CreateDBInstance", record)

    def delete_member(self, record: Record, request: Request) -> Answer:
        with self._store.lock:
            if record["DBInstanceStatus"] == "deleting":
                raise Refusal(
                    "InvalidDBInstanceState", f"Instance {record['DBInstanceIdentifier']} is already being deleted."
                )
            if request.given("FinalDBSnapshotIdentifier"):
                raise Refusal(
                    "InvalidParameterCombination",
                    "FinalDBSnapshotIdentifier can not be specified when deleting a cluster instance",
                )
            record["DBInstanceStatus"] = "deleting"
            _pass_the_writer_on(record)
            answer = instance_answer("DeleteDBInstance", record)

        def remove() -> None:
            time.sleep(self._timings.rds_delete_seconds)
            with self._store.lock:
                identifier = record["DBInstanceIdentifier"]
                if (cluster := rds._clusters.get(record["DBClusterIdentifier"])) is not None:
                    cluster["DBClusterMembers"] = [
                        member for member in cluster["DBClusterMembers"] if member["DBInstanceIdentifier"] != identifier
                    ]
                if self._store.is_current(record):
                    del rds._instances[identifier]
                rds._tags.pop(record["DBInstanceArn"], None)
            events.record(record, events.DELETED)

        in_background(f"delete {record['DBInstanceIdentifier']}", remove, record)
        return answer

    def reboot_member(self, record: Record, _request: Request) -> Answer:
        with self._store.lock:
            rules.check_state(record, ("available",))
            record["DBInstanceStatus"] = "rebooting"
            answer = instance_answer("RebootDBInstance", record)

        def restart() -> None:
            self._server(_find(str(record["DBClusterIdentifier"]))).restart()
            events.record(record, events.RESTARTED)
            self._store.leave(record, "rebooting", "available")

        in_background(f"reboot {record['DBInstanceIdentifier']}", restart, record)
        return answer


def _find(identifier: str) -> Record:
    """Finds a cluster by case-insensitive identifier or ARN, including MiniStack's clusters."""
    name = identifier.rpartition(":cluster:")[2]
    found = rds._clusters.get(name) or rds._clusters.get(name.lower())
    if found is None:
        raise Refusal("DBClusterNotFoundFault", f"DBCluster {name} not found.", 404)
    return found


def _members(cluster: Record) -> Iterator[Record]:
    for member in cluster["DBClusterMembers"]:
        yield rds._instances[member["DBInstanceIdentifier"]]


def _check_deletion(cluster: Record, skip_snapshot: bool, snapshot: str) -> None:
    if cluster["Status"] == "deleting":
        raise records.wrong_state(cluster)
    if cluster["DeletionProtection"]:
        raise Refusal(
            "InvalidParameterCombination",
            "Cannot delete protected Cluster, please disable deletion protection and try again.",
        )
    if any(member["DBInstanceStatus"] != "deleting" for member in _members(cluster)):
        raise Refusal(
            "InvalidDBClusterStateFault",
            "Cluster cannot be deleted, it still contains DB instances in non-deleting state.",
        )
    rules.check_final_snapshot(skip_snapshot, snapshot)
    if snapshot in rds._db_cluster_snapshots:
        raise Refusal("DBClusterSnapshotAlreadyExistsFault", f"DB cluster snapshot {snapshot} already exists.")


def _pass_the_writer_on(leaving: Record) -> None:
    """When the writer is deleted, another instance becomes the writer."""
    cluster = _find(str(leaving["DBClusterIdentifier"]))
    was_writer = False
    for member in cluster["DBClusterMembers"]:
        if member["DBInstanceIdentifier"] == leaving["DBInstanceIdentifier"]:
            was_writer, member["IsClusterWriter"] = member["IsClusterWriter"], False
    heirs = [record["DBInstanceIdentifier"] for record in _members(cluster) if record["DBInstanceStatus"] != "deleting"]
    for member in cluster["DBClusterMembers"]:
        if was_writer and member["DBInstanceIdentifier"] in heirs[:1]:
            member["IsClusterWriter"] = True


def _cluster_answer(action: str, cluster: Record) -> Answer:
    body = f"<{action}Result><DBCluster>{rds._cluster_xml(cluster)}</DBCluster></{action}Result>"
    return rds._xml(200, f"{action}Response", body)


def install(store: Store) -> None:
    clusters = Clusters(store)
    actions = rds._ACTION_MAP

    def is_ours(cluster: Record | None) -> bool:
        return cluster is not None and cluster.get("DbClusterResourceId") in store.cluster_servers

    def named(params: Params) -> Record | None:
        name = Request(params).text("DBClusterIdentifier")
        try:
            return _find(name) if name else None
        except Refusal:
            return None

    def take_over_creation(action: str, ours: Callable[[Request], Answer], matters: Callable[[Params], bool]) -> None:
        elsewhere, answer = actions[action], answers_refusals(ours)
        actions[action] = lambda params: answer(params) if matters(params) else elsewhere(params)

    def take_over(action: str, find: Callable[[Params], Record | None], ours) -> None:
        elsewhere = actions[action]

        def handle(params: Params) -> Answer:
            record = find(params)
            if record is None:
                return elsewhere(params)
            return answers_refusals(lambda request: ours(record, request))(params)

        actions[action] = handle

    def our_cluster(params: Params) -> Record | None:
        cluster = named(params)
        return cluster if is_ours(cluster) else None

    def our_member(params: Params) -> Record | None:
        record = store.find(Request(params).text("DBInstanceIdentifier"))
        return record if record is not None and "_member_of" in record else None

    def is_our_new_cluster(params: Params) -> bool:
        request = Request(params)
        return request.text("Engine") == records.ENGINE and not request.given("GlobalClusterIdentifier")

    def is_our_new_member(params: Params) -> bool:
        cluster = named(params)
        return Request(params).given("DBClusterIdentifier") and (cluster is None or is_ours(cluster))

    def not_modelled(_record: Record, request: Request) -> Answer:
        action = request.text("Action")
        raise Refusal("InvalidParameterCombination", f"The local AWS doesn't model {action} for {records.ENGINE}.")

    take_over_creation("CreateDBCluster", clusters.create, is_our_new_cluster)
    take_over_creation("CreateDBInstance", clusters.create_member, is_our_new_member)
    take_over_creation("DescribeDBClusters", clusters.describe, lambda _params: True)
    take_over("ModifyDBCluster", our_cluster, clusters.modify)
    take_over("DeleteDBCluster", our_cluster, clusters.delete)
    take_over("DeleteDBInstance", our_member, clusters.delete_member)
    take_over("RebootDBInstance", our_member, clusters.reboot_member)
    for action in ("ModifyDBInstance", "StartDBInstance", "StopDBInstance", "CreateDBSnapshot"):
        take_over(action, our_member, not_modelled)
    for action in ("StartDBCluster", "StopDBCluster", "FailoverDBCluster"):
        take_over(action, our_cluster, not_modelled)
    _xml_elsewhere, _refresh_elsewhere = rds._cluster_xml, rds._refresh_cluster_status
    rds._cluster_xml = lambda cluster: rds_xml.fields(cluster) if is_ours(cluster) else _xml_elsewhere(cluster)
    # MiniStack derives the status of every cluster from its instances.
    rds._refresh_cluster_status = lambda name: None if is_ours(rds._clusters.get(name)) else _refresh_elsewhere(name)
