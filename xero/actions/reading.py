"""The actions that read lists and single records.

Their outputs are Xero's own records, with exact amounts.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from django.db import OperationalError, transaction

from connections import errors, organisation_time
from connections.integrations import ActionContext, Cost, Data, Done, Failed, Outcome, convert_error
from connections.models import Connection
from taskjuice.queue import clock
from taskjuice.queue.commits import commit_without_waiting
from xero import days, read_forms
from xero.actions import samples
from xero.actions.base import (
    IDS_A_CALL,
    XeroAction,
    client_of,
    connection_of,
    quote_text,
    split_chunks,
    without_empty,
)
from xero.api import scopes
from xero.api.client import Params
from xero.records.documents import parse_invoice
from xero.records.fields import Body, read_count, read_object, read_objects, read_objects_by_id
from xero.records.master_data import (
    AccountRecord,
    ItemRecord,
    parse_account,
    parse_contact,
    parse_item,
)
from xero.sync import upsert
from xero.sync.mapping import CONTACTS, INVOICES, KINDS, RecordKind

logger = logging.getLogger(__name__)

XeroRecord = dict[str, Any]


class LookUp(XeroAction):
    """The base of actions that read single records by their IDs, one call per 40 IDs of a wave.

    `field` holds the ID in the form, `id_name` in Xero's record; `word` is the name people use.
    """

    field: ClassVar[str]
    kind: ClassVar[RecordKind]
    id_name: ClassVar[str]
    word: ClassVar[str]
    params: ClassVar[Params] = {}
    cost = Cost(Decimal(1), Decimal(1) / IDS_A_CALL)
    together = IDS_A_CALL

    def read_key(self, data: Data) -> str | None:
        return str(data[self.field])

    def subject(self, record: XeroRecord) -> str:
        """Return the name of the record in lists of activations."""
        raise NotImplementedError

    def run(self, call: ActionContext, data: Data) -> Data:
        outcome = self.outcome(call, data)
        if isinstance(outcome, Done):
            return dict(outcome.output)
        raise errors.ProviderError(str(outcome))

    def run_allowed(self, calls: Sequence[ActionContext], rows: Sequence[Data]) -> list[Outcome]:
        outcomes: dict[UUID, Outcome] = {}
        ids = list(dict.fromkeys(row[self.field] for row in rows))
        for chunk in split_chunks(ids, IDS_A_CALL):
            try:
                outcomes.update(self._read(calls[0], chunk))
            except errors.ProviderError as error:
                outcomes.update((id, convert_error(error)) for id in ids if id not in outcomes)
                break
        return [outcomes[row[self.field]] for row in rows]

    def _read(self, call: ActionContext, ids: Sequence[UUID]) -> dict[UUID, Outcome]:
        """Read up to 40 records with one call; those that Xero leaves out do not exist."""
        params: Params = {
            "IDs": ",".join(map(str, ids)),
            "page": 1,  # only with a page number does Xero send whole records
            "includeArchived": "true",
            **self.params,
        }
        began = clock.now()
        answer = client_of(call).get(self.kind.path, params=params)
        records = read_objects_by_id(answer, self.kind.collection, self.id_name)
        _store_in_local_copy(connection_of(call), self.kind, records, began)
        outcomes: dict[UUID, Outcome] = {
            id: Done(record, subject=self.subject(record)) for id, record in records.items()
        }
        missing = Failed(
            "not-found", f"{connection_of(call).name} has no such {self.word}.", status=200
        )
        return {id: outcomes.get(id, missing) for id in ids}


class GetInvoice(LookUp):
    key = "xero/get-invoice"
    title = "Get an invoice"
    description = "Reads an invoice or bill from Xero as it is now, with its lines and payments."
    form = read_forms.GetInvoiceForm
    scopes = scopes.READ_INVOICES
    sample = samples.INVOICE
    always = samples.ALWAYS_IN_INVOICE
    field, id_name, word = "invoice_id", "InvoiceID", "invoice"
    kind = KINDS[INVOICES]
    params: ClassVar[Params] = {"unitdp": 4}

    def subject(self, record: XeroRecord) -> str:
        return parse_invoice(record).name


class GetContact(LookUp):
    key = "xero/get-contact"
    title = "Get a contact"
    description = "Reads a contact from Xero as it is now, with its addresses and what it owes."
    form = read_forms.GetContactForm
    scopes = scopes.READ_CONTACTS
    sample = samples.CONTACT
    always = samples.ALWAYS_IN_CONTACT
    field, id_name, word = "contact_id", "ContactID", "contact"
    kind = KINDS[CONTACTS]

    def subject(self, record: XeroRecord) -> str:
        return parse_contact(record).name


def _store_in_local_copy(
    connection: Connection, kind: RecordKind, records: Mapping[UUID, XeroRecord], began: datetime
) -> None:
    """Store the records in the local copy and clear the requests of events to read them."""
    try:
        with transaction.atomic():
            commit_without_waiting()
            upsert.store_records(connection, kind.name, list(records.values()))
            upsert.clear_stale(connection, kind.name, list(records), before=began)
    except OperationalError:  # the step has what it asked for; the sync will read them again
        logger.exception("connection %s: what a step read was not kept", connection.pk)


class ListInvoices(XeroAction):
    key = "xero/list-invoices"
    title = "List invoices"
    description = "Reads a page of invoices or bills from Xero, filtered and ordered."
    form = read_forms.ListInvoicesForm
    scopes = scopes.READ_INVOICES
    sample = samples.build_page_sample("Invoices", samples.INVOICE)
    always = samples.list_guaranteed_paths("Invoices", samples.ALWAYS_IN_INVOICE)

    def fetch(self, call: ActionContext, data: Data) -> Data:
        params = _paging(data) | without_empty(
            where=_invoices_where(connection_of(call), data),
            Statuses=",".join(data["statuses"]),
            ContactIDs=",".join(map(str, data["contact_ids"])),
            IDs=",".join(map(str, data["invoice_ids"])),
            InvoiceNumbers=",".join(data["numbers"]),
            createdByMyApp="true" if data["created_by_app"] else "",
            includeArchived="true" if data["include_archived"] else "",
            summaryOnly="true" if data["summary"] else "",
            unitdp=4,
        )
        return _page(call, "Invoices", params, data)


class ListContacts(XeroAction):
    key = "xero/list-contacts"
    title = "List contacts"
    description = "Reads a page of contacts from Xero, filtered and ordered."
    form = read_forms.ListContactsForm
    scopes = scopes.READ_CONTACTS
    sample = samples.build_page_sample("Contacts", samples.CONTACT)
    always = samples.list_guaranteed_paths("Contacts", samples.ALWAYS_IN_CONTACT)

    def fetch(self, call: ActionContext, data: Data) -> Data:
        conditions = [
            f"{name}=={quote_text(data[field])}"
            for field, name in (("name", "Name"), ("email", "EmailAddress"))
            if data[field]
        ]
        params = _paging(data) | without_empty(
            where=" AND ".join(conditions),
            IDs=",".join(map(str, data["contact_ids"])),
            includeArchived="true" if data["include_archived"] else "",
            summaryOnly="true" if data["summary"] else "",
        )
        return _page(call, "Contacts", params, data)


class WholeList(XeroAction):
    """The base of actions that read a list which Xero sends whole, once per wave."""

    params: ClassVar[Params | None] = None
    collection: ClassVar[str]

    def read_key(self, data: Data) -> str | None:
        return str(data["modified_since"])

    def fetch(self, call: ActionContext, data: Data) -> Data:
        path = f"/{self.collection}"
        answer = client_of(call).get(
            path, params=self.params, modified_since=data["modified_since"]
        )
        return {self.collection: read_objects(answer, self.collection)}

    def output(self, fetched: Data, data: Data) -> Data:
        records = self.choose_records(fetched[self.collection], data)
        return {self.collection: records, "Count": len(records)}

    def choose_records(self, records: Sequence[Body], data: Data) -> list[Body]:
        """Return the records that belong to this step's output."""
        raise NotImplementedError


