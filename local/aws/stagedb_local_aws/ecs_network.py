"""Whether security groups let a task reach a database, and the port that stands in for the database's.

A task's connection goes through a proxy that asks for each new connection. Packets that no rule allows are dropped, as on
AWS: the client waits.
"""

from __future__ import annotations

import contextlib
import ipaddress
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from ministack.core.concurrency import spawn_background
from ministack.services import ec2, rds

from stagedb_local_aws.postgres import Cluster
from stagedb_local_aws.rds_store import Record, Store, default_security_group

HOST = "127.0.0.1"
POSTGRES_PORT = 5432
"""What a rule means on AWS with this port. The local servers have other ports, because they're on one machine."""
PRIVATE = ipaddress.ip_network("10.0.0.0/8")
TICK_SECONDS = 0.05


@dataclass(frozen=True)
class Place:
    """Where a task or a database is: its security groups, and the networks of its subnets."""

    groups: frozenset[str]
    networks: tuple[ipaddress.IPv4Network, ...]

    @staticmethod
    def of(groups: list[str], subnets: list[str]) -> Place:
        known = [ec2._subnets[subnet]["CidrBlock"] for subnet in subnets if subnet in ec2._subnets]
        return Place(frozenset(groups), tuple(ipaddress.ip_network(cidr, strict=False) for cidr in known))


@dataclass(frozen=True)
class Database:
    place: Place
    server: Cluster | None
    """None if it's only a description, or its server isn't there."""

    @property
    def accepts(self) -> bool:
        return self.server is not None and self.server.is_running


def place_of_task(network: dict) -> Place | None:
    """None without a network of its own: then nothing is restricted. Without groups, it has the default one."""
    subnets = network.get("subnets", [])
    if not subnets:
        return None
    groups = network.get("securityGroups") or _default_groups(str(ec2._subnets[subnets[0]]["VpcId"]))
    return Place.of(groups, subnets)


def may_connect(task: Place, database: Place, port: int) -> bool:
    """One rule must let the packets out, and one must let them in."""
    ports = {port, POSTGRES_PORT}
    out = any(_allows(rule, database, ports) for rule in _rules(task, "IpPermissionsEgress"))
    return out and any(_allows(rule, task, ports) for rule in _rules(database, "IpPermissions"))


def _rules(place: Place, direction: str) -> Iterator[dict]:
    for group in place.groups:
        yield from ec2._security_groups.get(group, {}).get(direction, [])


def _allows(rule: dict, peer: Place, ports: set[int]) -> bool:
    protocol = str(rule["IpProtocol"])
    if protocol not in ("-1", "tcp", "6"):
        return False
    if protocol != "-1" and not any(rule.get("FromPort", 0) <= port <= rule.get("ToPort", 65_535) for port in ports):
        return False
    if any(pair.get("GroupId") in peer.groups for pair in rule.get("UserIdGroupPairs", [])):
        return True
    return any(_covers(entry["CidrIp"], peer) for entry in rule.get("IpRanges", []))


def _covers(cidr: str, peer: Place) -> bool:
    """The network contains all private addresses, or at least all that the peer can have."""
    network = ipaddress.ip_network(cidr, strict=False)
    if PRIVATE.subnet_of(network):
        return True
    return bool(peer.networks) and all(own.subnet_of(network) for own in peer.networks)


def _default_groups(vpc_id: str) -> list[str]:
    return [entry["VpcSecurityGroupId"] for entry in default_security_group(vpc_id)]


