"""The ledgers of all organisations of one sandbox, and the entry to them."""

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID, uuid4

import xero.sandbox.seed as seeds
from xero.sandbox.accounting import xml
from xero.sandbox.accounting.errors import NotFound, NotImplementedHere, PlainRefusal, Refused
from xero.sandbox.accounting.ledger import Organisation
from xero.sandbox.accounting.messages import Change, Request, Response
from xero.sandbox.accounting.reading import Page, read_list, read_one, unitdp
from xero.sandbox.accounting.render import Renderer
from xero.sandbox.accounting.resources import ELSEWHERE, RESOURCES, Resource
from xero.sandbox.accounting.wire import JSON_TYPE, dump, instant_on_wire, naive_utc, to_ms
from xero.sandbox.accounting.work import Work
from xero.sandbox.accounting.writing import Outcome, echo, elements, lenient, unmade, write
from xero.sandbox.storage import Storage

MANY = 100_000  # tracked objects; some 10,000 invoices
PROVIDER = "TaskJuice sandbox"
WARNING = "The account code of a line is not known and was taken off."
_XML_WANTED = ("text/xml", "application/xml")


@contextmanager
def many_objects() -> Iterator[None]:
    """Millions of objects come to stay: the cycle collector need not walk them while they come, nor
    ever again.
    """
    gc.disable()
    try:
        yield
    finally:
        if gc.get_count()[0] > MANY:
            gc.freeze()
        gc.enable()


class Books:
    """All ledgers. `clock` returns the time, with or without a zone (then UTC); `new_id` makes ids
    of new records.
    """

    def __init__(
        self, storage: Storage, clock: Callable[[], datetime], new_id: Callable[[], UUID] = uuid4
    ) -> None:
        self.storage = storage
        self._clock = clock
        self._new_id = new_id
        self._organisations: dict[str, Organisation] = {}
        with many_objects():
            for id, document in storage.load("organisation").items():
                self._organisations[id] = Organisation(document, storage)

    @property
    def organisations(self) -> Mapping[str, Organisation]:
        """Return the organisations by tenant id, in the order in which they were seeded."""
        return MappingProxyType(self._organisations)

    @property
    def now(self) -> datetime:
        return naive_utc(self._clock())

    def add(self, organisation: Organisation) -> None:
        """Add an organisation with everything that its ledger already holds."""
        self.storage.save("organisation", organisation.tenant_id, organisation.document)
        self._organisations[organisation.tenant_id] = organisation

    def change(self, tenant_id: str, **fields: Any) -> None:
        """Change settings of an organisation, as an administrator does."""
        organisation = self._organisations[tenant_id]
        organisation.document |= fields
        self.storage.save("organisation", tenant_id, organisation.document)

    def work(self, tenant_id: str, actor: str) -> Work:
        """Start a change for which Xero's API has no request. The caller commits it."""
        return Work(self._organisations[tenant_id], self.now, actor, self._new_id)

    def seed(self, *, organisations: int = 3, invoices: int | None = None, seed: int = 1) -> None:
        """Add what is missing.

        `invoices` is the number of invoices and bills of each organisation (None: 300).

        The same seed on the same day makes the same books, ids included.
        """
        with many_objects():
            seeds.fill(self, organisations, invoices, seed)

    def handle(self, tenant_id: str, user_actor: str, request: Request) -> Response:
        """Answer a request that passed authentication, scope and limits.

        `user_actor` is the writer, on which createdByMyApp depends.
        """
        organisation = self._organisations.get(tenant_id)
        if organisation is None:
            return _refusal(request, NotFound())
        try:
            return _Call(organisation, user_actor, request, self.now, self._new_id).answer()
        except Refused as refusal:
            return _answer(request, refusal.status, dump(refusal.body()))
        except PlainRefusal as refusal:
            return _refusal(request, refusal)


