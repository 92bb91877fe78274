"""Pages of the ledger: lists, records, files, and how fresh it all is."""

from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from connections.models import Connection
from taskjuice.workspaces import gate
from xero import freshness, ledgers
from xero.ledger import files, places, queries
from xero.ledger.forms import AccountForm, ContactForm, DocumentForm, ItemForm, ListForm, PaymentForm
from xero.ledger.places import Place
from xero.ledger.queries import Listing, One, Wanted
from xero.models import Account, Contact, Invoice, Item, Payment

Form = TypeVar("Form", bound=ListForm)


@require_safe
def document_list(request: HttpRequest, agency: str, workspace: str, type: str) -> HttpResponse:
    """Invoices (ACCREC) or bills (ACCPAY)."""
    place = _enter(request, agency, workspace)
    form = DocumentForm(request.GET)
    wanted = form.wanted()
    noun = "invoices" if type == queries.SALE else "bills"
    extra = {
        "type": type,
        "default_sort": queries.default_sort(wanted.get("tab", "")),
        "contact": _chosen_contact(place, wanted),
    }
    listing = (
        queries.documents(place.connection, type, wanted, narrow=form.is_narrow())
        if place.connection
        else None
    )
    return _list(request, place, form, listing, "documents", kind="invoices", noun=noun, **extra)


@require_safe
def document_export(request: HttpRequest, agency: str, workspace: str, type: str) -> HttpResponseBase:
    place, wanted = _to_export(request, agency, workspace, DocumentForm)
    return files.of_documents(place, type, wanted)


@require_safe
def document_detail(
    request: HttpRequest, agency: str, workspace: str, document: UUID, type: str
) -> HttpResponse:
    invoice = _found(request, agency, workspace, Invoice, document)
    if invoice.type != type:
        name = "bill" if invoice.type == queries.BILL else "invoice"
        return redirect(f"xero:{name}-detail", agency, workspace, document)
    lines = [line for line in invoice.body.get("LineItems") or [] if isinstance(line, dict)]
    context = {
        "invoice": invoice,
        "type": type,
        "lines": lines,
        "has_discounts": any(line.get("DiscountRate") or line.get("DiscountAmount") for line in lines),
        "accounts": queries.account_names(
            invoice.connection, (str(line.get("AccountCode", "")) for line in lines)
        ),
        "taxes": queries.taxes_of(invoice),
        "payments": queries.payments_of(invoice),
        "history": queries.history_of(invoice.connection, "INVOICE", invoice.xero_id),
        "in_xero": places.in_xero(invoice.connection, places.document_page(type, invoice.xero_id)),
    }
    return _detail(request, "document", invoice.connection, "invoices", **context)


@require_safe
def contact_list(request: HttpRequest, agency: str, workspace: str) -> HttpResponse:
    place = _enter(request, agency, workspace)
    form = ContactForm(request.GET)
    wanted = form.wanted()
    listing = queries.contacts(place.connection, wanted) if place.connection else None
    return _list(request, place, form, listing, "contacts", kind="contacts", noun="contacts")


@require_safe
def contact_export(request: HttpRequest, agency: str, workspace: str) -> HttpResponseBase:
    return files.of_contacts(*_to_export(request, agency, workspace, ContactForm))


@require_safe
def contact_detail(request: HttpRequest, agency: str, workspace: str, contact: UUID) -> HttpResponse:
    found = _found(request, agency, workspace, Contact, contact)
    context = {
        "contact": found,
        "documents": queries.documents_of(found),
        "history": queries.history_of(found.connection, "CONTACT", found.xero_id),
        "in_xero": places.in_xero(found.connection, places.contact_page(found.xero_id)),
    }
    return _detail(request, "contact", found.connection, "contacts", **context)


@require_safe
def payment_list(request: HttpRequest, agency: str, workspace: str) -> HttpResponse:
    place = _enter(request, agency, workspace)
    form = PaymentForm(request.GET)
    wanted = form.wanted()
    listing = (
        queries.payments(place.connection, wanted, narrow=form.is_narrow()) if place.connection else None
    )
    return _list(request, place, form, listing, "payments", kind="payments", noun="payments")


@require_safe
def payment_export(request: HttpRequest, agency: str, workspace: str) -> HttpResponseBase:
    return files.of_payments(*_to_export(request, agency, workspace, PaymentForm))


@require_safe
def payment_detail(request: HttpRequest, agency: str, workspace: str, payment: UUID) -> HttpResponse:
    found = _found(request, agency, workspace, Payment, payment)
    context = {"payment": found, "account": queries.account_of(found), "invoice": queries.invoice_of(found)}
    return _detail(request, "payment", found.connection, "payments", **context)


@require_safe
def account_list(request: HttpRequest, agency: str, workspace: str) -> HttpResponse:
    place = _enter(request, agency, workspace)
    form = AccountForm(request.GET)
    wanted = form.wanted()
    listing = queries.accounts(place.connection, wanted) if place.connection else None
    return _list(request, place, form, listing, "accounts", kind="accounts", noun="accounts")


