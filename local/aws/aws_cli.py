"""Runs the AWS CLI many times, and imports it only once, which takes longer than most commands.

Reads one JSON array of arguments per line. Runs each in a process of its own, and writes one line of JSON: the exit code,
and what the command wrote to stdout and stderr.
"""

import json
import os
import sys
import tempfile

from awscli.clidriver import create_clidriver


def main() -> None:
    driver = create_clidriver()
    for line in sys.stdin:
        print(json.dumps(run(driver, json.loads(line))), flush=True)


def run(driver, arguments: list[str]) -> dict:
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        child = os.fork()
        if child == 0:
            os.dup2(stdout.fileno(), 1)
            os.dup2(stderr.fileno(), 2)
            # Whatever happens, the child must not go on with this process's work.
            code = 255
            try:
                code = driver.main(arguments)
            except SystemExit as exit_:
                code = exit_.code
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        return {
            "code": os.waitstatus_to_exitcode(status),
            "stdout": written(stdout),
            "stderr": written(stderr),
        }


def written(file) -> str:
    file.seek(0)
    return file.read().decode()


if __name__ == "__main__":
    main()
