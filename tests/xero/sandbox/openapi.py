"""Holds requests and answers against Xero's own OpenAPI files, `../shared/xero/*.yaml` seen from
the project root.

The files are looser than Xero (nothing is required, any extra property passes), so the check is
stricter than they are: an object may carry only the properties its schema names. What Xero really
does otherwise is in DIFFERENCES, with reasons.
"""

import os
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

FOLDER = Path(__file__).resolve().parents[3].parent / "shared" / "xero"
DATE_IN_ANSWERS = r"^/Date\(-?\d+([+-]\d{4})?\)/$"
DATE_IN_REQUESTS = r"^(\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d+)?Z?)?|/Date\(-?\d+([+-]\d{4})?\)/)$"
XERO_TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?Z?$"
LOCAL_DATE = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT00:00:00$"}
ERRORS = {"type": "array", "items": {"$ref": "#/components/schemas/ValidationError"}}


@dataclass(frozen=True)
class Difference:
    """Where Xero's file and the live API part; `schema` names a component, or is "*Envelope" for
    every list wrapper.
    """

    schema: str
    add: dict[str, Any]
    reason: str


DIFFERENCES = (
    Difference(
        "*Envelope",
        {
            "Id": {"type": "string", "format": "uuid"},
            "Status": {"const": "OK"},
            "ProviderName": {"type": "string"},
            "DateTimeUTC": {"type": "string", "pattern": DATE_IN_ANSWERS},
        },
        "every answer comes in the envelope; only the examples show it, and the one of getAccounts does not",
    ),
    Difference(
        "Invoice",
        {
            "DateString": LOCAL_DATE,
            "DueDateString": LOCAL_DATE,
            "InvoicePaymentServices": {"type": "array"},
        },
        "returned by the live API, shown in the file's own examples, absent from its schema",
    ),
    Difference(
        "LineItem", {"ValidationErrors": ERRORS}, "returned on errors, absent from the schema"
    ),
    Difference(
        "Phone",
        {"ValidationErrors": ERRORS},
        "echoed in 400 answers (the file's createContacts example)",
    ),
    Difference(
        "Address",
        {"ValidationErrors": ERRORS},
        "echoed in 400 answers (the file's createContacts example)",
    ),
    Difference(
        "Contact",
        {"Warnings": ERRORS},
        "with summarizeErrors=false any element may carry warnings; the schema has them on invoices and payments",
    ),
    Difference(
        "Item",
        {"QuantityAvailable": {"type": "number"}, "QuantityOnBackOrder": {"type": "number"}},
        "in the releases after this file (19.0.0)",
    ),
)

# Answers that the file does not describe at all, so nothing can be held against it: it knows 200,
# 204 and 400 only.
UNDESCRIBED_STATUSES = {401, 403, 404, 412, 413, 429, 500, 501, 503}
# createPayment: the schema says a bare Payment, the example and the live API take {"Payments":
# [...]} as well. Every write takes the single object as well as the wrapper (Xero's page "requests
# and responses"). An element echoed in a 400 is the whole object with its errors; the schema
# Element names only the ids.
TEXT_OF = {"integer": r"\d+", "boolean": "true|false"}  # as a query spells them
USUAL_HEADERS = {"Authorization", "Content-Type", "Accept"}
OPEN_SCHEMAS = {"Element", "ValidationError"}
LIVE_PATHS = {"/Organisations": "/Organisation"}  # both work on the live API
# The identity file writes /Connections, the live address is /connections: paths are matched without
# regard to case.


