"""The ledger of one organisation in memory, indexed for the look-ups that the API offers.

Documents are never changed in place: a change is a new dict handed to `apply`. They carry Xero's
field names, with three differences: dates are "2026-03-31", UpdatedDateUTC is whole milliseconds,
and other documents are named by id alone (ContactID, InvoiceID, AccountID). `handle` answers in
Xero's own JSON.
"""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from xero.sandbox.storage import Storage

Document = dict[str, Any]
ID_FIELDS = {
    "invoice": "InvoiceID",
    "contact": "ContactID",
    "payment": "PaymentID",
    "account": "AccountID",
    "item": "ItemID",
    "tax_rate": "TaxType",
    "tracking": "TrackingCategoryID",
}
# What documents stored by an earlier sandbox do not have.
_LATER_FIELDS: dict[str, Document] = {"tracking": {"Status": "ACTIVE", "UpdatedDateUTC": 0}}
CACHE_LIMIT = 50_000
NUMBER_PREFIX = "INV-"


class Timeline:
    """Ids in Xero's default order: by UpdatedDateUTC, then by id."""

    def __init__(self) -> None:
        self._entries: list[tuple[int, str]] = []

    def fill(self, documents: Mapping[str, Document]) -> None:
        self._entries = sorted(
            (document["UpdatedDateUTC"], id) for id, document in documents.items()
        )

    def add(self, at: int, id: str) -> None:
        insort(self._entries, (at, id))

    def remove(self, at: int, id: str) -> None:
        del self._entries[bisect_left(self._entries, (at, id))]

    def count(self, since: int | None) -> int:
        return len(self._entries) - self._start(since)

    def ids(self, since: int | None, offset: int = 0, limit: int | None = None) -> list[str]:
        """Return the ids of what was updated at or after `since` (ms)."""
        start = self._start(since) + offset
        return [id for _, id in self._entries[start : None if limit is None else start + limit]]

    def _start(self, since: int | None) -> int:
        return 0 if since is None else bisect_left(self._entries, (since, ""))