class Databases:
    """Finds local databases by the port of their endpoints."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def at(self, port: int) -> Database | None:
        for cluster in rds._clusters.values():
            if cluster.get("Port") == port and cluster.get("DbClusterResourceId") in self._store.cluster_servers:
                server = self._store.cluster_servers[cluster["DbClusterResourceId"]]
                return Database(_place_of(cluster, cluster["_subnet_group"]), server)
        for record in rds._instances.values():
            if self._store.owns(record) and record.get("Endpoint", {}).get("Port") == port:
                server = self._store.servers[record["DbiResourceId"]]
                return Database(_place_of(record, record["DBSubnetGroup"]), server)
        return None


def _place_of(record: Record, subnet_group: dict) -> Place:
    """A database without a group in its record has the default one of its VPC."""
    groups = [entry["VpcSecurityGroupId"] for entry in record.get("VpcSecurityGroups", [])]
    subnets = [subnet["SubnetIdentifier"] for subnet in subnet_group.get("Subnets", [])]
    return Place.of(groups or _default_groups(str(subnet_group["VpcId"])), subnets)


class Gate:
    """A port that takes the place of a database's port for one task, at each address of `localhost`."""

    def __init__(self, databases: Databases, task: Place, target: int) -> None:
        self._databases = databases
        self._task = task
        self._target = target
        self._closed = threading.Event()
        self._sockets: set[socket.socket] = set()
        self._listeners = _bound_everywhere()
        self._is_listening = False
        self.port: int = self._listeners[0].getsockname()[1]
        # The first connection must not be earlier than the first decision.
        self._listen_if(self._is_there())
        spawn_background(self._serve, thread_name=f"gate to {target}")

    def close(self) -> None:
        self._closed.set()
        for open_socket in list(self._sockets):
            with contextlib.suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)

    def _is_open(self) -> bool:
        database = self._databases.at(self._target)
        return database is None or may_connect(self._task, database.place, self._target)

    def _is_there(self) -> bool:
        """False if a connection is refused: nobody drops it, and nobody takes it."""
        database = self._databases.at(self._target)
        return database is not None and (database.accepts or not self._is_open())

    def _listen_if(self, wanted: bool) -> None:
        """A port that is bound without listening refuses connections, and nobody else can take it."""
        for index, listener in enumerate(self._listeners):
            if wanted and not self._is_listening:
                listener.listen()
            elif self._is_listening and not wanted:
                address = listener.getsockname()[0]
                listener.close()
                self._listeners[index] = _bound(address, self.port)
        self._is_listening = wanted

    def _serve(self) -> None:
        waiting: list[socket.socket] = []
        while not self._closed.is_set():
            self._listen_if(self._is_there())
            if self._is_listening:
                ready = select.select(self._listeners, [], [], TICK_SECONDS)[0]
                waiting += [listener.accept()[0] for listener in ready]
            else:
                time.sleep(TICK_SECONDS)
            # A client repeats a lost packet for a while, so it gets through once a rule allows it.
            if waiting and self._is_open():
                for client in waiting:
                    self._connect(client)
                waiting.clear()
        for open_socket in (*self._listeners, *waiting):
            open_socket.close()

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection((HOST, self._target), timeout=5)
        except OSError:
            # The server has just stopped. This is as close to a refusal as an accepted connection can get.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            return
        server.settimeout(None)
        pair = (client, server)
        self._sockets.update(pair)
        ended: list[socket.socket] = []

        def pump(source: socket.socket, sink: socket.socket) -> None:
            with contextlib.suppress(OSError):
                while data := source.recv(65_536):
                    sink.sendall(data)
            with contextlib.suppress(OSError):
                sink.shutdown(socket.SHUT_WR)
            ended.append(source)
            if len(ended) == 2:
                self._sockets.difference_update(pair)
                for open_socket in pair:
                    open_socket.close()

        for source, sink in (pair, pair[::-1]):
            threading.Thread(target=pump, args=(source, sink), daemon=True).start()


def _bound_everywhere() -> list[socket.socket]:
    """Clients try all addresses of `localhost`, so that one that nobody listens on would look like a refusal."""
    listeners = [_bound(HOST, 0)]
    port = listeners[0].getsockname()[1]
    found = {info[4][0] for info in socket.getaddrinfo("localhost", port, type=socket.SOCK_STREAM)}
    for address in found - {HOST}:
        with contextlib.suppress(OSError):
            listeners.append(_bound(address, port))
    return listeners


def _bound(address: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    return listener
