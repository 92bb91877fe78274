"""GET requests: one record, or a list filtered, ordered and paged by Xero's rules."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from uuid import UUID

from xero.sandbox.accounting.errors import HighVolume, NotFound, PlainRefusal, QueryParse
from xero.sandbox.accounting.ledger import Document, Organisation
from xero.sandbox.accounting.messages import Request
from xero.sandbox.accounting.nodes import Field
from xero.sandbox.accounting.render import Renderer
from xero.sandbox.accounting.resources import Resource
from xero.sandbox.accounting.where import Filter, parse_order, parse_where
from xero.sandbox.accounting.wire import to_ms

HIGH_VOLUME = 100_000  # records; beyond it Xero refuses filters that it has no index for
_OPTIMISED_ORDER = {"invoiceid", "updateddateutc", "date", "contactid", "name", "paymentid"}
Query = Mapping[str, str]


@dataclass(frozen=True)
class Page:
    """Rendered records, with the pagination object if the list is paged."""

    bodies: Sequence[bytes]
    pagination: dict[str, int] | None = None


def read_one(
    organisation: Organisation, renderer: Renderer, resource: Resource, name: str, query: Query
) -> Page:
    """Return one record by id, or by number or code if the resource has one."""
    id = _guid(name)
    if id is None or id not in organisation.documents(resource.kind):
        named = organisation.ids_with(resource.kind, resource.key, name) if resource.key else set()
        id = max(
            named,
            key=lambda one: organisation.documents(resource.kind)[one]["UpdatedDateUTC"],
            default=None,
        )
    if id is None:
        raise NotFound
    return Page([renderer.json(resource.kind, id, "one", unitdp(query))])


def read_list(
    organisation: Organisation,
    renderer: Renderer,
    resource: Resource,
    request: Request,
    query: Query,
    actor: str,
) -> Page:
    since = modified_since(request) if resource.dated else None
    paging = _paging(resource, query)
    view = _view(resource, query, paging is not None)
    if filters := _filters(organisation, resource, query, actor):
        ids = [
            id
            for id in _candidates(organisation, resource, query, since)
            if all(matches(organisation.documents(resource.kind)[id]) for matches in filters)
        ]
    elif (chosen := _chosen(organisation, resource, query, since)) is not None:
        ids = chosen
    elif paging is not None and not query.get("order"):
        return _slice(organisation, renderer, resource, query, since, paging, view)
    else:
        ids = _candidates(organisation, resource, query, since)
    ids = _ordered(organisation, resource, ids, query)
    pagination = None
    if paging is not None:
        pagination = _pagination(paging, len(ids))
        ids = ids[(paging[0] - 1) * paging[1] :][: paging[1]]
    return Page([renderer.json(resource.kind, id, view, unitdp(query)) for id in ids], pagination)


def unitdp(query: Query) -> int:
    return 4 if query.get("unitdp") == "4" else 2


def modified_since(request: Request) -> int | None:
    """Return If-Modified-Since in milliseconds: UTC, to the second, given as an HTTP date or as
    ISO.
    """
    given = request.headers.get("if-modified-since", "").strip()
    if not given:
        return None
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = read(given)
            return to_ms(moment if moment.tzinfo else moment.replace(tzinfo=UTC)) // 1000 * 1000
        except (ValueError, TypeError, OverflowError):
            continue
    raise PlainRefusal(412, "The If-Modified-Since header is not a valid date")


def _slice(
    organisation: Organisation, renderer: Renderer, resource: Resource, query: Query, since: int | None,
    paging: tuple[int, int], view: str,
) -> Page:  # fmt: skip
    """Cut the page out of the maintained order, the fast way if there is nothing to filter."""
    timeline = organisation.timelines[resource.kind]
    page, size = paging
    ids = timeline.ids(since, (page - 1) * size, size)
    bodies = [renderer.json(resource.kind, id, view, unitdp(query)) for id in ids]
    return Page(bodies, _pagination(paging, timeline.count(since)))


def _paging(resource: Resource, query: Query) -> tuple[int, int] | None:
    asked = (
        "page" in query
        or "pagesize" in query
        or (resource.summaries and _true(query, "summaryonly"))
    )
    if not resource.paged or not asked:
        return None
    page, size = _whole(query, "page", 1), _whole(query, "pagesize", 100)
    return max(page, 1), min(max(size, 1), 1000)


def _whole(query: Query, name: str, default: int) -> int:
    given = query.get(name, "").strip() or str(default)
    if (
        not given.removeprefix("-").isascii()
        or not given.removeprefix("-").isdigit()
        or len(given) > 9
    ):
        raise QueryParse(f"The {name} parameter must be a whole number")
    return int(given)


def _pagination(paging: tuple[int, int], count: int) -> dict[str, int]:
    page, size = paging
    return {"page": page, "pageSize": size, "pageCount": -(-count // size), "itemCount": count}


def _view(resource: Resource, query: Query, paged: bool) -> str:
    if resource.summaries and _true(query, "summaryonly"):
        return "summary"
    return "page" if paged or not resource.summaries else "list"


def _candidates(
    organisation: Organisation, resource: Resource, query: Query, since: int | None
) -> list[str]:
    chosen = _chosen(organisation, resource, query, since)
    return organisation.timelines[resource.kind].ids(since) if chosen is None else chosen


def _chosen(
    organisation: Organisation, resource: Resource, query: Query, since: int | None
) -> list[str] | None:
    """Return the ids that IDs, InvoiceNumbers and ContactIDs name (all of those given must hold),
    or None.
    """
    found: list[set[str]] = []
    documents = organisation.documents(resource.kind)
    if resource.summaries and "ids" in query:
        found.append({id for id in _guids(query["ids"]) if id in documents})
    if resource.kind == "invoice" and query.get("invoicenumbers"):
        numbers = _commas(query["invoicenumbers"])
        found.append(
            set().union(
                *(organisation.ids_with("invoice", "InvoiceNumber", number) for number in numbers)
            )
        )
    if resource.kind == "invoice" and query.get("contactids"):
        contacts = _guids(query["contactids"])
        found.append(
            set().union(*(organisation.ids_with("invoice", "ContactID", id) for id in contacts))
        )
    if not found:
        return None
    ids = set.intersection(*found)
    recent = (
        ids if since is None else {id for id in ids if documents[id]["UpdatedDateUTC"] >= since}
    )
    return sorted(recent, key=lambda id: (documents[id]["UpdatedDateUTC"], id))


def _filters(
    organisation: Organisation, resource: Resource, query: Query, actor: str
) -> list[Callable[[Document], bool]]:
    filters: list[Callable[[Document], bool]] = []
    if query.get("where"):
        where = parse_where(query["where"], resource.fields(organisation), resource.singular)
        _refuse_high_volume(organisation, resource, query, where)
        filters.append(where.matches)
    if resource.kind == "invoice" and query.get("statuses"):
        statuses = {status.upper() for status in _commas(query["statuses"])}
        filters.append(lambda document: document["Status"] in statuses)
    if resource.kind == "invoice" and _true(query, "createdbymyapp"):
        filters.append(lambda document: document.get("Actor") == actor)
    if resource.kind == "contact" and not _true(query, "includearchived"):
        filters.append(lambda document: document["ContactStatus"] != "ARCHIVED")
    if resource.kind == "tracking" and not _true(query, "includearchived"):
        filters.append(lambda document: document["Status"] == "ACTIVE")
    if resource.search and query.get("searchterm"):
        filters.append(_search(organisation, resource, query["searchterm"].lower()))
    return filters


def _search(
    organisation: Organisation, resource: Resource, term: str
) -> Callable[[Document], bool]:
    def matches(document: Document) -> bool:
        texts = [document.get(name) or "" for name in resource.search]
        if resource.kind == "invoice":
            texts += [organisation.contacts[document["ContactID"]]["Name"], str(document["Total"])]
        return any(term in text.lower() for text in texts)

    return matches


def _refuse_high_volume(
    organisation: Organisation, resource: Resource, query: Query, where: Filter
) -> None:
    if len(organisation.documents(resource.kind)) <= HIGH_VOLUME:
        return
    fields = {part.split()[0].lower() for part in query.get("order", "").split(",") if part.split()}
    if not where.optimised or fields - _OPTIMISED_ORDER:
        many = f"more than {HIGH_VOLUME:,} {resource.plural.lower()}"
        raise HighVolume(
            f"This organisation has {many} and you are not filtering them efficiently."
        )


def _ordered(
    organisation: Organisation, resource: Resource, ids: list[str], query: Query
) -> list[str]:
    """Sort the ids. They come in the default order, which stays among equals."""
    if not query.get("order"):
        return ids
    documents = organisation.documents(resource.kind)
    for field, descending in reversed(
        parse_order(query["order"], resource.fields(organisation), resource.singular)
    ):
        ids = sorted(ids, key=_key(field, documents), reverse=descending)
    return ids


def _key(field: Field, documents: Mapping[str, Document]) -> Callable[[str], Any]:
    def key(id: str) -> tuple[bool, Any]:
        value = field.get(documents[id])
        return (value is not None, value.lower() if isinstance(value, str) else value or 0)

    return key


def _commas(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _guids(text: str) -> Iterable[str]:
    for part in _commas(text):
        id = _guid(part)
        if id is None:
            raise QueryParse("Guid should contain 32 digits with 4 dashes")
        yield id


def _guid(text: str) -> str | None:
    if len(text) == 36:
        try:
            return str(UUID(text))
        except ValueError:
            return None
    return None


def _true(query: Query, name: str) -> bool:
    return query.get(name, "").lower() == "true"