class ListAccounts(WholeList):
    key = "xero/list-accounts"
    title = "List accounts"
    description = "Reads the chart of accounts from Xero."
    form = read_forms.ListAccountsForm
    scopes = scopes.READ_SETTINGS
    sample = {"Accounts": [samples.ACCOUNT], "Count": 1}
    always = samples.list_guaranteed_paths("Accounts", samples.ALWAYS_IN_ACCOUNT, paged=False)
    collection = "Accounts"

    def choose_records(self, records: Sequence[Body], data: Data) -> list[Body]:
        types = {name.upper() for name in data["types"]}
        tests: list[Callable[[AccountRecord], bool]] = [
            lambda account: data["include_archived"] or account.status == "ACTIVE",
            lambda account: not types or account.type in types,
            lambda account: data["account_class"] in {"", account.class_name},
            lambda account: not data["codes"] or account.code in data["codes"],
            lambda account: not data["payments"] or account.takes_payments,
        ]
        accounts = ((body, parse_account(body)) for body in records)
        return [body for body, account in accounts if all(test(account) for test in tests)]


class ListItems(WholeList):
    key = "xero/list-items"
    title = "List items"
    description = "Reads the products and services from Xero."
    form = read_forms.ListItemsForm
    scopes = scopes.READ_SETTINGS | scopes.WRITE_INVOICES
    sample = {"Items": [samples.ITEM], "Count": 1}
    always = samples.list_guaranteed_paths("Items", samples.ALWAYS_IN_ITEM, paged=False)
    collection = "Items"
    params: ClassVar[Params | None] = {"unitdp": 4}

    def choose_records(self, records: Sequence[Body], data: Data) -> list[Body]:
        term = data["search"].lower()
        tests: list[Callable[[ItemRecord], bool]] = [
            lambda item: not data["codes"] or item.code in data["codes"],
            lambda item: term in f"{item.code}\n{item.name}".lower(),
            lambda item: not data["sold"] or item.is_sold,
            lambda item: not data["purchased"] or item.is_purchased,
        ]
        items = ((body, parse_item(body)) for body in records)
        return [body for body, item in items if all(test(item) for test in tests)]


