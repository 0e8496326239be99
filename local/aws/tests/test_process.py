"""The process: it listens only on this computer, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from local_aws import LocalAws, wait_for

FUNCTION = "import time\ndef handle(event, context):\n    time.sleep(event.get('sleep', 0))\n    return 'ok'\n"


def commands_naming(text: str) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
        if text in command and int(entry.name) != os.getpid():
            found.append(command)
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_and_all_it_started(number):
    with LocalAws() as aws:
        aws.create_database("one")
        arn = aws.create_function("sleeper", FUNCTION)
        aws.client("lambda").invoke(FunctionName=arn)
        aws.client("lambda").invoke(FunctionName=arn, InvocationType="Event", Payload='{"sleep": 15}')
        endpoint = aws.connect("one")  # An open connection must not keep the server running.
        assert commands_naming(str(aws.directory))
        aws.process.send_signal(number)
        # Less than the running invocation would take.
        assert aws.process.wait(12) == 0
        wait_for(lambda: not commands_naming(str(aws.directory)))
        assert endpoint.closed == 0
        assert not list((aws.directory / "local").glob("postgres/*/postmaster.pid"))


def test_postgres_does_not_outlive_even_a_killed_process():
    with LocalAws() as aws:
        aws.create_database("one")
        aws.process.kill()
        aws.process.wait()
        wait_for(lambda: not commands_naming(str(aws.directory)))


def test_it_stops_when_the_process_that_started_it_dies():
    with LocalAws() as aws:
        pass
    script = (
        "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-m', 'stagedb_local_aws']);"
        "print(p.pid, flush=True); time.sleep(60)"
    )
    aws.directory.mkdir(mode=0o755)
    parent = subprocess.Popen(
        [sys.executable, "-c", script],
        env=aws.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    child = int(parent.stdout.readline())
    aws.process = parent
    wait_for(aws.is_ready)
    aws.create_database("orphan")
    parent.kill()
    parent.wait()
    wait_for(lambda: not os.path.exists(f"/proc/{child}") and not commands_naming(str(aws.directory)))
    aws.__exit__()


def test_it_does_not_stop_when_only_the_thread_that_started_it_ends():
    started: list[LocalAws] = []
    thread = threading.Thread(target=lambda: started.append(LocalAws()))
    thread.start()
    thread.join()
    with started[0] as aws:
        time.sleep(0.5)
        assert aws.is_ready()


def test_it_listens_to_this_machine_only():
    with LocalAws() as aws:
        aws.create_database("one")
        aws.client("lambda").invoke(FunctionName=aws.create_function("f", FUNCTION))
        ours = {
            aws.process.pid,
            *map(int, (p.parent.name for p in Path("/proc").glob("[0-9]*/stat") if _is_child(p, aws.process.pid))),
        }
        listing = subprocess.run(["ss", "-ltnpH"], capture_output=True, text=True, check=True).stdout.splitlines()
        addresses = [line.split()[3] for line in listing if any(f"pid={pid}," in line for pid in ours)]
        assert len(addresses) >= 2 and all(address.startswith("127.0.0.1:") for address in addresses)


def _is_child(stat: Path, parent: int) -> bool:
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1]) == parent
    except OSError:
        return False


def test_two_of_them_do_not_disturb_each_other():
    with LocalAws() as one, LocalAws() as other:
        one.create_database("same-name")
        other.create_database("same-name")
        one.query("same-name", "CREATE TABLE only_here (id int)")
        assert other.query("same-name", "SELECT to_regclass('only_here')") == [(None,)]


def test_everything_is_kept_in_its_own_directory():
    before = set(Path("/tmp").iterdir())
    with LocalAws() as aws:
        aws.create_database("one")
        aws.client("lambda").invoke(FunctionName=aws.create_function("f", FUNCTION))
        aws.client("s3").create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        new = {path for path in set(Path("/tmp").iterdir()) - before if "ministack" in path.name}
    assert new == set()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"GATEWAY_PORT": ""}, "GATEWAY_PORT is not set"),
        ({"GATEWAY_PORT": "http"}, "GATEWAY_PORT is 'http'"),
        ({"STAGEDB_LOCAL_DIR": ""}, "STAGEDB_LOCAL_DIR is not set"),
        ({"STAGEDB_LOCAL_POSTGRES_BIN": "/nowhere"}, "STAGEDB_LOCAL_POSTGRES_BIN is '/nowhere'"),
        ({"STAGEDB_LOCAL_RDS_MODIFY_SECONDS": "soon"}, "STAGEDB_LOCAL_RDS_MODIFY_SECONDS is 'soon'"),
    ],
)
def test_a_wrong_setting_is_named(aws, change, complaint):
    environment = {**aws.environment, **change}
    done = subprocess.run(
        [sys.executable, "-m", "stagedb_local_aws"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=20,
        cwd="/",
        check=False,
    )
    assert done.returncode == 1 and complaint in done.stderr


def test_a_directory_in_use_is_left_alone(aws):
    aws.create_database("unharmed")
    environment = {**aws.environment, "GATEWAY_PORT": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "stagedb_local_aws"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=20,
        cwd="/",
        check=False,
    )
    assert done.returncode == 1 and "another local AWS uses" in done.stderr
    assert aws.query("unharmed", "SELECT 1") == [(1,)]


def test_a_port_in_use_is_named(aws):
    environment = {**aws.environment, "STAGEDB_LOCAL_DIR": str(aws.directory / "second")}
    done = subprocess.run(
        [sys.executable, "-m", "stagedb_local_aws"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=20,
        cwd="/",
        check=False,
    )
    assert done.returncode == 1 and f"127.0.0.1:{aws.port}" in done.stderr


def test_a_reset_stops_the_databases():
    with LocalAws() as own:
        own.create_database("one")
        own.reset()
        wait_for(lambda: not [c for c in commands_naming(str(own.directory)) if "postgres" in c])
        own.create_database("one")
