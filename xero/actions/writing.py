"""What Xero's writes share: PUT, which only creates, in batches whose elements are judged each by itself.

A writer of changes sets `method = "POST"` and `most = 1`, and its drafts name the record's `path`.
"""

from collections.abc import Sequence
from typing import Any, ClassVar
from uuid import UUID, uuid4

from connections import errors, journal
from connections.integrations import Call, Data, Done, Outcome, Preview, outcome_of
from connections.models import Connection, Sending
from connections.writers import Draft, Made, Refused, Writer
from xero import wire
from xero.actions.base import XeroAction, purpose
from xero.client import Client, client_for

ELEMENTS_A_CALL = 50  # Xero's own advice for batches


class XeroWriter(Writer):
    """`envelope` is the plural under which Xero takes and lists the records: Invoices."""

    params = {"summarizeErrors": "false"}
    most = ELEMENTS_A_CALL
    key_seconds = 300.0  # Xero remembers a key for six minutes; a resend must arrive well before
    envelope: ClassVar[str]

    def encode(self, bodies: Sequence[Data]) -> bytes:
        return wire.encode({self.envelope: list(bodies)})

    def send(self, sending: Sending, *, by_person: bool) -> list[Made | Refused]:
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
            # 409: the first request with this key is still being carried out. Neither says what became of that.
            if error.status == 409 or "Idempotency Key" in str(error):
                raise errors.UnknownOutcome(str(error), status=error.status) from error
            raise
        elements = answer.get(self.envelope)
        if not isinstance(elements, list) or len(elements) != len(wire.decode(body)[self.envelope]):
            raise errors.UnknownOutcome(f"Xero's answer does not list the {self.envelope.lower()} sent.")
        return [self.verdict(element) for element in elements]

    def verdict(self, element: Data) -> Made | Refused:
        messages = _messages(element)
        if messages or element.get("StatusAttributeString") == "ERROR":
            return Refused(messages or ["Xero refused this without saying why."], element)
        return self.made(element)

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

    def run(self, call: Call, data: Data) -> Data:
        outcome = self.outcome(call, data)
        if isinstance(outcome, Done):
            return dict(outcome.output)
        raise errors.ProviderError(str(outcome))

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
        return journal.write(self.writer, calls, rows)


def _messages(element: Any) -> list[str]:
    """Xero's words about this element, about its lines and its contact too; each once."""
    found: list[str] = []
    if isinstance(element, dict):
        found = [
            str(error["Message"])
            for error in element.get("ValidationErrors") or []
            if isinstance(error, dict) and error.get("Message")
        ]
        inner = [*(element.get("LineItems") or []), element.get("Contact")]
        found += [message for part in inner for message in _messages(part)]
    return list(dict.fromkeys(found))


def as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