def _paging(data: Data) -> dict[str, Any]:
    return without_empty(
        page=data["page"] or 1,
        pageSize=data["page_size"],
        order=data["order"],
        searchTerm=data["search"],
    )


def _page(call: ActionContext, name: str, params: dict[str, Any], data: Data) -> Data:
    answer = client_of(call).get(f"/{name}", params=params, modified_since=data["modified_since"])
    pages, records = read_object(answer, "pagination"), read_objects(answer, name)
    count = read_count(pages, "itemCount")
    return {
        name: records,
        "Count": len(records),
        "Page": read_count(pages, "page") or data["page"] or 1,
        "PageCount": read_count(pages, "pageCount") or 1,
        "ItemCount": len(records) if count is None else count,
    }


def _invoices_where(connection: Connection, data: Data) -> str:
    today = organisation_time.today_in(connection)
    conditions = [f"Type=={quote_text(data['type'])}"] if data["type"] else []
    if data["reference"]:
        conditions.append(f"Reference=={quote_text(data['reference'])}")
    for field, column, operator in (
        ("date_from", "Date", ">="),
        ("date_to", "Date", "<="),
        ("due_from", "DueDate", ">="),
        ("due_to", "DueDate", "<="),
    ):
        if data[field]:
            conditions.append(f"{column}{operator}{_day(data[field], today)}")
    if data["least_due"] is not None:
        conditions.append(f"AmountDue>={data['least_due']:f}")
    return " AND ".join(conditions)


def _day(typed: days.Day, today: date) -> str:
    try:
        day = typed.on(today)
    except ValueError as error:
        raise errors.Invalid(["A date lies beyond the calendar."]) from error
    return f"DateTime({day.year}, {day.month:02}, {day.day:02})"
