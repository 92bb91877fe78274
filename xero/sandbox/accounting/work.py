"""The changes of one request: visible to it at once, stored all or none, undone per element where
Xero allows it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from xero.sandbox.accounting.ledger import ID_FIELDS, Document, Organisation, keys_of, serial
from xero.sandbox.accounting.messages import Change
from xero.sandbox.accounting.wire import to_ms

BY_HAND = "person in Xero"  # who writes: no app, so createdByMyApp does not find it
_CATEGORIES = {"invoice": "INVOICE", "contact": "CONTACT"}


@dataclass
class Work:
    organisation: Organisation
    now: datetime  # UTC, naive, to the millisecond
    actor: str
    new_id: Callable[[], UUID]
    changed: dict[str, dict[str, Document]] = field(default_factory=dict)
    changes: dict[str, Change] = field(default_factory=dict)
    highest_number: int = -1

    def __post_init__(self) -> None:
        self.highest_number = max(self.highest_number, self.organisation.highest_number)

    @property
    def now_ms(self) -> int:
        return to_ms(self.now)

    @property
    def today(self) -> str:
        return self.now.date().isoformat()

    def find(self, kind: str, id: str | None) -> Document | None:
        if id is None:
            return None
        return self.changed.get(kind, {}).get(id) or self.organisation.documents(kind).get(id)

    def get(self, kind: str, id: str) -> Document:
        document = self.find(kind, id)
        if document is None:
            raise KeyError(id)
        return document

    def all_with(self, kind: str, key: str, value: str) -> list[Document]:
        """Return the documents whose indexed field `key` is `value`, by id, with the changes of
        this request.
        """
        ids = set(self.organisation.ids_with(kind, key, value))
        touched = self.changed.get(kind, {})
        ids -= touched.keys()
        ids |= {
            id
            for id, document in touched.items()
            if (key, value.lower()) in keys_of(kind, document)
        }
        return [self.get(kind, id) for id in sorted(ids)]

    def put(self, kind: str, document: Document, change: str | None) -> Document:
        """Store a document. `change` is CREATE, UPDATE, or None if no webhook reports it."""
        id = document[ID_FIELDS[kind]]
        self.changed.setdefault(kind, {})[id] = document
        if kind == "invoice":
            self.highest_number = max(self.highest_number, serial(document["InvoiceNumber"]))
        if change is not None and id not in self.changes:
            self.changes[id] = Change(_CATEGORIES[kind], change, id, self.now)
        return document

    def checkpoint(self) -> "Work":
        return replace(
            self,
            changed={kind: dict(documents) for kind, documents in self.changed.items()},
            changes=dict(self.changes),
        )

    def back_to(self, checkpoint: "Work") -> None:
        self.changed, self.changes = checkpoint.changed, checkpoint.changes
        self.highest_number = checkpoint.highest_number

    def commit(self) -> tuple[Change, ...]:
        self.organisation.apply(self.changed)
        return tuple(self.changes.values())
