"""`python -m stagedb_local_aws`: reads the configuration, patches MiniStack, and serves. See ../README.md."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socketserver
import sys
import threading

from stagedb_local_aws import processes
from stagedb_local_aws.settings import Settings, prepare_ministack

STOP_SECONDS = 4.0
# Not SIGTERM: Linux sends this signal even if only the *thread* that started us ends, so it needs a check.
PARENT_IS_GONE = signal.SIGUSR2


def main() -> None:
    parent = os.getppid()
    processes.die_with_parent(PARENT_IS_GONE)
    try:
        settings = Settings.from_environment(os.environ)
    except ValueError as error:
        sys.exit(f"stagedb_local_aws: {error}")
    if not processes.claim(settings.directory):
        sys.exit(f"stagedb_local_aws: another local AWS uses {settings.directory}")
    prepare_ministack(settings, os.environ)
    # MiniStack reads its environment when it's imported, so import it only now.
    from stagedb_local_aws.postgres import Installation, PostgresError

    installation = Installation(settings.postgres_bin, settings.directory / "postgres")
    try:
        installation.prepare()
    except PostgresError as error:
        sys.exit(f"stagedb_local_aws: {error}")
    app = build_app(settings, installation)
    asyncio.run(serve(app, settings, installation, parent))


def build_app(settings: Settings, installation):
    """MiniStack's application with everything that this package adds."""
    from ministack import app as ministack

    from stagedb_local_aws import (
        change_sets,
        cloudformation,
        cloudwatch_logs,
        custom_resources,
        ecs,
        ecs_task_definitions,
        ecs_tasks,
        event_targets,
        http_api,
        managed_login,
        permissions,
        rds,
        rds_catalog,
        rds_clusters,
        rds_snapshots,
        resource_types,
        schedules,
        secrets_manager,
        security_groups,
        stack_operations,
        step_functions,
        user_pools,
    )
    from stagedb_local_aws.control import Control
    from stagedb_local_aws.ecs_containers import Machine
    from stagedb_local_aws.ecs_network import Databases
    from stagedb_local_aws.ecs_task_runs import Host
    from stagedb_local_aws.permissions.decisions import Decisions
    from stagedb_local_aws.rds_control import RdsControl
    from stagedb_local_aws.rds_modify import Modifications
    from stagedb_local_aws.rds_store import Store

    # Otherwise, a delayed ACK in the Runtime API delays every warm invocation by 40 ms.
    socketserver.StreamRequestHandler.disable_nagle_algorithm = True
    store = Store(installation, settings.timings)
    rds_catalog.install()
    modifications = Modifications(store)
    rds_snapshots.install(store, rds.install(store, modifications))
    rds_clusters.install(store)
    cloudformation.install()
    cloudwatch_logs.install()
    change_sets.install(settings.timings)
    stack_operations.install()
    custom_resources.install()
    security_groups.install()
    resource_types.install()
    secrets_manager.install()
    http_api.install()
    managed_login.install()
    user_pools.install()
    step_functions.install()
    ecs_task_definitions.install()
    ecs.install(settings.timings)
    decisions = Decisions(settings.decisions)
    machine = Machine(settings.directory / "tasks", settings.postgres_bin)
    tasks = ecs_tasks.install(Host(machine, Databases(store), decisions, settings.timings))
    event_targets.install()
    clock = schedules.install(decisions)
    # Last, because the others replace what it wraps.
    permissions.install(decisions)
    controls = {
        "rds": RdsControl(store, modifications).answer,
        "ecs": tasks.control,
        "schedules": clock.control,
    }
    return Control(ministack.app, settings.timings, controls)


async def serve(app, settings: Settings, installation, parent: int) -> None:
    """Serves until SIGTERM, SIGINT, or the end of the parent. Then stops everything and ends the process."""
    from hypercorn.asyncio import serve as hypercorn
    from hypercorn.config import Config

    stopped = asyncio.Event()

    def stop() -> None:
        stopped.set()
        last_resort = threading.Timer(STOP_SECONDS, end, [installation])
        last_resort.daemon = True
        last_resort.start()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    asyncio.get_running_loop().add_signal_handler(PARENT_IS_GONE, lambda: os.getppid() == parent or stop())
    config = Config()
    config.bind = [f"{os.environ['BIND_HOST']}:{settings.port}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 0.5
    logging.getLogger("hypercorn.access").setLevel(logging.WARNING)
    try:
        await hypercorn(app, config, shutdown_trigger=stopped.wait)
    except OSError as error:
        print(f"stagedb_local_aws: cannot listen on {config.bind[0]}: {error}", file=sys.stderr, flush=True)
        end(installation, 1)
    end(installation)


def end(installation, status: int = 0) -> None:
    """Ends without `sys.exit`, which would wait for threads that wait for functions."""
    installation.stop_all()
    processes.kill_descendants()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
