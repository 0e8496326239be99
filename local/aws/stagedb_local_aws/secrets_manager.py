"""Secrets Manager: versions that never change, labels that move, filters that match prefixes, and repeated requests."""

from __future__ import annotations

import json
import re
import time

from ministack.core.responses import error_response_json, json_response, new_uuid
from ministack.services import secretsmanager as service

from stagedb_local_aws.permissions import resources

CURRENT, PREVIOUS = "AWSCURRENT", "AWSPREVIOUS"
Answer = tuple[int, dict, bytes]
Secret = dict


class Refusal(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def put_secret_value(data: dict) -> Answer:
    secret = _changeable(data.get("SecretId"))
    version_id = _put(secret, data, data.get("VersionStages") or [CURRENT])
    labels = secret["Versions"][version_id]["Stages"]
    return json_response({**_identity(secret), "VersionId": version_id, "VersionStages": list(labels)})


def update_secret(data: dict) -> Answer:
    """MiniStack's UpdateSecret, except that a new value follows the rules for versions."""
    secret = _changeable(data.get("SecretId"))
    value = {name: data[name] for name in ("SecretString", "SecretBinary") if name in data}
    if not value:
        return _update_elsewhere(data)
    token = {name: data[name] for name in ("ClientRequestToken",) if name in data}
    version_id = _put(secret, value | token, [CURRENT])
    _update_elsewhere({name: data[name] for name in data if name not in value})
    return json_response({**_identity(secret), "VersionId": version_id})


def create_secret(data: dict) -> Answer:
    existing = service._secrets.get(data.get("Name"))
    if existing is not None and existing.get("DeletedDate"):
        raise Refusal(
            "InvalidRequestException",
            "You can't create this secret because a secret with this name is already scheduled for deletion.",
        )
    token = _token(data)
    if existing is not None and (version := existing["Versions"].get(token)) and _value(version) == _value(data):
        return json_response({**_identity(existing), "VersionId": token})  # A repeated request.
    answer = _create_elsewhere(data)
    if answer[0] != 200:
        return answer
    created = json.loads(answer[2])
    secret = service._secrets[data["Name"]]
    (version,) = secret["Versions"].values()
    if version["SecretString"] is None and version["SecretBinary"] is None:
        secret["Versions"] = {}
        del created["VersionId"]
    else:
        secret["Versions"] = {token: version}
        created["VersionId"] = token
    return json_response(created)


def update_secret_version_stage(data: dict) -> Answer:
    secret = _changeable(data.get("SecretId"))
    if data.get("VersionStage") == CURRENT and not data.get("MoveToVersionId"):
        raise Refusal(
            "InvalidParameterException",
            f"You can only move staging label {CURRENT} to a different secret version. It can't be completely removed.",
        )
    before = _holder(secret, CURRENT)
    answer = _update_stage_elsewhere(data)
    if answer[0] == 200 and before not in (None, _holder(secret, CURRENT)):
        _move_label(secret, PREVIOUS, before)
    return answer


def get_secret_value(data: dict) -> Answer:
    """AWS's wording, which clients match: no period after the label."""
    answer = _get_elsewhere(data)
    if answer[0] != 400:
        return answer
    error = json.loads(answer[2])
    if "staging label" not in error["message"]:
        return answer
    return error_response_json(error["__type"], error["message"].rstrip("."), 400)


def delete_secret(data: dict) -> Answer:
    """API reference, DeleteSecret: to delete a secret by force that doesn't exist is no error."""
    answer = _delete_elsewhere(data)
    is_missing = answer[0] != 200 and json.loads(answer[2])["__type"] == "ResourceNotFoundException"
    if not (is_missing and data.get("ForceDeleteWithoutRecovery")):
        return answer
    arn = resources.secret(data["SecretId"])
    name = re.sub(r"-\w{6}$", "", arn.partition(":secret:")[2])
    return json_response({"ARN": arn, "Name": name, "DeletionDate": int(time.time())})


def describe_secret(data: dict) -> Answer:
    answer = _describe_elsewhere(data)
    return answer if answer[0] != 200 else json_response(_given(json.loads(answer[2])))


def list_secrets(data: dict) -> Answer:
    answer = _list_elsewhere(data)
    if answer[0] != 200:
        return answer
    listed = json.loads(answer[2])
    return json_response({**listed, "SecretList": [_given(secret) for secret in listed["SecretList"]]})


def _given(shown: dict) -> dict:
    """AWS shows no description, no versions and no access that a secret doesn't have."""
    optional = ("Description", "LastAccessedDate", "SecretVersionsToStages", "VersionIdsToStages")
    return {name: value for name, value in shown.items() if value or name not in optional}


def list_secret_version_ids(data: dict) -> Answer:
    answer = _list_versions_elsewhere(data)
    if answer[0] != 200 or data.get("IncludeDeprecated"):
        return answer
    listed = json.loads(answer[2])
    listed["Versions"] = [version for version in listed["Versions"] if version["VersionStages"]]
    return json_response(listed)


def filter_names(names: list[str], filters: list[dict]) -> list[str]:
    """All filters must match. A filter matches if any of its values does. A leading `!` negates a value."""
    for entry in filters:
        key, values = entry.get("Key", ""), entry.get("Values", [])
        names = [name for name in names if any(_matches(service._secrets[name], key, value) for value in values)]
    return names


def _matches(secret: Secret, key: str, value: str) -> bool:
    if value.startswith("!"):
        return not _matches(secret, key, value[1:])
    tags = secret.get("Tags") or []
    description = secret.get("Description") or ""
    if key == "name":
        return secret["Name"].startswith(value)
    if key == "description":
        return description.lower().startswith(value.lower())
    if key == "tag-key":
        return any(tag["Key"].startswith(value) for tag in tags)
    if key == "tag-value":
        return any(tag.get("Value", "").startswith(value) for tag in tags)
    if key == "all":
        everything = [
            secret["Name"],
            description,
            *(text for tag in tags for text in (tag["Key"], tag.get("Value", ""))),
        ]
        return all(any(word in text.lower() for text in everything) for word in value.lower().split())
    return False


def _put(secret: Secret, data: dict, labels: list[str]) -> str:
    """Adds a version, or recognizes a repeated request. Returns the version ID."""
    value = _value(data)
    if value == {"SecretString": None, "SecretBinary": None}:
        raise Refusal("InvalidParameterException", "You must provide either SecretString or SecretBinary.")
    if len((value["SecretString"] or "").encode()) > 65_536:
        raise Refusal("InvalidParameterException", "SecretString must have at most 65536 bytes.")
    token = _token(data)
    existing = secret["Versions"].get(token)
    if existing is not None:
        if _value(existing) == value:
            return token  # A repeated request. It moves no label, even if the version was replaced long ago.
        raise Refusal(
            "ResourceExistsException",
            f"You can't use ClientRequestToken {token} because that value is already in use for a version of "
            f"secret {secret['ARN']}.",
        )
    first = not secret["Versions"]
    secret["Versions"][token] = {**value, "CreatedDate": int(time.time()), "Stages": []}
    for label in dict.fromkeys([*labels, CURRENT] if first else labels):
        if label == CURRENT:
            _promote(secret, token)
        else:
            _move_label(secret, label, token)
    secret["LastChangedDate"] = int(time.time())
    service._sync_replicas(secret)
    return token


def _value(data: dict) -> dict:
    """That of a version, or in a request."""
    return {name: data.get(name) for name in ("SecretString", "SecretBinary")}


def _identity(secret: Secret) -> dict[str, str]:
    return {"ARN": secret["ARN"], "Name": secret["Name"]}


def _promote(secret: Secret, version_id: str) -> None:
    """Moves AWSCURRENT, and makes its previous version AWSPREVIOUS. Versions are never dropped,
    because a repeated token must be recognized even after its version was replaced."""
    before = _holder(secret, CURRENT)
    _move_label(secret, CURRENT, version_id)
    if before not in (None, version_id):
        _move_label(secret, PREVIOUS, before)


def _move_label(secret: Secret, label: str, version_id: str) -> None:
    service._remove_stage_everywhere(secret, label, except_version_id=version_id)
    service._add_stage(secret, version_id, label)
    if label not in ("AWSPENDING", PREVIOUS):
        service._emit_secret_label_updated(secret, label, version_id)


def _holder(secret: Secret, label: str) -> str | None:
    return service._find_stage_version(secret, label)[0]


def _token(data: dict) -> str:
    token = data.get("ClientRequestToken")
    if token is None:
        return new_uuid()
    if not 32 <= len(token) <= 64:
        raise Refusal("InvalidParameterException", "ClientRequestToken must be 32-64 characters long.")
    return token


def _changeable(secret_id: str | None) -> Secret:
    _, secret = service._resolve(secret_id)
    if secret is None:
        raise Refusal("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
    if secret.get("DeletedDate"):
        raise Refusal(
            "InvalidRequestException",
            "You can't perform this operation on the secret because it was marked for deletion.",
        )
    if service._is_replica(secret):
        raise Refusal("InvalidRequestException", "You can't perform this operation on a replica secret.")
    return secret


def _answering(handler):
    def handle(data: dict) -> Answer:
        try:
            return handler(data)
        except Refusal as refusal:
            return error_response_json(refusal.code, refusal.message, 400)

    return handle


_get_elsewhere = service._get_secret_value
_create_elsewhere = service._create_secret
_update_elsewhere = service._update_secret
_update_stage_elsewhere = service._update_secret_version_stage
_delete_elsewhere = service._delete_secret
_describe_elsewhere = service._describe_secret
_list_elsewhere = service._list_secrets
_list_versions_elsewhere = service._list_secret_version_ids


def install() -> None:
    service._get_secret_value = get_secret_value
    service._put_secret_value = _answering(put_secret_value)
    service._update_secret = _answering(update_secret)
    service._create_secret = _answering(create_secret)
    service._update_secret_version_stage = _answering(update_secret_version_stage)
    service._delete_secret = delete_secret
    service._describe_secret = describe_secret
    service._list_secrets = list_secrets
    service._list_secret_version_ids = list_secret_version_ids
    service._filter_secret_names = filter_names
    service._apply_current_promotion = _promote
