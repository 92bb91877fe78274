"""Pages of the ledger: lists, records, files, and how fresh it all is."""

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
from xero.ledger import files, queries, records
from xero.ledger import scope as ledger_scope
from xero.ledger.pages import ListPage
from xero.ledger.queries import Wanted
from xero.ledger.records import One
from xero.ledger.scope import Place
from xero.models import Account, Contact, Invoice, Item, Payment
from xero.sync import freshness
from xero.sync import schedule as sync_schedule


@require_safe
def record_list(request: HttpRequest, agency: str, workspace: str, page: ListPage) -> HttpResponse:
    """The whole page, or its inner part for htmx."""
    place = ledger_scope.find(
        gate.enter_workspace(request, agency, workspace, level=gate.READ), request.GET
    )
    form = page.form(request.GET)
    wanted = form.wanted()
    tab = wanted.get("tab", "")
    context = {
        "place": place,
        "connection": place.connection,
        "form": form,
        "listing": page.listing(place.connection, wanted) if place.connection else None,
        "fresh": freshness.of_ledger(place.ledger, page.kind) if place.ledger else None,
        "kind": page.kind,
        "noun": page.noun,
        "type": page.type,
        "back": request.get_full_path(),
        "template": f"xero/_{page.template}.html",
        "tab": tab,
        "narrow": wanted["narrow"],
        "default_sort": queries.default_sort(tab),
        "contact": _chosen_contact(place, wanted),
    }
    is_part = request.headers.get("HX-Target") == "list"
    return render(request, "xero/_list.html" if is_part else f"xero/{page.template}.html", context)


@require_safe
def record_export(
    request: HttpRequest, agency: str, workspace: str, page: ListPage
) -> HttpResponseBase:
    place = ledger_scope.find(
        gate.enter_workspace(request, agency, workspace, level=gate.READ), request.GET
    )
    if place.connection is None:
        raise Http404("No organisation is connected.")
    rows = page.rows(place.connection, page.form(request.GET).wanted())
    return files.response(place, page.noun, page.columns, rows)


@require_safe
def document_detail(
    request: HttpRequest, agency: str, workspace: str, document: UUID, type: str
) -> HttpResponse:
    invoice = _found(request, agency, workspace, Invoice, document)
    if invoice.type != type:
        return redirect(
            ledger_scope.document_address(invoice.connection.workspace, invoice.type, document)
        )
    lines = invoice.record.lines
    context = {
        "invoice": invoice,
        "type": type,
        "lines": lines,
        "has_discounts": any(line.discount_rate or line.discount_amount for line in lines),
        "accounts": records.account_names(
            invoice.connection, (line.account_code for line in lines)
        ),
        "taxes": records.taxes_of(invoice),
        "payments": records.payments_of(invoice),
        "history": record_history.of_record(invoice.connection, invoice.xero_id, "INVOICE"),
        "in_xero": ledger_scope.in_xero(
            invoice.connection, ledger_scope.document_page(type, invoice.xero_id)
        ),
    }
    return _detail(request, "document", invoice.connection, "invoices", **context)


@require_safe
def contact_detail(
    request: HttpRequest, agency: str, workspace: str, contact: UUID
) -> HttpResponse:
    found = _found(request, agency, workspace, Contact, contact)
    context = {
        "contact": found,
        "merged_into": records.merged_into(found),
        "documents": records.documents_of(found),
        "history": record_history.of_record(found.connection, found.xero_id, "CONTACT"),
        "in_xero": ledger_scope.in_xero(found.connection, ledger_scope.contact_page(found.xero_id)),
    }
    return _detail(request, "contact", found.connection, "contacts", **context)


@require_safe
def payment_detail(
    request: HttpRequest, agency: str, workspace: str, payment: UUID
) -> HttpResponse:
    found = _found(request, agency, workspace, Payment, payment)
    context = {
        "payment": found,
        "account": records.account_of(found),
        "invoice": records.invoice_of(found),
        "history": record_history.of_record(found.connection, found.xero_id, "PAYMENT"),
    }
    return _detail(request, "payment", found.connection, "payments", **context)


@require_safe
def account_detail(
    request: HttpRequest, agency: str, workspace: str, account: UUID
) -> HttpResponse:
    found = _found(request, agency, workspace, Account, account)
    return _detail(request, "account", found.connection, "accounts", account=found)


@require_safe
def item_detail(request: HttpRequest, agency: str, workspace: str, item: UUID) -> HttpResponse:
    found = _found(request, agency, workspace, Item, item)
    sales, purchases = found.record.sales, found.record.purchases
    codes = (sales.account_code, purchases.account_code or purchases.cost_account_code)
    names = records.account_names(found.connection, codes)
    return _detail(request, "item", found.connection, "items", item=found, accounts=names)


@require_POST
def ledger_refresh(
    request: HttpRequest, agency: str, workspace: str, connection: int
) -> HttpResponse:
    """Have the ledger read anew, and go back to where the person pressed."""
    place = gate.enter_workspace(request, agency, workspace, level=gate.WORK)
    found = next((one for one in ledger_scope.of(place) if one.pk == connection), None)
    if found is None:
        raise Http404("No such connection here.")
    sync_schedule.ask(found)
    messages.info(request, f"{found.name} is being read from Xero.")
    back = read_return_address(request, "back")
    return redirect(back) if back else redirect("xero:invoice-list", agency, workspace)


@require_safe
def ledger_freshness(
    request: HttpRequest, agency: str, workspace: str, connection: int
) -> HttpResponse:
    """The progress of a read, asked for every few seconds; when it is over, the page loads anew."""
    scope = gate.enter(request, agency, workspace, level=gate.READ)
    assert scope.workspace is not None  # a slug was given
    found = next((one for one in ledger_scope.of(scope.workspace) if one.pk == connection), None)
    ledger = getattr(found, "ledger", None)
    if found is None or ledger is None:
        raise Http404("Nothing is read for this connection yet.")
    fresh = freshness.of_ledger(ledger, request.GET.get("kind", ""))
    context = {"fresh": fresh, "connection": found, "kind": request.GET.get("kind", ""), "back": ""}
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
        "fresh": freshness.of_ledger(ledger, kind) if ledger else None,
        "kind": kind,
        "back": request.get_full_path(),
        "today": organisation_time.today_in(connection),
    }
    return render(request, f"xero/{template}.html", common | context)


def _found(
    request: HttpRequest, agency: str, workspace: str, model: type[One], xero_id: UUID
) -> One:
    place = gate.enter_workspace(request, agency, workspace, level=gate.READ)
    found = records.one(model, place, xero_id)
    if found is None:
        raise Http404("Nothing here.")
    return found


def _chosen_contact(place: Place, wanted: Wanted) -> Contact | None:
    """Whose documents are shown, if the address names a contact."""
    if not wanted.get("contact"):
        return None
    return records.one(Contact, place.workspace, wanted["contact"])
