"""The OpenAPI document of the gateway's REST, from the message types themselves, so that it cannot lag behind them."""

from typing import Any, Final

import msgspec

from watchnext.contracts.api import DEFAULT_K, RecommendAnswer, RecommendRequest
from watchnext.contracts.names import MAX_K

ERROR: Final = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
        }
    },
}
QUERY: Final = ("user_id", "k", "surface", "device", "country", "seed_video_id", "explain", "why_not", "request_id")


def describe(title: str, version: str) -> dict[str, Any]:
    """The whole document."""
    _, schemas = msgspec.json.schema_components(
        [RecommendRequest, RecommendAnswer], ref_template="#/components/schemas/{name}"
    )
    k = schemas["RecommendRequest"]["properties"]["k"]
    k.update(minimum=1, maximum=MAX_K, default=DEFAULT_K)
    schemas["Error"] = ERROR
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "security": [{}, {"apiKey": []}, {"bearer": []}],
        "paths": {
            "/v1/recommendations": {
                "post": {
                    "operationId": "recommend",
                    "summary": "The k best videos for a user now",
                    "parameters": [_timeout()],
                    "requestBody": {"required": True, "content": _content("RecommendRequest")},
                    "responses": _responses(),
                },
                "get": {
                    "operationId": "recommendByQuery",
                    "summary": "The same by query string",
                    "parameters": [
                        *(_parameter(name, schemas["RecommendRequest"]) for name in QUERY),
                        _timeout(),
                    ],
                    "responses": _responses(),
                },
            }
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _content(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


def _parameter(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": name in schema["required"], "schema": schema["properties"][name]}


def _timeout() -> dict[str, Any]:
    return {
        "name": "timeout_ms",
        "in": "query",
        "description": "how long the caller waits; a late part costs quality (also header x-timeout-ms)",
        "schema": {"type": "integer", "minimum": 1, "maximum": 600_000},
    }


def _responses() -> dict[str, Any]:
    return {
        "200": {
            "description": "The answer; `degraded` names parts it did without",
            "content": _content("RecommendAnswer"),
        },
        "400": {"description": "A field is out of range", "content": _content("Error")},
        "401": {"description": "No valid API key", "content": _content("Error")},
        "500": {"description": "A fault of the gateway's own", "content": _content("Error")},
        "503": {"description": "Too many requests are in flight; try again", "content": _content("Error")},
    }
