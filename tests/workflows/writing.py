"""A made-up action that writes through the journal."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID, uuid4

from django import forms

from connections.integrations import Action, ActionContext, Data, Outcome
from connections.models import Call as JournalCall
from connections.models import Connection, Sending
from connections.writes import journal
from connections.writes.writers import Found, RecordMade, RecordRefused, Twin, WriteDraft, Writer
from taskjuice import exact_json


class PayForm(forms.Form):
    amount = forms.DecimalField(required=False)
    currency = forms.CharField(required=False)
    reference = forms.CharField(required=False)


class PayWriter(Writer):
    """A writer with references that the provider has (`there`) or refuses (`refuses`)."""

    action = "test/pay"
    verb = "test paid"
    path = "/Pay"
    most = 50
    key_seconds = 300.0
    there: ClassVar[set[str]] = set()
    refuses: ClassVar[set[str]] = set()
    written: ClassVar[list[Any]] = []

    def drafts(
        self, calls: Sequence[ActionContext], rows: Sequence[Data], ids: Sequence[UUID]
    ) -> list[WriteDraft | Outcome]:
        return [self._draft(row, id) for row, id in zip(rows, ids, strict=True)]

    def _draft(self, row: Data, id: UUID) -> WriteDraft:
        twin = (
            Twin("It is there already.", {"found": row["reference"]})
            if row["reference"] in self.there
            else None
        )
        body = {"amount": row["amount"], "reference": row["reference"]}
        return WriteDraft(
            id, "Payment", body, amount=row["amount"], currency=row["currency"], twin=twin
        )

    def encode(self, bodies: Sequence[Data]) -> bytes:
        return exact_json.dumps(list(bodies)).encode()

    def send(self, sending: Sending, *, by_person: bool) -> list[RecordMade | RecordRefused]:
        return [self._verdict(body) for body in exact_json.loads(bytes(sending.body))]

    def _verdict(self, body: Data) -> RecordMade | RecordRefused:
        if body["reference"] in self.refuses:
            return RecordRefused(["No."])
        self.written.append(body["amount"])
        return RecordMade(uuid4(), "paid", {"paid": body["amount"]})

    def look_up(
        self, connection: Connection, calls: Sequence[JournalCall], *, by_person: bool
    ) -> dict[UUID, Found]:
        return {}


class Pay(Action):
    key = "test/pay"
    title = "Pay"
    description = "Pays."
    form = PayForm
    writes = True
    effects = True
    amounts = True
    sample: ClassVar[Data] = {"paid": Decimal(1)}

    def run_many(self, calls: Sequence[ActionContext], rows: Sequence[Data]) -> list[Outcome]:
        return journal.write(PayWriter(), calls, rows)


def step(**guard: Any) -> Data:
    """Return a guarded step that pays the trigger's amount."""
    given = {name: f"{{{{ trigger.{name} }}}}" for name in ("amount", "currency", "reference")}
    return {"name": "pay", "action": Pay.key, "input": given, "guard": guard}