class _Call:
    def __init__(
        self,
        organisation: Organisation,
        actor: str,
        request: Request,
        now: datetime,
        new_id: Callable[[], UUID],
    ) -> None:
        self.organisation = organisation
        self.actor = actor
        self.request = request
        self.oddity = request.oddity
        self.now = now
        self.new_id = new_id
        self.query = {name.lower(): value for name, value in request.query.items()}
        self.renderer = Renderer(organisation, now.date().isoformat())

    def answer(self) -> Response:
        parts = [part for part in self.request.path.split("/") if part]
        if not parts:
            raise NotFound
        name = parts[0].lower()
        resource = RESOURCES.get(name)
        if resource is not None:
            return self._resource(resource, parts[1:])
        if name in {"organisation", "organisations", "taxrates"}:
            return self._settings(name, parts[1:])
        if name in ELSEWHERE:
            raise NotImplementedHere("The Api Method called is not implemented.")
        raise NotFound

    def _resource(self, resource: Resource, rest: Sequence[str]) -> Response:
        if len(rest) > 1:  # history, attachments, e-mail, pdf …
            raise NotImplementedHere("The Api Method called is not implemented.")
        method = self.request.method.upper()
        if method in {"GET", "HEAD"}:
            return self._read(resource, rest[0] if rest else None)
        if method not in {"PUT", "POST"} or (method == "PUT" and rest):
            raise _not_allowed(method)
        if not resource.writable:
            raise NotImplementedHere("The Api Method called is not implemented.")
        return self._write(resource, self._id(resource, rest[0]) if rest else None)

    def _read(self, resource: Resource, name: str | None) -> Response:
        if name is not None:
            page = read_one(self.organisation, self.renderer, resource, name, self.query)
        else:
            page = read_list(
                self.organisation, self.renderer, resource, self.request, self.query, self.actor
            )
        return self._listed(resource.plural, page)

    def _id(self, resource: Resource, name: str) -> str:
        documents = self.organisation.documents(resource.kind)
        if name.lower() in documents:
            return name.lower()
        named = (
            self.organisation.ids_with(resource.kind, resource.key, name) if resource.key else set()
        )
        if not named:
            raise NotFound
        return max(named, key=lambda id: documents[id]["UpdatedDateUTC"])

    def _write(self, resource: Resource, id: str | None) -> Response:
        if self.oddity == "answer_unmade":
            given = elements(resource, self.request)
            return self._listed(
                resource.plural, Page([dump(unmade(resource, one)) for one in given])
            )
        work = Work(self.organisation, self.now, self.actor, self.new_id)
        outcomes = write(work, resource, self.request, self.query, id)
        refused = [outcome for outcome in outcomes if outcome.messages]
        if refused and not lenient(self.query):
            body = {
                "ErrorNumber": 10,
                "Type": "ValidationException",
                "Message": "A validation exception occurred",
            }
            return _answer(
                self.request,
                400,
                dump(body | {"Elements": [self._echo(resource, one) for one in refused]}),
            )
        changes = work.commit()
        bodies = [self._written(resource, outcome) for outcome in outcomes]
        return self._listed(resource.plural, Page(bodies), changes)

    def _written(self, resource: Resource, outcome: Outcome) -> bytes:
        if outcome.messages:
            return dump(self._echo(resource, outcome) | {"StatusAttributeString": "ERROR"})
        if not lenient(self.query) and not self.oddity:
            return self.renderer.json(resource.kind, outcome.id, "one", unitdp(self.query))
        documents = self.organisation.documents(resource.kind)
        mixed_up = self.oddity == "answer_mixed_up"
        id = next(other for other in documents if other != outcome.id) if mixed_up else outcome.id
        document = self.renderer.document(resource.kind, id, "one", unitdp(self.query))
        if self.oddity == "answer_warned":
            return dump(
                document | {"StatusAttributeString": "WARNING", "Warnings": [{"Message": WARNING}]}
            )
        return dump(document | {"StatusAttributeString": "OK"})

    def _echo(self, resource: Resource, outcome: Outcome) -> dict[str, Any]:
        return echo(resource, outcome, inside=self.oddity == "answer_reasons_inside")

    def _settings(self, name: str, rest: Sequence[str]) -> Response:
        if rest or self.request.method.upper() not in {"GET", "HEAD"}:
            raise NotImplementedHere("The Api Method called is not implemented.")
        if name == "taxrates":
            rates = sorted(
                self.organisation.documents("tax_rate").values(), key=lambda rate: str(rate["Name"])
            )
            return self._listed("TaxRates", Page([dump(rate) for rate in rates]))
        return self._listed("Organisations", Page([dump(self.organisation.document)]))

    def _listed(self, plural: str, page: Page, changes: tuple[Change, ...] = ()) -> Response:
        envelope: dict[str, Any] = {
            "Id": str(self.new_id()),
            "Status": "OK",
            "ProviderName": PROVIDER,
            "DateTimeUTC": instant_on_wire(to_ms(self.now)),
        }
        if page.pagination is not None:
            envelope["pagination"] = page.pagination
        if self.oddity == "answer_unlisted":
            return _answer(self.request, 200, dump(envelope), changes)
        head = dump(envelope)[:-1] + f',"{plural}":['.encode()
        return _answer(self.request, 200, head + b",".join(page.bodies) + b"]}", changes)


def _answer(
    request: Request, status: int, body: bytes, changes: tuple[Change, ...] = ()
) -> Response:
    """Build an answer in JSON if the request accepts it, else in XML, as Xero does."""
    accept = "" if request.oddity == "answer_xml" else request.headers.get("accept", "").lower()
    if "json" in accept and not any(accept.startswith(wanted) for wanted in _XML_WANTED):
        return Response(status, {"content-type": JSON_TYPE}, body, changes)
    written = xml.answer(body) if status == 200 else xml.error(body, _singular(request))
    return Response(status, {"content-type": xml.XML_TYPE}, written, changes)


def _singular(request: Request) -> str:
    resource = RESOURCES.get(request.path.strip("/").split("/")[0].lower())
    return resource.singular if resource else ""


def _refusal(request: Request, refusal: PlainRefusal) -> Response:
    return Response(refusal.status, {"content-type": refusal.content_type}, refusal.text)


def _not_allowed(method: str) -> PlainRefusal:
    return PlainRefusal(405, f"The requested resource does not support the method {method[:20]}")