class _Loader(yaml.CSafeLoader):
    """Leaves dates alone: the examples' DateString must stay text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@cache
def load(name: str) -> dict[str, Any]:
    """The file as data. Skips the calling test when it is absent, or fails it where CI demands it."""
    path = FOLDER / name
    if not path.exists():
        message = f"{path} is absent: answers cannot be held against Xero's OpenAPI file"
        if os.environ.get("TASKJUICE_REQUIRE_SHARED") == "1":
            pytest.fail(message)
        pytest.skip(message)
    with path.open() as file:
        return dict(yaml.load(file, _Loader))


def check_response(spec: str, method: str, path: str, status: int, body: Any) -> None:
    """Raises AssertionError with every place where the parsed JSON `body` is not what the file
    `spec` describes.
    """
    described = _operation(spec, method, path)["responses"].get(str(status))
    if described is None and status == 400:
        # the file gives a 400 to writes only, and to some of them; a bad `where` is refused on
        # reads
        check_schema(spec, "Error", body)
        return
    if described is None:
        assert status in UNDESCRIBED_STATUSES, f"{method} {path} never answers {status}"
        return
    content = _resolve(spec, described).get("content")
    if content is None:
        assert body is None, f"{method} {path} {status} has no body"
        return
    _check(spec, content["application/json"]["schema"], _accepted(body), answer=True)


def _accepted(body: Any) -> Any:
    """The answer without the elements that were refused: they come back as sent, whatever limit
    they break.
    """
    if not isinstance(body, dict):
        return body
    return {
        key: [
            one
            for one in value
            if not (isinstance(one, dict) and one.get("StatusAttributeString") == "ERROR")
        ]
        if isinstance(value, list)
        else value
        for key, value in body.items()
    }


def check_request(spec: str, method: str, path: str, body: Any) -> None:
    """Raises AssertionError when `body` is no request that the file describes, wrapped or a single
    object.
    """
    schema = _operation(spec, method, path)["requestBody"]["content"]["application/json"]["schema"]
    wrapper, single = _both_forms(spec, schema)
    wrapped = (
        isinstance(body, dict)
        and body.keys() <= _resolve(spec, wrapper).get("properties", {}).keys()
    )
    _check(spec, wrapper if wrapped else single, body, answer=False)


def check_parameters(
    spec: str, method: str, path: str, query: Mapping[str, Any], headers: Mapping[str, str]
) -> None:
    """Raises AssertionError when a query's parameter or one of Xero's own headers is not as the
    file has it.
    """
    described = [
        _resolve(spec, one) for one in _operation(spec, method, path).get("parameters", [])
    ]
    known = {(one["in"], one["name"].lower()): one for one in described}
    given = {("query", name.lower()): value for name, value in query.items()}
    given |= {
        ("header", name.lower()): value
        for name, value in headers.items()
        if name not in USUAL_HEADERS
    }
    missing = [key for key, one in known.items() if one.get("required") and key not in given]
    missing = [key for key in missing if key[0] != "path"]
    assert not missing, f"{method} {path} goes without {missing}"
    unknown = given.keys() - known.keys()
    assert not unknown, f"{method} {path} has no {sorted(unknown)}"
    for key, value in given.items():
        schema = _resolve(spec, known[key].get("schema", {}))
        if schema.get("type") in TEXT_OF:
            assert re.fullmatch(TEXT_OF[schema["type"]], str(value)), (
                f"{method} {path}: {key[1]}={value}"
            )
        longest = known[key].get("schema", {}).get("maxLength", 128)
        assert key[1] != "idempotency-key" or len(str(value)) <= longest


def check_schema(spec: str, name: str, body: Any, *, answer: bool = True) -> None:
    """The same for one named component, e.g. ("webhooks.yaml", "WebhookEvent", body)."""
    _check(spec, {"$ref": f"#/components/schemas/{name}"}, body, answer=answer)


def _both_forms(spec: str, schema: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    name = schema.get("$ref", "").rsplit("/", 1)[-1]
    properties = _resolve(spec, schema).get("properties", {})
    if name + "s" in load(spec).get("components", {}).get("schemas", {}):
        return {"$ref": f"#/components/schemas/{name}s"}, schema
    if (
        name == "PaymentDelete"
    ):  # the schema is bare, the file's example and the live API have the wrapper
        return {
            "type": "object",
            "properties": {"Payments": {"type": "array", "items": schema}},
        }, schema
    lists = [
        value["items"] for key, value in properties.items() if key == name and "items" in value
    ]
    return schema, (lists[0] if lists else schema)


def _operation(spec: str, method: str, path: str) -> dict[str, Any]:
    document = load(spec)
    path = LIVE_PATHS.get(path, path)
    for template, operations in {
        **document.get("paths", {}),
        **document.get("webhooks", {}),
    }.items():
        pattern = re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(template))
        if re.fullmatch(pattern, path, re.IGNORECASE) and method.lower() in operations:
            operation = operations[method.lower()]
            shared = operations.get("parameters", [])
            return {**operation, "parameters": [*shared, *operation.get("parameters", [])]}
    raise AssertionError(f"{spec} has no {method} {path}")


def _resolve(spec: str, node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in node:
        return node
    found: Any = load(spec)
    for part in node["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return dict(found)


def _check(spec: str, schema: dict[str, Any], body: Any, *, answer: bool) -> None:
    problems = [
        f"{'/'.join(map(str, problem.absolute_path)) or 'body'}: {problem.message[:300]}"
        for problem in _problems(spec, schema, body, answer)
    ]
    assert not problems, "\n".join(problems)


def _problems(spec: str, schema: dict[str, Any], body: Any, answer: bool) -> Iterator[Any]:
    document = _strict(spec, answer)
    validator = jsonschema.Draft202012Validator(
        {**document, **schema}
        if "$ref" in schema
        else {**document, **_tighten(deepcopy(schema), "", answer)},
        format_checker=_FORMATS,
    )
    return iter(
        sorted(
            validator.iter_errors(body), key=lambda problem: list(map(str, problem.absolute_path))
        )
    )


@cache
def _strict(spec: str, answer: bool) -> dict[str, Any]:
    schemas = deepcopy(load(spec).get("components", {}).get("schemas", {}))
    for name, schema in schemas.items():
        for difference in DIFFERENCES:
            envelope = (
                difference.schema == "*Envelope" and answer and name + "|" in _wrappers(schemas)
            )
            if difference.schema == name or envelope:
                schema.setdefault("properties", {}).update(deepcopy(difference.add))
    return {
        "components": {
            "schemas": {name: _tighten(schema, name, answer) for name, schema in schemas.items()}
        }
    }


def _wrappers(schemas: dict[str, Any]) -> str:
    """Names of the schemas that hold a list under their own name, as "Invoices|Contacts|"."""
    return "".join(
        f"{name}|" for name, schema in schemas.items() if name in schema.get("properties", {})
    )


def _tighten(node: Any, name: str, answer: bool) -> Any:
    if isinstance(node, list):
        return [_tighten(item, "", answer) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("x-is-msdate") or node.get("x-is-msdate-time"):
        return {"type": "string", "pattern": DATE_IN_ANSWERS if answer else DATE_IN_REQUESTS}
    if node.get("format") == "date-time":
        return {"type": "string", "pattern": XERO_TIME}
    if "$ref" in node:
        return {"$ref": node["$ref"]}
    out = {
        key: value
        for key, value in node.items()
        if key not in {"default", "example", "description", "externalDocs"}
    }
    if "properties" in out:
        # a property may itself be called "description" or "type": go through the values only
        out["properties"] = {
            key: _tighten(value, "", answer) for key, value in out["properties"].items()
        }
        if name not in OPEN_SCHEMAS:
            out["additionalProperties"] = False
    return {
        key: value if key == "properties" else _tighten(value, "", answer)
        for key, value in out.items()
    }


def _is_uuid(value: object) -> bool:
    return (
        not isinstance(value, str)
        or re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", value) is not None
    )


_FORMATS = jsonschema.FormatChecker(formats=())
_FORMATS.checks("uuid")(_is_uuid)
