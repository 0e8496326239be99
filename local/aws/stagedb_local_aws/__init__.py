"""The local AWS of stagedb: MiniStack, run in this process, plus what it lacks.

Every module here replaces private functions of MiniStack. That is only safe against the one
version they were read in, so importing the package with any other version fails at once,
rather than later with a half-working emulator.
"""

from importlib.metadata import version

MINISTACK_VERSION = "1.5.33"

_installed = version("ministack")
if _installed != MINISTACK_VERSION:
    raise ImportError(
        f"stagedb_local_aws changes private functions of ministack {MINISTACK_VERSION}, but "
        f"{_installed} is installed: install local/aws/requirements.txt, or review every "
        "module of stagedb_local_aws against the new version and change MINISTACK_VERSION"
    )
