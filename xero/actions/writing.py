"""The base of Xero's writes: PUT, which only creates, in batches whose elements are judged one by
one.

A writer of changes sets `method = "POST"` and `most = 1`, and its drafts name the record's `path`.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID, uuid4

from django.db import OperationalError, transaction

from connections import errors
from connections.integrations import ActionContext, Data, Done, Outcome, Preview, convert_error
from connections.models import Connection, Sending
from connections.writes import journal
from connections.writes.writers import (
    RecordMade,
    RecordRefused,
    Undecided,
    Verdict,
    WriteDraft,
    Writer,
)
from taskjuice.queue.commits import commit_without_waiting
from xero.actions.base import XeroAction, connection_of, purpose_of
from xero.api import answers
from xero.api.client import XeroClient, client_for
from xero.records import wire
from xero.records.fields import Body, read_text, read_uuid
from xero.sync import upsert

logger = logging.getLogger(__name__)

ELEMENTS_A_CALL = 50  # Xero's own advice for batches
LONGEST_FIELD = 4000
WITHOUT_REASON = "Xero refused this without saying why."


class XeroWriter(Writer):
    """A writer of records to Xero.

    `envelope` is the plural under which Xero takes and lists the records, such as Invoices.
    """

    params = {"summarizeErrors": "false"}
    most = ELEMENTS_A_CALL
    key_seconds = 300.0  # Xero remembers a key for six minutes; a resend must arrive well before
    envelope: ClassVar[str]
    kind: ClassVar[str] = ""  # of the local copy, where the answer is such a record, whole

    def encode(self, bodies: Sequence[Data]) -> bytes:
        return wire.encode({self.envelope: list(bodies)})

    def send(self, sending: Sending, *, by_person: bool) -> list[Verdict]:
        body = bytes(sending.body)
        try:
            client = self.client(sending.connection, by_person)
            send = client.put if sending.method == "PUT" else client.post
            answer = send(
                sending.path,
                body,
                idempotency_key=sending.idempotency_key,
                params=dict(
                    sorted(sending.params.items())
                ),  # the address counts as part of what the key stands for
            )
        except errors.Invalid as error:
            # 409: the first request with this key is still being carried out. Neither says what
            # became of that.
            if error.status == 409 or "Idempotency Key" in str(error):
                raise errors.UnknownOutcome(str(error), status=error.status) from error
            raise
        elements, sent = answer.get(self.envelope), wire.decode(body)[self.envelope]
        if not isinstance(elements, list) or len(elements) != len(sent):
            raise errors.UnknownOutcome(
                f"Xero's answer does not list the {self.envelope.lower()} sent."
            )
        return [self.verdict(body, element) for body, element in zip(sent, elements, strict=True)]

    def verdict(self, sent: Data, element: Any) -> Verdict:
        """Judge one element of an answer: it counts as done only if it names the record that was
        asked for.
        """
        if not isinstance(element, dict):
            return Undecided("Xero's answer is no record.")
        reasons, is_refused = answers.read_reasons(element), answers.is_refused(element)
        is_accepted = answers.is_accepted(element) and not is_refused
        named = read_uuid(element, answers.ID_FIELDS[self.envelope]) is not None
        if (reasons or is_refused) and not (is_accepted and named):
            return RecordRefused(reasons or [WITHOUT_REASON], element)
        if not named:
            return Undecided("Xero's answer does not name what it made.")
        if not self.is_about(sent, element):
            return Undecided("Xero's answer is about something else than was asked.")
        warnings = answers.read_warnings(element) + reasons
        return replace(self.made(element), warnings=warnings, changed_at=_changed_at(element))

    def is_about(self, sent: Data, record: Data) -> bool:
        """Return whether Xero's record matches what was sent. Fields that it leaves out are not
        compared.
        """
        raise NotImplementedError

    def made(self, record: Data) -> RecordMade:
        """Describe the record that Xero made."""
        raise NotImplementedError

    def client(self, connection: Connection, by_person: bool) -> XeroClient:
        return client_for(connection, purpose=purpose_of(by_person))


class WriteAction(XeroAction):
    """An action that writes through the journal.

    A page gives its call the `form_key` of its form.
    """

    writes = True
    effects = True
    writer: ClassVar[XeroWriter]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.together = cls.writer.most

    def read_key(self, data: Data) -> str | None:
        return None

    def run(self, call: ActionContext, data: Data) -> Data:
        outcome = self.outcome(call, data)
        if isinstance(outcome, Done):
            return dict(outcome.output)
        raise errors.ProviderError(str(outcome))

    def warnings(self, output: Any) -> list[str]:
        """Return Xero's warnings of one record, or of the records that a step wrote for a list."""
        return answers.read_warnings(output)

    def preview(self, call: ActionContext, data: Data) -> Preview | Outcome | None:
        if refusal := self.refusal(call):
            return refusal
        try:
            (draft,) = self.writer.drafts([call], [data], [uuid4()])
        except errors.ProviderError as error:
            return convert_error(error)
        if not isinstance(draft, WriteDraft):
            return draft
        head = f"{self.writer.method} {draft.path or self.writer.path}"
        return Preview(head, wire.decode(self.writer.encode([draft.body])))

    def run_allowed(self, calls: Sequence[ActionContext], rows: Sequence[Data]) -> list[Outcome]:
        outcomes = journal.write(self.writer, calls, rows)
        if self.writer.kind:
            self._store_in_local_copy(connection_of(calls[0]), outcomes)
        return outcomes

    def _store_in_local_copy(self, connection: Connection, outcomes: Sequence[Outcome]) -> None:
        """Store the written records in the local copy before somebody else's change of them is
        read.
        """
        # Stored at once, our change and somebody else's right after it stay two changes: the second
        # starts workflows, the first does not.
        records = [outcome.output for outcome in outcomes if isinstance(outcome, Done)]
        if not records:
            return
        try:
            with transaction.atomic():
                commit_without_waiting()
                upsert.store_records(connection, self.writer.kind, records)
        except OperationalError:  # the write is done and noted; the sync will read the record
            logger.exception("connection %s: what a step wrote was not kept", connection.pk)


def field_agrees(record: Body, name: str, wanted: Any) -> bool:
    """Return whether a field of the record has this value, ignoring case, or is absent."""
    value = read_text(record, name, LONGEST_FIELD).strip().lower()
    return value in ("", str(wanted).strip().lower())


def _changed_at(element: Data) -> datetime | None:
    """Return when Xero made the change; None where it gives no readable time."""
    try:
        return wire.parse_instant(str(element.get("UpdatedDateUTC")))
    except ValueError:
        return None


def parse_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
