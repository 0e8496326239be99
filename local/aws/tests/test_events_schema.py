"""The sample events that stagedb publishes match their schema, and the schema refuses others."""

import json
from copy import deepcopy
from pathlib import Path

import jsonschema
import pytest

EVENTS = Path(__file__).parents[3] / "events/stagedb"
SCHEMA = json.loads((EVENTS / "schema.json").read_text())
SAMPLES = sorted(path for path in EVENTS.glob("*.json") if path.name != "schema.json")
CHECK = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())


def test_the_schema_is_a_schema_and_every_detail_type_has_a_sample():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    types = {json.loads(path.read_text())["detail-type"] for path in SAMPLES}
    assert types == set(SCHEMA["properties"]["detail-type"]["enum"])


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_matches_the_schema_and_a_changed_one_does_not(path):
    event = json.loads(path.read_text())
    CHECK.validate(event)
    for change in (
        lambda detail: detail.pop("reason"),
        lambda detail: detail.update(password="x"),
        lambda detail: detail.update(phase="updating"),
        lambda detail: detail.update(stack="Not A Name"),
        lambda detail: detail.update(version="2"),
    ):
        other = deepcopy(event)
        change(other["detail"])
        assert not CHECK.is_valid(other), other
