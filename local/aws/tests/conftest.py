import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent))

from local_aws import LocalAws  # noqa: E402


@pytest.fixture(scope="session")
def aws():
    """One local AWS for all tests; each uses names of its own."""
    with LocalAws() as running:
        yield running


@pytest.fixture
def nothing_left(aws):
    """Ends each test with an empty AWS: dozens of servers would slow the others down."""
    yield
    assert aws.http("POST", "/_ministack/reset")[0] == 200


@pytest.fixture
def expect_error():
    """Calls, and returns code and message of the error that must come."""
    from botocore.exceptions import ClientError

    def call(operation, **parameters):
        with pytest.raises(ClientError) as raised:
            operation(**parameters)
        error = raised.value.response["Error"]
        return error["Code"], error["Message"]

    return call
