"""Queries of the pages of calls, that is of writes to Xero."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, Q, QuerySet

from connections.models import Call, CallState
from taskjuice import exact_json
from taskjuice.workspaces.models import Workspace
from xero.records.fields import read_text

UNSETTLED = (CallState.INTENDED, CallState.SENT)
STATES = {
    "decide": (CallState.UNKNOWN,),
    "waiting": UNSETTLED,
    "confirmed": (CallState.CONFIRMED,),
    "failed": (CallState.FAILED,),
    "ended": (CallState.SENT_AGAIN, CallState.ABANDONED),
}
SALES, BILLS = "/AccountsReceivable/View.aspx?InvoiceID=", "/AccountsPayable/View.aspx?InvoiceID="
PAGES = {
    "xero/create-invoice": SALES,
    "xero/approve-invoice": SALES,
    "xero/void-invoice": SALES,
    "xero/create-contact": "/Contacts/View/",
}


@dataclass(frozen=True, slots=True)
class CallDetail:
    """A call with the calls around it. `sent` and `answer` are the JSON texts of the exchange."""

    call: Call
    sent: str
    answer: str
    successor: Call | None
    predecessors: list[Call]
    together: int  # how many calls went out in the same request
    xero_url: str


def list_calls(workspaces: "QuerySet[Workspace]", state: str = "") -> "QuerySet[Call]":
    """Return the calls, newest first; `state` is a key of STATES."""
    rows = Call.objects.filter(workspace__in=workspaces).select_related(
        "connection", "workspace__agency", "user"
    )
    if state in STATES:
        rows = rows.filter(state__in=STATES[state])
    return rows.order_by("-created_at", "-id")


def count_calls(workspaces: "QuerySet[Workspace]") -> dict[str, int]:
    """Return the number of calls by key of STATES, and of `all`."""
    counters = {name: Count("pk", filter=Q(state__in=states)) for name, states in STATES.items()}
    counts: dict[str, int] = Call.objects.filter(workspace__in=workspaces).aggregate(
        all=Count("pk"), **counters
    )
    return counts


def find_call(workspace: Workspace, pk: Any) -> Call | None:
    rows = workspace.calls.select_related(
        "connection", "workspace__agency", "user", "sending", "decided_by"
    )
    return rows.filter(pk=pk).first()


def read_call_detail(call: Call) -> CallDetail:
    related = list(_list_related_calls(call))
    later = [
        other
        for other in related
        if other.epoch > call.epoch and other.created_at > call.created_at
    ]
    return CallDetail(
        call=call,
        sent=exact_json.dumps_indented(call.body),
        answer=exact_json.dumps_indented(call.answer) if call.answer is not None else "",
        successor=later[-1] if later else None,
        predecessors=[other for other in related if other.created_at < call.created_at],
        together=call.sending.calls.count(),
        xero_url=_build_xero_url(call),
    )


def _list_related_calls(call: Call) -> "QuerySet[Call]":
    """Return the other calls of the same form or step, oldest first."""
    others = (
        Call.objects.filter(connection=call.connection_id)
        .exclude(pk=call.pk)
        .order_by("created_at")
    )
    if call.form_key is not None:
        return others.filter(form_key=call.form_key)
    return others.filter(activation_id=call.activation_id, step=call.step, element=call.element)


def _build_xero_url(call: Call) -> str:
    """Return a deep link to the record in Xero, or ""."""
    # The short code picks the organisation, whichever one the person has open in Xero.
    short_code = call.connection.details.get("short_code")
    page = PAGES.get(call.action)
    if page == SALES and read_text(call.answer or call.body, "Type") == "ACCPAY":
        page = BILLS
    if not (short_code and page and call.record_id):
        return ""
    query = urlencode({"shortcode": short_code, "redirecturl": f"{page}{call.record_id}"})
    return f"https://go.xero.com/organisationlogin/default.aspx?{query}"