@require_safe
def account_export(request: HttpRequest, agency: str, workspace: str) -> HttpResponseBase:
    return files.of_accounts(*_to_export(request, agency, workspace, AccountForm))


@require_safe
def account_detail(request: HttpRequest, agency: str, workspace: str, account: UUID) -> HttpResponse:
    found = _found(request, agency, workspace, Account, account)
    return _detail(request, "account", found.connection, "accounts", account=found)


@require_safe
def item_list(request: HttpRequest, agency: str, workspace: str) -> HttpResponse:
    place = _enter(request, agency, workspace)
    form = ItemForm(request.GET)
    wanted = form.wanted()
    listing = queries.items(place.connection, wanted) if place.connection else None
    return _list(request, place, form, listing, "items", kind="items", noun="items")


@require_safe
def item_export(request: HttpRequest, agency: str, workspace: str) -> HttpResponseBase:
    return files.of_items(*_to_export(request, agency, workspace, ItemForm))


@require_safe
def item_detail(request: HttpRequest, agency: str, workspace: str, item: UUID) -> HttpResponse:
    found = _found(request, agency, workspace, Item, item)
    sides = [found.body.get(side) or {} for side in ("SalesDetails", "PurchaseDetails")]
    names = queries.account_names(found.connection, (str(side.get("AccountCode", "")) for side in sides))
    return _detail(request, "item", found.connection, "items", item=found, accounts=names)


@require_POST
def ledger_refresh(request: HttpRequest, agency: str, workspace: str, connection: int) -> HttpResponse:
    """Have the ledger read anew, and go back to where the person pressed."""
    place = gate.enter_workspace(request, agency, workspace, level=gate.WORK)
    found = next((one for one in places.of(place) if one.pk == connection), None)
    if found is None:
        raise Http404("No such connection here.")
    ledgers.ask(found)
    messages.info(request, f"{found.name} is being read from Xero.")
    back = request.POST.get("back", "")
    if url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()}) and back.startswith("/"):
        return redirect(back)
    return redirect("xero:invoice-list", agency, workspace)


@require_safe
def ledger_freshness(request: HttpRequest, agency: str, workspace: str, connection: int) -> HttpResponse:
    """The progress of a read, asked for every few seconds; when it is over, the page loads anew."""
    scope = gate.enter(request, agency, workspace, level=gate.READ)
    assert scope.workspace is not None  # a slug was given
    found = next((one for one in places.of(scope.workspace) if one.pk == connection), None)
    ledger = getattr(found, "ledger", None)
    if found is None or ledger is None:
        raise Http404("Nothing is read for this connection yet.")
    fresh = freshness.of_ledger(ledger, request.GET.get("kind", ""))
    context = {"fresh": fresh, "connection": found, "kind": request.GET.get("kind", ""), "back": ""}
    response = render(request, "xero/_freshness.html", context)
    if not fresh.busy:
        response["HX-Refresh"] = "true"
    return response


def _enter(request: HttpRequest, agency: str, workspace: str) -> Place:
    return places.find(gate.enter_workspace(request, agency, workspace, level=gate.READ), request.GET)


def _list(
    request: HttpRequest,
    place: Place,
    form: ListForm,
    listing: Listing | None,
    template: str,
    *,
    kind: str,
    noun: str,
    **extra: Any,
) -> HttpResponse:
    """The whole page, or its inner part for htmx."""
    fresh = freshness.of_ledger(place.ledger, kind) if place.ledger else None
    context = extra | {
        "place": place,
        "connection": place.connection,
        "form": form,
        "listing": listing,
        "fresh": fresh,
        "kind": kind,
        "noun": noun,
        "back": request.get_full_path(),
        "template": f"xero/_{template}.html",
        "tab": form.cleaned_data.get("tab", ""),
        "narrow": form.is_narrow(),
    }
    is_part = request.headers.get("HX-Target") == "list"
    return render(request, "xero/_list.html" if is_part else f"xero/{template}.html", context)


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
        "today": places.today(connection.workspace),
    }
    return render(request, f"xero/{template}.html", common | context)


def _to_export(
    request: HttpRequest, agency: str, workspace: str, form: Callable[..., ListForm]
) -> tuple[Place, Wanted]:
    place = _enter(request, agency, workspace)
    if place.connection is None:
        raise Http404("No organisation is connected.")
    return place, form(request.GET).wanted()


def _found(request: HttpRequest, agency: str, workspace: str, model: type[One], xero_id: UUID) -> One:
    place = gate.enter_workspace(request, agency, workspace, level=gate.READ)
    found = queries.one(model, place, xero_id)
    if found is None:
        raise Http404("Nothing here.")
    return found


def _chosen_contact(place: Place, wanted: Wanted) -> Contact | None:
    """Whose documents are shown, if the address names a contact."""
    if not wanted.get("contact"):
        return None
    return queries.one(Contact, place.workspace, wanted["contact"])
