"""stagedb's local AWS: MiniStack, running in this process, plus the features it lacks.

Every module here replaces private functions of MiniStack. That is only safe with the one version
they were written for, so importing the package with any other version fails immediately, rather
than leaving you with a half-working emulator.
"""

from importlib.metadata import version

MINISTACK_VERSION = "1.5.33"

_installed = version("ministack")
if _installed != MINISTACK_VERSION:
    raise ImportError(
        f"stagedb_local_aws replaces private functions of ministack {MINISTACK_VERSION}, but "
        f"{_installed} is installed: install local/aws/requirements.txt, or check every module of "
        "stagedb_local_aws against the new version and change MINISTACK_VERSION"
    )
