"""The snippets in the documentation have the form that their tools read. Others are tried for real in the end-to-end tests."""

import json
import re
from pathlib import Path

import hcl2
import pytest
import yaml

TEXT = (Path(__file__).parents[3] / "docs/snippets.md").read_text()
SNIPPETS = dict(re.findall(r"^## (.+?)\n.*?```\w+\n(.*?)\n```$", TEXT, re.MULTILINE | re.DOTALL))
KEYS = {
    "PG_HOST": "host",
    "PG_PORT": "port",
    "PG_DATABASE": "dbname",
    "PG_USER": "username",
    "PG_CREDENTIALS_SECRET": "password",
}


@pytest.mark.parametrize("title", ["Task definition", "CloudFormation", "AWS CDK (TypeScript)", "Terraform", "AWS Copilot"])
def test_there_is_a_snippet_for(title):
    assert all(name in SNIPPETS[title] for name in KEYS)


def test_the_task_definition_snippet_is_json():
    secrets = json.loads(SNIPPETS["Task definition"])["secrets"]
    arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:dev-test-django2-postgres-AbCdEf"
    assert secrets == [{"name": name, "valueFrom": f"{arn}:{key}::"} for name, key in KEYS.items()]


def test_the_cloudformation_snippet_is_yaml_with_dynamic_references():
    secrets = yaml.safe_load(SNIPPETS["CloudFormation"])["Secrets"]
    arn = "{{resolve:ssm:/stagedb/test-django2/dev/secret-arn}}"
    assert secrets == [{"Name": name, "ValueFrom": f"{arn}:{key}::"} for name, key in KEYS.items()]


def test_the_copilot_snippet_is_yaml_and_names_the_secret_with_a_key():
    # https://aws.github.io/copilot-cli/docs/developing/secrets/
    secrets = yaml.safe_load(SNIPPETS["AWS Copilot"])["secrets"]
    expected = {name: {"secretsmanager": f"dev-test-django2-postgres:{key}::"} for name, key in KEYS.items()}
    assert secrets == expected


def test_the_terraform_snippet_is_hcl_and_keeps_the_tags_of_stagedb():
    parsed = hcl2.loads(SNIPPETS["Terraform"] + "\n")
    text = json.dumps(parsed)
    assert "stagedb:" in text and "ignore_tags" in text
    assert "/stagedb/test-django2/dev/secret-arn" in text
    (local,) = parsed["locals"]
    names = [re.sub(r'^"|"$', "", entry["name"]) for entry in local["postgres_secrets"]]
    assert names == list(KEYS)
