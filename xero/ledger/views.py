"""Pages of the ledger: lists, records, exports, and how fresh the local copy is."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from connections import organisation_time
from connections.models import Connection
from connections.writes import record_history
from taskjuice.return_address import read_return_address
from taskjuice.workspaces import gate
from taskjuice.workspaces.models import Workspace
from xero.ledger import files, queries, records
from xero.ledger import scope as ledger_scope
from xero.ledger.list_results import ListFilters
from xero.ledger.pages import ListPage
from xero.ledger.records import LedgerRecord
from xero.ledger.scope import LedgerScope
from xero.models import Account, Contact, Invoice, Item, Payment
from xero.sync import freshness
from xero.sync import schedule as sync_schedule


@require_safe
def record_list(request: HttpRequest, agency: str, workspace: str, page: ListPage) -> HttpResponse:
    """Show a list: the whole page, or for htmx its inner part."""
    scope = ledger_scope.find_scope(
        gate.enter_workspace(request, agency, workspace, level=gate.READ), request.GET
    )
    form = page.form(request.GET)
    filters = form.read_filters()
    tab = filters.get("tab", "")
    context = {
        "place": scope,
        "connection": scope.connection,
        "form": form,
        "listing": page.listing(scope.connection, filters) if scope.connection else None,
        "fresh": freshness.describe_ledger(scope.ledger, page.kind) if scope.ledger else None,
        "kind": page.kind,
        "noun": page.noun,
        "type": page.type,
        "back": request.get_full_path(),
        "template": f"xero/_{page.template}.html",
        "tab": tab,
        "narrow": filters["narrow"],
        "default_sort": queries.default_sort(tab),
        "contact": _find_chosen_contact(scope, filters),
    }
    is_part = request.headers.get("HX-Target") == "list"
    return render(request, "xero/_list.html" if is_part else f"xero/{page.template}.html", context)


@require_safe
def record_export(
    request: HttpRequest, agency: str, workspace: str, page: ListPage
) -> HttpResponseBase:
    scope = ledger_scope.find_scope(
        gate.enter_workspace(request, agency, workspace, level=gate.READ), request.GET
    )
    if scope.connection is None:
        raise Http404("No organisation is connected.")
    rows = page.rows(scope.connection, page.form(request.GET).read_filters())
    return files.stream_csv(scope, page.noun, page.columns, rows)


@require_safe
def document_detail(
    request: HttpRequest, agency: str, workspace: str, document: UUID, type: str
) -> HttpResponse:
    invoice = _get_record(request, agency, workspace, Invoice, document)
    if invoice.type != type:
        return redirect(
            ledger_scope.build_document_url(invoice.connection.workspace, invoice.type, document)
        )
    lines = invoice.record.lines
    context = {
        "invoice": invoice,
        "type": type,
        "lines": lines,
        "has_discounts": any(line.discount_rate or line.discount_amount for line in lines),
        "accounts": records.read_account_names(
            invoice.connection, (line.account_code for line in lines)
        ),
        "taxes": records.sum_taxes(invoice),
        "payments": records.list_payments(invoice),
        "history": record_history.list_record_history(
            invoice.connection, invoice.xero_id, "INVOICE"
        ),
        "in_xero": ledger_scope.build_xero_url(
            invoice.connection, ledger_scope.build_document_path(type, invoice.xero_id)
        ),
    }
    return _detail(request, "document", invoice.connection, "invoices", **context)


@require_safe
def contact_detail(
    request: HttpRequest, agency: str, workspace: str, contact: UUID
) -> HttpResponse:
    record = _get_record(request, agency, workspace, Contact, contact)
    context = {
        "contact": record,
        "merged_into": records.find_merged_contact(record),
        "documents": records.list_documents(record),
        "history": record_history.list_record_history(record.connection, record.xero_id, "CONTACT"),
        "in_xero": ledger_scope.build_xero_url(
            record.connection, ledger_scope.build_contact_path(record.xero_id)
        ),
    }
    return _detail(request, "contact", record.connection, "contacts", **context)


@require_safe
def payment_detail(
    request: HttpRequest, agency: str, workspace: str, payment: UUID
) -> HttpResponse:
    record = _get_record(request, agency, workspace, Payment, payment)
    context = {
        "payment": record,
        "account": records.find_account(record),
        "invoice": records.find_invoice(record),
        "history": record_history.list_record_history(record.connection, record.xero_id, "PAYMENT"),
    }
    return _detail(request, "payment", record.connection, "payments", **context)


@require_safe
def account_detail(
    request: HttpRequest, agency: str, workspace: str, account: UUID
) -> HttpResponse:
    record = _get_record(request, agency, workspace, Account, account)
    return _detail(request, "account", record.connection, "accounts", account=record)


@require_safe
def item_detail(request: HttpRequest, agency: str, workspace: str, item: UUID) -> HttpResponse:
    row = _get_record(request, agency, workspace, Item, item)
    sales, purchases = row.record.sales, row.record.purchases
    codes = (sales.account_code, purchases.account_code or purchases.cost_account_code)
    names = records.read_account_names(row.connection, codes)
    return _detail(request, "item", row.connection, "items", item=row, accounts=names)


@require_POST
def ledger_refresh(
    request: HttpRequest, agency: str, workspace: str, connection: int
) -> HttpResponse:
    """Request a new read of the ledger, and return to the page with the button."""
    client = gate.enter_workspace(request, agency, workspace, level=gate.WORK)
    chosen = _find_connection(client, connection)
    if chosen is None:
        raise Http404("No such connection here.")
    sync_schedule.request_refresh(chosen)
    messages.info(request, f"{chosen.name} is being read from Xero.")
    back = read_return_address(request, "back")
    return redirect(back) if back else redirect("xero:invoice-list", agency, workspace)


@require_safe
def ledger_freshness(
    request: HttpRequest, agency: str, workspace: str, connection: int
) -> HttpResponse:
    """Show the progress of a read, polled every few seconds; at its end the page is reloaded."""
    scope = gate.enter(request, agency, workspace, level=gate.READ)
    assert scope.workspace is not None  # a slug was given
    chosen = _find_connection(scope.workspace, connection)
    ledger = getattr(chosen, "ledger", None)
    if chosen is None or ledger is None:
        raise Http404("Nothing is read for this connection yet.")
    fresh = freshness.describe_ledger(ledger, request.GET.get("kind", ""))
    context = {
        "fresh": fresh,
        "connection": chosen,
        "kind": request.GET.get("kind", ""),
        "back": "",
    }
    response = render(request, "xero/_freshness.html", context)
    if not fresh.busy:
        response["HX-Refresh"] = "true"
    return response


def _detail(
    request: HttpRequest, template: str, connection: Connection, kind: str, **context: Any
) -> HttpResponse:
    ledger = getattr(connection, "ledger", None)
    common = {
        "connection": connection,
        "base": ledger.base_currency if ledger else connection.details.get("currency", ""),
        "fresh": freshness.describe_ledger(ledger, kind) if ledger else None,
        "kind": kind,
        "back": request.get_full_path(),
        "today": organisation_time.today_in(connection),
    }
    return render(request, f"xero/{template}.html", common | context)


def _get_record(
    request: HttpRequest, agency: str, workspace: str, model: type[LedgerRecord], xero_id: UUID
) -> LedgerRecord:
    client = gate.enter_workspace(request, agency, workspace, level=gate.READ)
    record = records.find_record(model, client, xero_id)
    if record is None:
        raise Http404("Nothing here.")
    return record


def _find_connection(workspace: Workspace, pk: int) -> Connection | None:
    connections = ledger_scope.list_connections(workspace)
    return next((connection for connection in connections if connection.pk == pk), None)


def _find_chosen_contact(scope: LedgerScope, filters: ListFilters) -> Contact | None:
    """Return the contact whose documents are shown, if the URL names one."""
    if not filters.get("contact"):
        return None
    return records.find_record(Contact, scope.workspace, filters["contact"])
