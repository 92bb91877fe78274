"""What the pages of calls show."""

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
class Detail:
    """A call with what surrounds it. `sent` and `answer` are JSON text, as it went and came."""

    call: Call
    sent: str
    answer: str
    successor: Call | None
    predecessors: list[Call]
    together: int  # how many calls went out in the same request
    xero_url: str


def calls(workspaces: "QuerySet[Workspace]", state: str = "") -> "QuerySet[Call]":
    """Newest first; `state` is a key of STATES."""
    found = Call.objects.filter(workspace__in=workspaces).select_related(
        "connection", "workspace__agency", "user"
    )
    if state in STATES:
        found = found.filter(state__in=STATES[state])
    return found.order_by("-created_at", "-id")


def counts(workspaces: "QuerySet[Workspace]") -> dict[str, int]:
    """How many there are, by the keys of STATES."""
    sums = {name: Count("pk", filter=Q(state__in=states)) for name, states in STATES.items()}
    found: dict[str, int] = Call.objects.filter(workspace__in=workspaces).aggregate(
        all=Count("pk"), **sums
    )
    return found


def one(workspace: Workspace, pk: Any) -> Call | None:
    rows = workspace.calls.select_related(
        "connection", "workspace__agency", "user", "sending", "decided_by"
    )
    return rows.filter(pk=pk).first()


def detail(call: Call) -> Detail:
    related = list(_same_origin(call))
    later = [
        other
        for other in related
        if other.epoch > call.epoch and other.created_at > call.created_at
    ]
    return Detail(
        call=call,
        sent=exact_json.pretty(call.body),
        answer=exact_json.pretty(call.answer) if call.answer is not None else "",
        successor=later[-1] if later else None,
        predecessors=[other for other in related if other.created_at < call.created_at],
        together=call.sending.calls.count(),
        xero_url=_xero_url(call),
    )


def _same_origin(call: Call) -> "QuerySet[Call]":
    """Other calls of the same form or step, oldest first."""
    others = (
        Call.objects.filter(connection=call.connection_id)
        .exclude(pk=call.pk)
        .order_by("created_at")
    )
    if call.form_key is not None:
        return others.filter(form_key=call.form_key)
    return others.filter(activation_id=call.activation_id, step=call.step, element=call.element)


def _xero_url(call: Call) -> str:
    """Xero's deep link: the short code picks the organisation, whichever the person has open."""
    short_code = call.connection.details.get("short_code")
    page = PAGES.get(call.action)
    if page == SALES and read_text(call.answer or call.body, "Type") == "ACCPAY":
        page = BILLS
    if not (short_code and page and call.record_id):
        return ""
    query = urlencode({"shortcode": short_code, "redirecturl": f"{page}{call.record_id}"})
    return f"https://go.xero.com/organisationlogin/default.aspx?{query}"