class Organisation:
    """An organisation and its ledger.

    `document` is Xero's Organisation JSON; invoices, contacts, payments, accounts and items are
    dicts by id.
    """

    def __init__(self, document: Document, storage: Storage) -> None:
        self.document = document
        self._storage = storage
        self._kinds: dict[str, dict[str, Document]] = {}
        dated = ("invoice", "contact", "payment", "account", "item", "tracking")
        self.timelines = {kind: Timeline() for kind in dated}
        self._by_key: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        self._bytes: dict[str, dict[str, bytes]] = {}
        self.highest_number = 0
        for kind in ID_FIELDS:
            stored = storage.load(self._kind_in_storage(kind))
            lacks = _LATER_FIELDS.get(kind, {})
            self._fill(
                kind, {id: lacks | document for id, document in stored.items()} if lacks else stored
            )

    @property
    def tenant_id(self) -> str:
        return str(self.document["OrganisationID"])

    @property
    def name(self) -> str:
        return str(self.document["Name"])

    @property
    def base_currency(self) -> str:
        return str(self.document["BaseCurrency"])

    @property
    def invoices(self) -> Mapping[str, Document]:
        return self._kinds["invoice"]

    @property
    def contacts(self) -> Mapping[str, Document]:
        return self._kinds["contact"]

    @property
    def payments(self) -> Mapping[str, Document]:
        return self._kinds["payment"]

    @property
    def accounts(self) -> Mapping[str, Document]:
        return self._kinds["account"]

    @property
    def items(self) -> Mapping[str, Document]:
        return self._kinds["item"]

    def documents(self, kind: str) -> Mapping[str, Document]:
        return self._kinds[kind]

    def ids_with(self, kind: str, field: str, value: str) -> set[str]:
        """Return the ids of documents whose indexed `field` is `value`, regardless of case."""
        return self._by_key[f"{kind}.{field}"].get(value.lower(), set())

    def apply(self, changed: Mapping[str, Mapping[str, Document]]) -> None:
        """Store new and changed documents by kind and id, durably, before they can be read."""
        stored = {
            self._kind_in_storage(kind): documents
            for kind, documents in changed.items()
            if documents
        }
        if stored:
            self._storage.save_kinds(stored)
        for kind, documents in changed.items():
            for id, document in documents.items():
                self._put(kind, id, document)

    def seed(self, kind: str, documents: Mapping[str, Document]) -> None:
        """Store many documents at once, and rebuild the indexes."""
        self._storage.save_many(self._kind_in_storage(kind), documents)
        self._fill(kind, {**self._kinds[kind], **documents})

    def cached(self, id: str, view: str) -> bytes | None:
        return self._bytes.get(id, {}).get(view)

    def remember(self, id: str, view: str, body: bytes) -> None:
        if len(self._bytes) >= CACHE_LIMIT:
            self._bytes.clear()
        self._bytes.setdefault(id, {})[view] = body

    def forget_bytes(self) -> None:
        self._bytes.clear()

    def _kind_in_storage(self, kind: str) -> str:
        return f"{kind}:{self.tenant_id}"

    def _fill(self, kind: str, documents: dict[str, Document]) -> None:
        self._kinds[kind] = documents
        for name in [name for name in self._by_key if name.startswith(f"{kind}.")]:
            del self._by_key[name]
        for id, document in documents.items():
            self._index(kind, id, document)
        if kind in self.timelines:
            self.timelines[kind].fill(documents)

    def _put(self, kind: str, id: str, document: Document) -> None:
        before = self._kinds[kind].get(id)
        if before is not None:
            self._unindex(kind, id, before)
        self._kinds[kind][id] = document
        self._index(kind, id, document)
        if kind in self.timelines:
            if before is not None:
                self.timelines[kind].remove(before["UpdatedDateUTC"], id)
            self.timelines[kind].add(document["UpdatedDateUTC"], id)
        for shown in (document, before or document):
            for stale in self._stale(kind, id, shown):
                self._bytes.pop(stale, None)

    def _stale(self, kind: str, id: str, document: Document) -> Iterable[str]:
        """Return the ids of all documents whose JSON shows a part of this document."""
        yield id
        if kind == "contact":
            yield from self.ids_with("payment", "ContactID", id)
            for invoice_id in self.ids_with("invoice", "ContactID", id):
                yield invoice_id
                yield from self.ids_with("payment", "InvoiceID", invoice_id)
        if kind == "invoice":
            yield document["ContactID"]
            yield from self.ids_with("payment", "InvoiceID", id)
        if kind == "payment" and "InvoiceID" in document:
            yield document["InvoiceID"]

    def _index(self, kind: str, id: str, document: Document) -> None:
        for name, value in keys_of(kind, document):
            self._by_key[f"{kind}.{name}"][value].add(id)
        if kind == "invoice":
            self.highest_number = max(self.highest_number, serial(document["InvoiceNumber"]))

    def _unindex(self, kind: str, id: str, document: Document) -> None:
        for name, value in keys_of(kind, document):
            self._by_key[f"{kind}.{name}"][value].discard(id)


_INDEXED = {
    "invoice": ("ContactID", "InvoiceNumber"),
    "contact": ("Name", "ContactNumber"),
    "payment": ("InvoiceID", "ContactID"),
    "account": ("Code",),
    "item": ("Code",),
    "tax_rate": (),
    "tracking": ("Name",),
}


def keys_of(kind: str, document: Document) -> Iterable[tuple[str, str]]:
    """Return (field, lower-case value) of everything that `ids_with` can look up."""
    return [(field, document[field].lower()) for field in _INDEXED[kind] if document.get(field)]


def serial(number: str) -> int:
    """Return the n of "INV-000n", or 0."""
    prefix, digits = number[: len(NUMBER_PREFIX)], number[len(NUMBER_PREFIX) :]
    return (
        int(digits)
        if prefix.upper() == NUMBER_PREFIX and digits.isascii() and digits.isdigit()
        else 0
    )


def rate_of(tax_rate: Document) -> Decimal:
    return Decimal(tax_rate["EffectiveRate"])
