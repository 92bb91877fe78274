"""What Xero's writes share: PUT, which only creates, in batches whose elements are judged each by
itself.

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
from connections.integrations import Call, Data, Done, Outcome, Preview, outcome_of
from connections.models import Connection, Sending
from connections.writes import journal
from connections.writes.writers import Draft, Made, Refused, Undecided, Verdict, Writer
from taskjuice.queue.commits import commit_without_waiting
from xero.actions.base import XeroAction, connection_of, purpose
from xero.api import answers
from xero.api.client import Client, client_for
from xero.records import wire
from xero.records.fields import Body, read_text, read_uuid
from xero.sync import upsert

logger = logging.getLogger(__name__)

ELEMENTS_A_CALL = 50  # Xero's own advice for batches
LONGEST_FIELD = 4000
WITHOUT_REASON = "Xero refused this without saying why."


class XeroWriter(Writer):
    """`envelope` is the plural under which Xero takes and lists the records: Invoices."""

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
        """Judge one element of an answer. It is believed where it names a record, and that is the
        one asked for.
        """
        if not isinstance(element, dict):
            return Undecided("Xero's answer is no record.")
        reasons, is_refused = answers.read_reasons(element), answers.is_refused(element)
        is_accepted = answers.is_accepted(element) and not is_refused
        named = read_uuid(element, answers.ID_FIELDS[self.envelope]) is not None
        if (reasons or is_refused) and not (is_accepted and named):
            return Refused(reasons or [WITHOUT_REASON], element)
        if not named:
            return Undecided("Xero's answer does not name what it made.")
        if not self.is_about(sent, element):
            return Undecided("Xero's answer is about something else than was asked.")
        warnings = answers.read_warnings(element) + reasons
        return replace(self.made(element), warnings=warnings, changed_at=_changed_at(element))

    def is_about(self, sent: Data, record: Data) -> bool:
        """Whether what Xero's record says of itself is what was asked. What it leaves out says
        nothing.
        """
        raise NotImplementedError

    def made(self, record: Data) -> Made:
        """What Xero's own record says."""
        raise NotImplementedError

    def client(self, connection: Connection, by_person: bool) -> Client:
        return client_for(connection, purpose=purpose(by_person))


class WriteAction(XeroAction):
    """An action that goes through the journal. For a page, give the call its form's `form_key`."""

    writes = True
    effects = True
    writer: ClassVar[XeroWriter]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.together = cls.writer.most

    def read_key(self, data: Data) -> str | None:
        return None

    def run(self, call: Call, data: Data) -> Data:
        outcome = self.outcome(call, data)
        if isinstance(outcome, Done):
            return dict(outcome.output)
        raise errors.ProviderError(str(outcome))

    def warnings(self, output: Any) -> list[str]:
        """Of one record, or of those that a step wrote for each element of a list."""
        return answers.read_warnings(output)

    def preview(self, call: Call, data: Data) -> Preview | Outcome | None:
        if refusal := self.refusal(call):
            return refusal
        try:
            (draft,) = self.writer.drafts([call], [data], [uuid4()])
        except errors.ProviderError as error:
            return outcome_of(error)
        if not isinstance(draft, Draft):
            return draft
        head = f"{self.writer.method} {draft.path or self.writer.path}"
        return Preview(head, wire.decode(self.writer.encode([draft.body])))

    def run_allowed(self, calls: Sequence[Call], rows: Sequence[Data]) -> list[Outcome]:
        outcomes = journal.write(self.writer, calls, rows)
        if self.writer.kind:
            self._keep(connection_of(calls[0]), outcomes)
        return outcomes

    def _keep(self, connection: Connection, outcomes: Sequence[Outcome]) -> None:
        """Take what a write made of a record into the local copy, before anybody else's change of
        it is read.

        So the change that is ours and the change that is theirs are told apart, also where they
        come close together.
        """
        records = [outcome.output for outcome in outcomes if isinstance(outcome, Done)]
        if not records:
            return
        try:
            with transaction.atomic():
                commit_without_waiting()
                upsert.take_in(connection, self.writer.kind, records)
        except OperationalError:  # the write is done and noted; the sync will read the record
            logger.exception("connection %s: what a step wrote was not kept", connection.pk)


def agrees(record: Body, name: str, wanted: Any) -> bool:
    """Whether a field of the record is as wanted, in any case of letters, or not there at all."""
    value = read_text(record, name, LONGEST_FIELD).strip().lower()
    return value in ("", str(wanted).strip().lower())


def _changed_at(element: Data) -> datetime | None:
    """When Xero says that it did this; None where it does not say so legibly."""
    try:
        return wire.instant(str(element.get("UpdatedDateUTC")))
    except ValueError:
        return None


def as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
