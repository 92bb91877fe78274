"""One request of an HTTP step, prepared to be sent or to be shown."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from connections.integrations import ActionContext, Data, Failed
from connections.secrets import values as secret_values
from connections.secrets.values import OpenSecret
from taskjuice.workspaces.models import Agency
from workflows.steps.http import journal as http_journal

Secrets = Mapping[str, OpenSecret]


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """A prepared request; `key` is None for methods that change nothing and for previews."""

    call: ActionContext
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    key: UUID | None = None
    # Secret values, to remove them from the response
    hidden: Sequence[str] = field(repr=False, default=())

    @property
    def may_change(self) -> bool:
        return is_changing(self.method)

    @property
    def text(self) -> str:
        """Return headers and body as they are sent."""
        head = "\n".join(f"{name}: {value}" for name, value in self.headers.items())
        return f"{head}\n\n{self.body.decode()}" if self.body else head


def is_changing(method: str) -> bool:
    return method != "GET"


def open_secrets(calls: Sequence[ActionContext], rows: Sequence[Data]) -> Secrets:
    """Decrypt the secret values of these rows.

    A wave is of one connection, so of one agency.
    """
    connection = calls[0].connection
    assert connection is not None  # pages send none
    return secret_values.open_secrets(connection.agency_id, _list_secret_names(rows))


def mask_secrets(agency: Agency, data: Data) -> Secrets:
    """Return the names of the secret values in their place, without decrypting any."""
    rows = (
        secret_values.list_secrets(agency)
        .filter(name__in=_list_secret_names([data]))
        .values_list("name", "host")
    )
    return {name: OpenSecret(host, f"[secret value {name}]") for name, host in rows}


def prepare_request(call: ActionContext, data: Data, secrets: Secrets) -> PreparedRequest | Failed:
    url = _add_query(data["url"], data["query"])
    body, kind = _build_body(data)
    headers = {"User-Agent": "TaskJuice", "Accept": "application/json, */*;q=0.5"}
    headers |= {"Content-Type": kind} if kind else {}
    hidden = []
    for row in data["headers"]:
        value = row["value"]
        if name := row["secret"]:
            secret = secrets.get(name)
            if problem := find_secret_problem(name, secret.host if secret else None, host_of(url)):
                return Failed("secret", problem)
            assert secret is not None  # else it is a problem
            value = f"{value} {secret.value}".strip()
            hidden.append(secret.value)
        _set_header(headers, row["name"], value)
    if not is_changing(data["method"]):
        return PreparedRequest(call, data["method"], url, headers, body, hidden=hidden)
    key = (
        http_journal.idempotency_key(call, data["method"], url, body or b"")
        if call.activation_id
        else None
    )
    headers |= {"Idempotency-Key": str(key or "one of its own for each run")}
    return PreparedRequest(call, data["method"], url, headers, body, key, hidden)


def find_secret_problem(name: str, bound_to: str | None, host: str) -> str:
    if bound_to is None:
        return f"There is no secret value “{name}”. Add it under Settings, Secret values."
    if bound_to != host:
        return f"The secret value “{name}” is for {bound_to} and is not sent to {host or 'another host'}."
    return ""


def host_of(url: str) -> str:
    return (urlsplit(url).hostname or "") if "://" in url else ""


def _list_secret_names(rows: Iterable[Data]) -> set[str]:
    return {row["secret"] for data in rows for row in data["headers"] if row["secret"]}


def _add_query(url: str, rows: Sequence[Mapping[str, str]]) -> str:
    if not rows:
        return url
    query = urlencode([(row["name"], row["value"]) for row in rows])
    return f"{url}{'&' if '?' in url else '?'}{query}"


def _build_body(data: Data) -> tuple[bytes | None, str]:
    if data["json"]:
        return data["json"].encode(), "application/json"
    if data["text"]:
        return data["text"].encode("utf-8", "replace"), "text/plain; charset=utf-8"
    return (None, "") if data["method"] in {"GET", "DELETE"} else (b"", "")


def _set_header(headers: dict[str, str], name: str, value: str) -> None:
    """Set a header in place of one with the same name in any case."""
    for existing in [existing for existing in headers if existing.lower() == name.lower()]:
        del headers[existing]
    headers[name] = value
