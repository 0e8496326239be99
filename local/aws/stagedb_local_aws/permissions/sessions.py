"""Credentials of roles, for containers and for tests."""

from __future__ import annotations

import secrets
import time

from ministack.core.responses import get_account_id
from ministack.services import iam, sts


def credentials(role: str, session: str, seconds: float) -> dict[str, str]:
    """Temporary credentials of a role, as from `AssumeRole`. Negative seconds: they have expired."""
    if role not in iam._roles:
        raise ValueError(f"there is no role {role}")
    key, secret, token = f"ASIA{secrets.token_hex(8).upper()}", secrets.token_hex(20), secrets.token_hex(64)
    sts._sessions[key] = {
        "Arn": f"arn:aws:sts::{get_account_id()}:assumed-role/{role}/{session}",
        "UserId": f"{role}:{session}",
        "SecretAccessKey": secret,
        "SessionToken": token,
        "IssuedAt": time.time(),
        "Expiration": time.time() + seconds,
    }
    return {"AccessKeyId": key, "SecretAccessKey": secret, "SessionToken": token}
