"""HTTP APIs as SAM creates them: an OpenAPI body, JWT authorizers, and AWS's defaults."""

from __future__ import annotations

import base64
import contextvars
import json

from ministack.services import apigateway as gateway
from ministack.services import lambda_svc
from ministack.services.cloudformation import provisioners

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
_ANY = "x-amazon-apigateway-any-method"
_is_http_api = contextvars.ContextVar("is_http_api", default=False)


def import_body(api_id: str, body: dict) -> None:
    """Replaces the API's routes, integrations, and authorizers with those in an OpenAPI body."""
    for store in (gateway._routes, gateway._integrations, gateway._authorizers):
        store[api_id] = {}
    schemes = body.get("components", {}).get("securitySchemes") or {}
    authorizers = {name: _authorizer(api_id, name, scheme) for name, scheme in schemes.items()}
    for path, operations in (body.get("paths") or {}).items():
        for method, operation in operations.items():
            if method not in (*_METHODS, _ANY) or "x-amazon-apigateway-integration" not in operation:
                continue
            security = operation.get("security", body.get("security", []))
            _route(api_id, _route_key(method, path), operation, security, authorizers)
    if "x-amazon-apigateway-cors" in body:
        gateway._apis[api_id]["corsConfiguration"] = body["x-amazon-apigateway-cors"]


def _route_key(method: str, path: str) -> str:
    if path in ("/$default", "$default"):
        return "$default"
    return f"{'ANY' if method == _ANY else method.upper()} {path}"


def _authorizer(api_id: str, name: str, scheme: dict) -> tuple[str, str]:
    """The authorizer's ID, and the type of the routes that use it."""
    settings = scheme.get("x-amazon-apigateway-authorizer") or {}
    jwt = settings.get("jwtConfiguration")
    source = settings.get("identitySource", "$request.header.Authorization")
    authorizer_id, _ = provisioners._apigw_v2_authorizer_create(
        name,
        {
            "ApiId": api_id,
            "Name": name,
            "AuthorizerType": "JWT" if jwt else "REQUEST",
            "IdentitySource": [source] if isinstance(source, str) else source,
            "JwtConfiguration": {
                "Audience": (jwt or {}).get("audience", []),
                "Issuer": (jwt or {}).get("issuer", ""),
            },
            "AuthorizerUri": settings.get("authorizerUri", ""),
            "AuthorizerPayloadFormatVersion": settings.get("authorizerPayloadFormatVersion", "2.0"),
            "EnableSimpleResponses": settings.get("enableSimpleResponses", False),
        },
        "",
    )
    return authorizer_id, "JWT" if jwt else "CUSTOM"


def _route(api_id: str, key: str, operation: dict, security: list, authorizers: dict) -> None:
    settings = operation["x-amazon-apigateway-integration"]
    integration_id, _ = provisioners._apigw_v2_integration_create(
        "",
        {
            "ApiId": api_id,
            "IntegrationType": str(settings["type"]).upper(),
            "IntegrationUri": settings.get("uri", ""),
            "PayloadFormatVersion": settings.get("payloadFormatVersion", "2.0"),
            "TimeoutInMillis": settings.get("timeoutInMillis", 30_000),
        },
        "",
    )
    route = {"ApiId": api_id, "RouteKey": key, "Target": f"integrations/{integration_id}"}
    named = [(name, scopes) for requirement in security for name, scopes in requirement.items() if name in authorizers]
    if named:
        name, scopes = named[0]
        authorizer_id, kind = authorizers[name]
        route |= {"AuthorizationType": kind, "AuthorizerId": authorizer_id, "AuthorizationScopes": scopes}
    provisioners._apigw_v2_route_create("", route, "")


def _lower_first(value: object) -> object:
    """CloudFormation uses `AllowOrigins`; the service uses `allowOrigins`."""
    if not isinstance(value, dict):
        return value
    return {name[0].lower() + name[1:]: entry for name, entry in value.items()}


