"""The actions that approve and void: they change the status of an invoice or bill and nothing else.

Only pages use them, no steps. Both are safe to repeat, and the status shows whether one was done.
"""

from collections.abc import Sequence
from typing import ClassVar
from uuid import UUID

from connections.integrations import ActionContext, Data, Failed, Outcome
from connections.models import Call, Connection
from connections.writes.writers import Found, RecordMade, Undecided, WriteDraft
from xero.actions import samples
from xero.actions.base import IDS_A_CALL, connection_of, split_chunks
from xero.actions.invoices import InvoiceWriter
from xero.actions.lock_dates import refuse_locked
from xero.actions.writing import WriteAction, field_agrees
from xero.api import scopes
from xero.fields import IdField
from xero.forms import StepForm
from xero.records.documents import parse_invoice
from xero.records.fields import read_day, read_objects_by_id


class InvoiceIdForm(StepForm):
    invoice_id = IdField(label="Invoice or bill", help_text="Its ID at Xero.")


class StatusWriter(InvoiceWriter):
    """The base of writers that change a status.

    `moves`: the status to write, by the document's present one.
    """

    method = "POST"  # an update: each element names its InvoiceID, so nothing can be created
    participle: ClassVar[str]
    moves: ClassVar[dict[str, str]]

    def drafts(
        self, calls: Sequence[ActionContext], rows: Sequence[Data], ids: Sequence[UUID]
    ) -> list[WriteDraft | Outcome]:
        connection = connection_of(calls[0])
        invoices = self._read_documents(
            connection, [row["invoice_id"] for row in rows], calls[0].user is not None
        )
        drafts = [
            self._build_change(connection, invoices.get(row["invoice_id"]), id)
            for row, id in zip(rows, ids, strict=True)
        ]
        dated = [read_day(invoices.get(row["invoice_id"], {}), "Date") for row in rows]
        return refuse_locked(self.client(connection, calls[0].user is not None), drafts, dated)

    def is_about(self, sent: Data, record: Data) -> bool:
        return all(field_agrees(record, name, sent[name]) for name in ("InvoiceID", "Status"))

    def look_up(
        self, connection: Connection, calls: Sequence[Call], *, by_person: bool
    ) -> dict[UUID, Found]:
        invoices = self._read_documents(
            connection, [UUID(call.body["InvoiceID"]) for call in calls], by_person
        )
        return {
            call.pk: self._judge_document(invoices.get(UUID(call.body["InvoiceID"])))
            for call in calls
        }

    def find(self, call: Call, named: str, *, by_person: bool) -> RecordMade | None:
        """Return the call's own document; `named` is ignored, since no other can be meant."""
        id = UUID(call.body["InvoiceID"])
        finding = self._judge_document(
            self._read_documents(call.connection, [id], by_person).get(id)
        )
        return finding if isinstance(finding, RecordMade) else None

    def _judge_document(self, invoice: Data | None) -> Found:
        if invoice is None:
            return Undecided("The document is not in Xero any more.")
        return None if parse_invoice(invoice).status in self.moves else self.made(invoice)

    def _build_change(
        self, connection: Connection, invoice: Data | None, id: UUID
    ) -> WriteDraft | Outcome:
        if invoice is None:
            return Failed("not-found", f"{connection.name} has no such document.", status=200)
        document = parse_invoice(invoice)
        status = self.moves.get(document.status)
        if status is None:
            present = document.status.lower() or "of no status"
            text = f"A document that is {present} cannot be {self.participle}."
            return Failed("invalid", text, status=200)
        body = {"InvoiceID": str(document.xero_id), "Status": status}
        name = document.name or "a bill"
        return WriteDraft(
            id, f"{self.participle.capitalize()}: {name}", body, target=document.xero_id
        )

    def _read_documents(
        self, connection: Connection, ids: Sequence[UUID], by_person: bool
    ) -> dict[UUID, Data]:
        client = self.client(connection, by_person)
        documents: dict[UUID, Data] = {}
        for chunk in split_chunks(list(dict.fromkeys(ids)), IDS_A_CALL):
            params: dict[str, str | int] = {
                "IDs": ",".join(map(str, chunk)),
                "page": 1,
                "unitdp": 4,
            }
            answer = client.get("/Invoices", params={**params, "includeArchived": "true"})
            documents |= read_objects_by_id(answer, "Invoices", "InvoiceID")
        return documents


class ApproveWriter(StatusWriter):
    action = "xero/approve-invoice"
    verb = "invoice approved"
    participle = "approved"
    moves: ClassVar[dict[str, str]] = {"DRAFT": "AUTHORISED", "SUBMITTED": "AUTHORISED"}


class VoidWriter(StatusWriter):
    """The writer that voids approved documents and deletes those that were never approved."""

    action = "xero/void-invoice"
    verb = "invoice voided"
    participle = "voided"
    moves: ClassVar[dict[str, str]] = {
        "DRAFT": "DELETED",
        "SUBMITTED": "DELETED",
        "AUTHORISED": "VOIDED",
    }


class ApproveInvoice(WriteAction):
    key = "xero/approve-invoice"
    title = "Approve an invoice or bill"
    description = "Approves a draft, or what awaits approval."
    form = InvoiceIdForm
    scopes = scopes.WRITE_INVOICES
    sample = samples.INVOICE
    writer = ApproveWriter()


class VoidInvoice(WriteAction):
    key = "xero/void-invoice"
    title = "Void an invoice or bill"
    description = "Voids what was approved and has no payments; deletes a draft."
    form = InvoiceIdForm
    scopes = scopes.WRITE_INVOICES
    sample = samples.INVOICE
    writer = VoidWriter()
