"""The actions that read: five lists and look-ups. What they give is Xero's own record, amounts exact."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import OperationalError, transaction

from connections import errors, organisation_time
from connections.integrations import Call, Cost, Data, Done, Failed, Outcome, outcome_of
from connections.models import Connection
from taskjuice.queue import clock
from taskjuice.queue.commits import quick
from xero import forms, scopes, upsert
from xero.actions import samples
from xero.actions.base import IDS_A_CALL, XeroAction, chunks, client, connection_of, given, quoted
from xero.body_fields import Body, read_count, read_object, read_objects, read_objects_by_id
from xero.client import Params
from xero.document_records import parse_invoice
from xero.mapping import INVOICES
from xero.master_records import AccountRecord, ItemRecord, parse_account, parse_item

logger = logging.getLogger(__name__)

Record = dict[str, Any]


class GetInvoice(XeroAction):
    """Reads invoices as they are now. A wave costs one call per 40 of them."""

    key = "xero/get-invoice"
    title = "Get an invoice"
    description = "Reads an invoice or bill from Xero as it is now, with its lines and payments."
    form = forms.GetInvoiceForm
    scopes = scopes.READ_INVOICES
    cost = Cost(Decimal(1), Decimal(1) / IDS_A_CALL)
    sample = samples.INVOICE
    together = IDS_A_CALL

    def run(self, call: Call, data: Data) -> Data:
        outcome = self.outcome(call, data)
        if isinstance(outcome, Done):
            return dict(outcome.output)
        raise errors.ProviderError(str(outcome))

    def run_allowed(self, calls: Sequence[Call], rows: Sequence[Data]) -> list[Outcome]:
        found: dict[UUID, Outcome] = {}
        wanted = list(dict.fromkeys(row["invoice_id"] for row in rows))
        for chunk in chunks(wanted, IDS_A_CALL):
            try:
                found.update(_read_invoices(calls[0], chunk))
            except errors.ProviderError as error:
                found.update(
                    (invoice_id, outcome_of(error)) for invoice_id in wanted if invoice_id not in found
                )
                break
        return [found[row["invoice_id"]] for row in rows]


def _read_invoices(call: Call, ids: Sequence[UUID]) -> dict[UUID, Outcome]:
    """One call. `page` makes Xero send the line items; what it leaves out is not there."""
    params: Params = {"IDs": ",".join(map(str, ids)), "page": 1, "unitdp": 4, "includeArchived": "true"}
    began = clock.now()
    invoices = read_objects_by_id(client(call).get("/Invoices", params=params), "Invoices", "InvoiceID")
    _remember(connection_of(call), invoices, began)
    found: dict[UUID, Outcome] = {
        id: Done(invoice, subject=parse_invoice(invoice).name) for id, invoice in invoices.items()
    }
    missing = Failed("not-found", f"{connection_of(call).name} has no such invoice.", status=200)
    return {invoice_id: found.get(invoice_id, missing) for invoice_id in ids}


def _remember(connection: Connection, invoices: Mapping[UUID, Record], began: datetime) -> None:
    """They are whole, so the local copy takes them in, and what an event asked to read need not be read again."""
    try:
        with transaction.atomic():
            quick()
            upsert.take_in(connection, INVOICES, list(invoices.values()))
            upsert.forget_stale(connection, INVOICES, list(invoices), before=began)
    except OperationalError:  # the step has what it asked for; the sync will read them again
        logger.exception("connection %s: what a step read was not kept", connection.pk)


class ListInvoices(XeroAction):
    key = "xero/list-invoices"
    title = "List invoices"
    description = "Reads a page of invoices or bills from Xero, filtered and ordered."
    form = forms.ListInvoicesForm
    scopes = scopes.READ_INVOICES
    sample = samples.page_of("Invoices", samples.INVOICE)

    def run(self, call: Call, data: Data) -> Data:
        params = _paging(data) | given(
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
    form = forms.ListContactsForm
    scopes = scopes.READ_CONTACTS
    sample = samples.page_of("Contacts", samples.CONTACT)

    def run(self, call: Call, data: Data) -> Data:
        conditions = [
            f"{name}=={quoted(data[field])}"
            for field, name in (("name", "Name"), ("email", "EmailAddress"))
            if data[field]
        ]
        params = _paging(data) | given(
            where=" AND ".join(conditions),
            IDs=",".join(map(str, data["contact_ids"])),
            includeArchived="true" if data["include_archived"] else "",
            summaryOnly="true" if data["summary"] else "",
        )
        return _page(call, "Contacts", params, data)


class ListAccounts(XeroAction):
    """Xero sends the whole chart of accounts in one answer; it is filtered here."""

    key = "xero/list-accounts"
    title = "List accounts"
    description = "Reads the chart of accounts from Xero."
    form = forms.ListAccountsForm
    scopes = scopes.READ_SETTINGS
    sample = {"Accounts": [samples.ACCOUNT], "Count": 1}

    def run(self, call: Call, data: Data) -> Data:
        answer = client(call).get("/Accounts", modified_since=data["modified_since"])
        types = {name.upper() for name in data["types"]}
        checks: list[Callable[[AccountRecord], bool]] = [
            lambda account: data["include_archived"] or account.status == "ACTIVE",
            lambda account: not types or account.type in types,
            lambda account: data["account_class"] in {"", account.class_name},
            lambda account: not data["codes"] or account.code in data["codes"],
            lambda account: not data["payments"] or account.takes_payments,
        ]
        accounts = ((body, parse_account(body)) for body in read_objects(answer, "Accounts"))
        return _whole("Accounts", [body for body, account in accounts if all(c(account) for c in checks)])


class ListItems(XeroAction):
    """Xero sends all items in one answer; they are filtered here."""

    key = "xero/list-items"
    title = "List items"
    description = "Reads the products and services from Xero."
    form = forms.ListItemsForm
    scopes = scopes.READ_SETTINGS | scopes.WRITE_INVOICES
    sample = {"Items": [samples.ITEM], "Count": 1}

    def run(self, call: Call, data: Data) -> Data:
        answer = client(call).get("/Items", params={"unitdp": 4}, modified_since=data["modified_since"])
        term = data["search"].lower()
        checks: list[Callable[[ItemRecord], bool]] = [
            lambda item: not data["codes"] or item.code in data["codes"],
            lambda item: term in f"{item.code}\n{item.name}".lower(),
            lambda item: not data["sold"] or item.is_sold,
            lambda item: not data["purchased"] or item.is_purchased,
        ]
        items = ((body, parse_item(body)) for body in read_objects(answer, "Items"))
        return _whole("Items", [body for body, item in items if all(c(item) for c in checks)])


def _paging(data: Data) -> dict[str, Any]:
    return given(
        page=data["page"] or 1, pageSize=data["page_size"], order=data["order"], searchTerm=data["search"]
    )


def _page(call: Call, name: str, params: dict[str, Any], data: Data) -> Data:
    answer = client(call).get(f"/{name}", params=params, modified_since=data["modified_since"])
    pages, records = read_object(answer, "pagination"), read_objects(answer, name)
    count = read_count(pages, "itemCount")
    return {
        name: records,
        "Count": len(records),
        "Page": read_count(pages, "page") or data["page"] or 1,
        "PageCount": read_count(pages, "pageCount") or 1,
        "ItemCount": len(records) if count is None else count,
    }


def _whole(name: str, records: Sequence[Body]) -> Data:
    return {name: records, "Count": len(records)}


def _invoices_where(connection: Connection, data: Data) -> str:
    today = organisation_time.today_in(connection)
    conditions = [f"Type=={quoted(data['type'])}"] if data["type"] else []
    if data["reference"]:
        conditions.append(f"Reference=={quoted(data['reference'])}")
    for field, column, operator in (
        ("date_from", "Date", ">="),
        ("date_to", "Date", "<="),
        ("due_from", "DueDate", ">="),
        ("due_to", "DueDate", "<="),
    ):
        if data[field]:
            conditions.append(f"{column}{operator}{_day(data[field].on(today))}")
    if data["least_due"] is not None:
        conditions.append(f"AmountDue>={data['least_due']:f}")
    return " AND ".join(conditions)


def _day(day: date) -> str:
    return f"DateTime({day.year}, {day.month:02}, {day.day:02})"