async def validate_token(route: dict, authorizer: dict, headers: dict, query: dict):
    """MiniStack checks signature, issuer, audience, and scopes. A token without an expiration, or with
    claims of the wrong type, gets past the check or crashes it. On AWS, both return 401."""
    unauthorized = None, None, gateway._jwt_unauthorized()
    token = gateway._extract_token_from_identity_source(authorizer.get("identitySource", []), headers, query)
    try:
        payload = (token or "").split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        numbers = [claims["exp"], claims.get("nbf", 0), claims.get("iat", 0)]
    except (ValueError, IndexError, KeyError, TypeError, AttributeError):
        return unauthorized
    if not all(isinstance(number, (int, float)) and not isinstance(number, bool) for number in numbers):
        return unauthorized
    if not (authorizer.get("jwtConfiguration") or {}).get("audience"):
        return unauthorized  # AWS rejects an authorizer without one; MiniStack would skip the check.
    return await _validate_elsewhere(route, authorizer, headers, query)


async def invoke_function(*arguments, **options):
    _is_http_api.set(True)
    return await _invoke_elsewhere(*arguments, **options)


def read_function_answer(result: dict):
    """A response with a status but no content type is text, and errors inside a function aren't
    exposed. Both differ from REST APIs, for which MiniStack uses the same code."""
    response, reason = _read_answer_elsewhere(result)
    if not _is_http_api.get():
        return response, reason
    if result.get("error"):
        headers = {"content-type": "application/json"}
        return {"statusCode": 500, "headers": headers, "body": '{"message":"Internal Server Error"}'}, None
    headers = dict(response.get("headers") or {})
    if _gives_status(result.get("body")) and not any(name.lower() == "content-type" for name in headers):
        headers["content-type"] = "text/plain; charset=utf-8"
    return {**response, "headers": headers}, reason


def _gives_status(payload: object) -> bool:
    if isinstance(payload, (str, bytes)):
        try:
            payload = json.loads(payload)
        except ValueError:
            return False
    return isinstance(payload, dict) and "statusCode" in payload


_validate_elsewhere = gateway._validate_jwt_authorizer
_invoke_elsewhere = gateway._invoke_lambda_proxy
_read_answer_elsewhere = lambda_svc.lambda_execute_result_to_api_proxy_response
_extract_elsewhere = gateway._extract_path_params


def extract_path_params(route_path: str, request_path: str) -> dict | None:
    """Line breaks are ordinary characters in a path. MiniStack's patterns stop at them."""
    found = _extract_elsewhere(route_path, request_path.replace("\n", "\0"))
    return found and {name: value.replace("\0", "\n") for name, value in found.items()}


def install() -> None:
    gateway._validate_jwt_authorizer = validate_token
    gateway._extract_path_params = extract_path_params
    gateway._invoke_lambda_proxy = invoke_function
    lambda_svc.lambda_execute_result_to_api_proxy_response = read_function_answer
    gateway._jwt_unauthorized = lambda message="Unauthorized": (
        401,
        {"Content-Type": "application/json", "WWW-Authenticate": "Bearer"},
        json.dumps({"message": message}).encode(),
    )
    handler = provisioners._RESOURCE_HANDLERS["AWS::ApiGatewayV2::Api"]
    create, update = handler["create"], handler["update"]

    def prepared(props: dict) -> dict:
        """SAM puts the API's name only in the body."""
        title = ((props.get("Body") or {}).get("info") or {}).get("title")
        named = {"Name": title, **props} if title else props
        if "CorsConfiguration" not in named:
            return named
        return {**named, "CorsConfiguration": _lower_first(named["CorsConfiguration"])}

    def create_api(logical_id: str, props: dict, stack_name: str):
        created = create(logical_id, prepared(props), stack_name)
        if props.get("Body"):
            import_body(created[0], props["Body"])
        return created

    def update_api(physical_id: str, old: dict, new: dict, stack_name: str, logical_id: str | None = None):
        updated = update(physical_id, prepared(old), prepared(new), stack_name, logical_id)
        if new.get("Body") and new["Body"] != old.get("Body"):
            import_body(updated[0], new["Body"])
        return updated

    handler["create"], handler["update"] = create_api, update_api
