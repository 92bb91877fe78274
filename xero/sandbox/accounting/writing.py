"""PUT and POST requests: read the body, write the elements one by one, answer or refuse in Xero's
words.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from xero.sandbox.accounting import contacts, invoices, payments, shapes, xml
from xero.sandbox.accounting.errors import Invalid, PlainRefusal, PostDataInvalid
from xero.sandbox.accounting.ledger import Document
from xero.sandbox.accounting.messages import Request
from xero.sandbox.accounting.reading import unitdp
from xero.sandbox.accounting.resources import Resource
from xero.sandbox.accounting.shapes import read_object
from xero.sandbox.accounting.wire import ZERO_ID, date_on_wire, load
from xero.sandbox.accounting.work import Work

LARGEST_BODY = 3_500_000  # bytes; the smaller of the two limits that Xero's pages give
Query = Mapping[str, str]
SHAPES = {"invoice": shapes.INVOICE, "contact": shapes.CONTACT, "payment": shapes.PAYMENT}
_DATES = ("Date", "DueDate", "ExpectedPaymentDate", "PlannedPaymentDate")


@dataclass(frozen=True)
class Outcome:
    """The outcome of one element: the id of what was written, or the reasons for refusing it beside
    what was sent.
    """

    id: str
    given: Document
    reasons: tuple[str, ...] = ()

    @property
    def messages(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(map(str, self.reasons)))


def elements(resource: Resource, request: Request) -> list[Document]:
    """Return the objects of the body, wrapped or single, read by their shape. Raises
    PostDataInvalid.
    """
    if len(request.body) > LARGEST_BODY:
        raise PlainRefusal(413, "The request body is larger than 3.5 MB")
    raw = _parsed(resource, request)
    if not isinstance(raw, dict):
        raise PostDataInvalid("JSON for post data was invalid, an object is expected")
    wrapper = next(
        (value for key, value in raw.items() if key.lower() == resource.plural.lower()), None
    )
    found = [raw] if wrapper is None else wrapper if isinstance(wrapper, list) else [wrapper]
    if not found:
        raise PostDataInvalid(f"No {resource.plural} were found in the body of the request")
    return [
        read_object(SHAPES[resource.kind], one, f"{resource.plural}[{n}]")
        for n, one in enumerate(found)
    ]


def _parsed(resource: Resource, request: Request) -> Any:
    if not request.body.strip():
        raise PostDataInvalid("The body of the request is empty")
    if (
        "json" not in request.headers.get("content-type", "").lower()
        and request.body.lstrip()[:1] == b"<"
    ):
        return xml.read(request.body, resource.plural, resource.singular, SHAPES[resource.kind])
    try:
        return load(request.body)
    except (ValueError, RecursionError) as problem:
        raise PostDataInvalid(f"JSON for post data was invalid,{problem}"[:300]) from None


def write(
    work: Work, resource: Resource, request: Request, query: Query, id: str | None
) -> list[Outcome]:
    """Write every element. Without summarizeErrors=false one bad element undoes all of them."""
    given = elements(resource, request)
    if id is not None and len(given) != 1:
        raise PostDataInvalid(f"Exactly one {resource.singular} is expected")
    rule = _rule(work, resource, request, query, id)
    outcomes = [_outcome(work, resource, one, rule) for one in given]
    if not lenient(query) and any(outcome.messages for outcome in outcomes):
        work.changed, work.changes = {}, {}
    return outcomes


def lenient(query: Query) -> bool:
    return query.get("summarizeerrors", "").lower() == "false"


def unmade(resource: Resource, given: Document) -> Document:
    """Build an element that Xero did not write, in a good answer: an id of zeros, HasErrors, and no
    reason.
    """
    return {resource.id_field: ZERO_ID, **given, "HasErrors": True}


def echo(resource: Resource, outcome: Outcome, *, inside: bool = False) -> Document:
    """Build a refused element as Xero returns it: what was sent, an id of zeros where it has none,
    the messages.

    `inside`: each reason stands only where it belongs, at a line, at the contact.
    """
    shown = {
        name: date_on_wire(value) if name in _DATES else value
        for name, value in outcome.given.items()
    }
    marks: dict[str, Any] = {"invoice": {"HasErrors": True}, "account": {}}.get(
        resource.kind, {"HasValidationErrors": True}
    )
    refused = {resource.id_field: ZERO_ID, **shown, **marks}
    if not inside:
        return refused | {
            "ValidationErrors": [{"Message": message} for message in outcome.messages]
        }
    refused = deepcopy(refused)
    for reason in outcome.reasons:
        node: Any = refused
        for step in getattr(reason, "place", ()):
            node = node[step] if isinstance(step, int) else node.setdefault(step, {})
        node.setdefault("ValidationErrors", []).append({"Message": str(reason)})
    return refused


def _outcome(
    work: Work, resource: Resource, given: Document, rule: Callable[[Document], Document]
) -> Outcome:
    before = work.checkpoint()
    try:
        return Outcome(rule(given)[resource.id_field], given)
    except Invalid as problem:
        work.back_to(before)
        return Outcome("", given, problem.reasons)


def _rule(
    work: Work, resource: Resource, request: Request, query: Query, id: str | None
) -> Callable[[Document], Document]:
    create = request.method == "PUT"
    digits = unitdp(query)
    if resource.kind == "payment":
        if id is not None:
            return lambda given: payments.delete(work, id, given)
        return lambda given: payments.create(work, given)
    if resource.kind == "contact":
        if id is not None:
            return lambda given: contacts.update_by_id(work, id, _without(given, "ContactID"))
        if create:
            return lambda given: contacts.create(work, _without(given, "ContactID"))
        return lambda given: contacts.create_or_update(work, given)
    if id is not None:
        return lambda given: invoices.update_by_id(work, id, _without(given, "InvoiceID"), digits)
    if create:
        return lambda given: invoices.create(work, _without(given, "InvoiceID"), digits)
    return lambda given: invoices.create_or_update(work, given, digits)


def _without(given: Document, name: str) -> Document:
    return {key: value for key, value in given.items() if key != name}
