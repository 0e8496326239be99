"""The control endpoint for tests, which the real AWS doesn't have: `/_local/…`.

Faults are injected into incoming requests. MiniStack's internal calls (CloudFormation creating a
native resource, a state machine invoking a function) aren't affected.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from ministack.core.concurrency import run_reentrant

from stagedb_local_aws.permissions.sessions import credentials
from stagedb_local_aws.settings import Timings

App = Callable[[dict, Callable, Callable], Awaitable[None]]
ServiceControl = Callable[[str, list[str], object], tuple[int, object] | None]
"""Answers `/_local/{service}/…`: method, the rest of the path, and data. None if it's unknown."""
RESPONSE_URL = "/_ministack/cfn-response/"


@dataclass
class Fault:
    """Makes the next `times` calls of an operation fail. None means every call."""

    service: str
    operation: str
    code: str
    message: str = ""
    times: int | None = 1
    when: dict[str, str] = field(default_factory=dict)
    """Applies only to calls with exactly these parameters."""
    after: bool = False
    """Whether the call takes effect and only its response is lost."""
    status: int = 400

    def matches(self, call: Call) -> bool:
        return (self.service, self.operation) == (call.service, call.operation) and all(
            str(call.parameters.get(name)) == str(value) for name, value in self.when.items()
        )


@dataclass(frozen=True)
class Call:
    service: str
    operation: str
    parameters: dict[str, object]
    is_json: bool


class Faults:
    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def replace(self, entries: list[dict]) -> None:
        """Raises TypeError or ValueError if an entry is invalid. Then nothing changes."""
        faults = [Fault(**entry) for entry in entries]
        with self._lock:
            self._faults = faults

    def listed(self) -> list[dict]:
        with self._lock:
            return [asdict(fault) for fault in self._faults]

    def take(self, call: Call) -> Fault | None:
        with self._lock:
            fault = next((fault for fault in self._faults if fault.matches(call)), None)
            if fault is not None and fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    self._faults.remove(fault)
            return fault

    def __bool__(self) -> bool:
        return bool(self._faults)


class Control:
    """The ASGI application that wraps MiniStack's."""

    def __init__(self, app: App, timings: Timings, services: dict[str, ServiceControl]) -> None:
        self._app = app
        self._timings = timings
        self._services = services
        self._faults = Faults()

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path, method = scope["path"], scope["method"]
        if path.startswith("/_local/"):
            await self._control(method, path, await _body(receive), send)
        elif path.startswith(RESPONSE_URL) and _header(scope, b"content-type"):
            # The real URL is signed for requests without a content type.
            await _answer(send, 403, "application/xml", b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
        elif method == "POST" and path == "/" and self._faults:
            await self._maybe_fail(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _maybe_fail(self, scope: dict, receive: Callable, send: Callable) -> None:
        body = await _body(receive)
        call = _call(scope, body)
        fault = self._faults.take(call) if call else None
        if fault is None or fault.after:
            await self._app(scope, _replay(body, receive), send if fault is None else _ignore)
        if fault is not None:
            await _answer(send, fault.status, *_error(fault, call.is_json))

    async def _control(self, method: str, path: str, body: bytes, send: Callable) -> None:
        try:
            data = json.loads(body) if body else None
            # On its own thread, because a function that a schedule calls calls us.
            status, answer = await run_reentrant(self._do, method, path, data)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            status, answer = 400, {"message": f"{type(error).__name__}: {error}"}
        await _answer(send, status, "application/json", json.dumps(answer).encode())

    def _do(self, method: str, path: str, data: object) -> tuple[int, object]:
        match method, path:
            case "GET", "/_local/faults":
                return 200, self._faults.listed()
            case "PUT", "/_local/faults":
                self._faults.replace(data)
                return 200, self._faults.listed()
            case "DELETE", "/_local/faults":
                self._faults.replace([])
                return 200, []
            case "GET", "/_local/timings":
                return 200, self._timings.as_dict()
            case "PUT", "/_local/timings":
                self._timings.update(data)
                return 200, self._timings.as_dict()
            case "POST", "/_local/tokens":
                return 200, {"access_token": token_with(data["access_token"], data["claims"])}
            case "POST", "/_local/credentials":
                return 200, credentials(data["role"], data.get("session", "test"), data.get("seconds", 3600))
        _, _, name, *rest = path.split("/")
        control = self._services.get(name)
        answer = control(method, rest, data) if control else None
        return answer or (404, {"message": f"no {method} {path}"})


def token_with(token: str, changed: dict) -> str:
    """A token with other claims, signed with the user pool's own key. A claim that is None is left out.

    Raises ValueError if the local Cognito didn't issue the token.
    """
    from ministack.services import cognito

    if not cognito._signature_valid(token):
        raise ValueError("the local Cognito didn't issue this token")
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    pool = claims["iss"].rpartition("/")[2]
    claims = {name: value for name, value in {**claims, **changed}.items() if value is not None}
    return cognito._signed_jwt(claims, pool, claims["token_use"])


def _call(scope: dict, body: bytes) -> Call | None:
    """The operation of a signed request, or None if it's unknown."""
    signed_for = re.search(r"Credential=[^/]+/[^/]+/[^/]+/([^/]+)/", _header(scope, b"authorization"))
    if signed_for is None:
        return None
    target = _header(scope, b"x-amz-target")
    if target:
        parameters = json.loads(body or b"{}")
        return Call(signed_for[1], target.rpartition(".")[2], parameters, is_json=True)
    parameters = dict(parse_qsl(body.decode(), keep_blank_values=True))
    return Call(signed_for[1], parameters.get("Action", ""), parameters, is_json=False)


def _error(fault: Fault, as_json: bool) -> tuple[str, bytes]:
    if as_json:
        error = {"__type": fault.code, "message": fault.message, "Message": fault.message}
        return "application/x-amz-json-1.1", json.dumps(error).encode()
    if fault.service == "ec2":
        # Its protocol is a variant of the Query protocol.
        return "text/xml", (
            f"<Response><Errors><Error><Code>{escape(fault.code)}</Code><Message>{escape(fault.message)}</Message></Error>"
            "</Errors><RequestID>injected-fault</RequestID></Response>"
        ).encode()
    kind = "Sender" if fault.status < 500 else "Receiver"
    return "text/xml", (
        f"<ErrorResponse><Error><Type>{kind}</Type><Code>{escape(fault.code)}</Code>"
        f"<Message>{escape(fault.message)}</Message></Error><RequestId>injected-fault</RequestId></ErrorResponse>"
    ).encode()


def _header(scope: dict, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name), "")


async def _body(receive: Callable) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _replay(body: bytes, receive: Callable) -> Callable:
    sent = False

    async def again() -> dict:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _ignore(_message: dict) -> None:
    pass


async def _answer(send: Callable, status: int, content_type: str, body: bytes) -> None:
    headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
