"""Ways through a million activations: whatever the filters are, an index leads to the newest of
what they leave.
"""

from collections.abc import Sequence
from typing import Any

from django.db import connection as database
from django.db import transaction
from django.db.models import QuerySet, Value
from django.db.models.functions import Collate, Upper

from taskjuice.workspaces.gate import Scope
from workflows.activations.forms import ActivationFilter
from workflows.models import Activation, ActivationState

SEARCHED = 1000  # of a search with more matches only the highest subjects are looked at
BEYOND = "\U0010ffff"  # sorts after every other character
STATE_OF_CHIP = {"waiting": ActivationState.READY}
Way = dict[str, Any]  # the first columns of an index, in its order, with their values


def matches(scope: Scope, text: str) -> list[int]:
    """Ids of those whose subject begins with `text` in whatever case, the highest subject first; at
    most one too many.

    A list, since joined in the database the planner would rather walk through all activations.
    """
    if not text:
        return []
    first, last = (Collate(Upper(Value(bound)), "C") for bound in (text, text + BEYOND))
    found = (
        _along(_place(scope))
        .exclude(subject="")  # as the index leaves them out
        .annotate(upper=Collate(Upper("subject"), "C"))
        .filter(upper__gte=first, upper__lt=last)
    )
    ahead = [f"-{column}" for column in _place(scope)]
    with transaction.atomic(), database.cursor() as cursor:
        # It expects few matches, and would collect and sort all of them instead of taking the first
        # by the index.
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        return list(found.order_by(*ahead, "-upper").values_list("pk", flat=True)[: SEARCHED + 1])


def newest(
    scope: Scope,
    chosen: ActivationFilter,
    ids: Sequence[int],
    most: int,
    *,
    before: int | None = None,
) -> list[Activation]:
    """The newest of what the filters leave, of those before an id where one is given; `ids` match
    the search.
    """
    bound = {} if before is None else {"pk__lt": before}
    found = [
        rows.filter(**bound).order_by(*ahead, "-id") for rows, ahead in _ways(scope, chosen, ids)
    ]
    return _merged(found, "-id", most)


def oldest(
    scope: Scope,
    chosen: ActivationFilter,
    ids: Sequence[int],
    most: int,
    *,
    after: int,
    until: int | None = None,
) -> list[Activation]:
    """The oldest of what the filters leave after an id, up to another where one is given, oldest
    first.
    """
    bound = {} if until is None else {"pk__lte": until}
    found = [
        rows.filter(pk__gt=after, **bound).order_by(*(f"-{column}" for column in ahead), "id")
        for rows, ahead in _ways(scope, chosen, ids)
    ]
    return _merged(found, "id", most)


def _merged(found: "Sequence[QuerySet[Activation]]", order: str, most: int) -> list[Activation]:
    if len(found) > 1:
        ids = [pk for rows in found for pk in rows.values_list("pk", flat=True)[:most]]
        ids = sorted(ids, reverse=order.startswith("-"))[:most]
        found = [Activation.objects.filter(pk__in=ids).order_by(order)]
    [rows] = found
    return list(
        rows.select_related("workspace", "connection").defer("trigger_data", "outputs")[:most]
    )


def _ways(
    scope: Scope, chosen: ActivationFilter, ids: Sequence[int]
) -> "list[tuple[QuerySet[Activation], list[str]]]":
    """What the filters leave, with the columns that lead to it in order. Several where each state
    has its own way.
    """
    place, workflow = _place(scope), chosen.number("workflow")
    state, cause = chosen.text("state"), chosen.text("cause")
    of_workflow: Way = {} if workflow is None else {"workflow_id": workflow}
    of_state: Way = {"state": STATE_OF_CHIP.get(state, state)} if state else {}
    of_cause: Way = {"error_code": cause, "state": ActivationState.FAILED} if cause else {}
    if chosen.text("q"):
        few = Activation.objects.filter(pk__in=ids[:SEARCHED], **place, **of_workflow, **of_state)
        return [(few.filter(**of_cause), [])]
    way = (place if scope.workspace or not of_workflow else {}) | of_workflow
    rest = {} if way.keys() & place.keys() else place
    if cause:  # the index holds failures only
        rows, ahead = _way(way | {"error_code": cause}, rest | {"state": ActivationState.FAILED})
        return [(rows.filter(**of_state), ahead)]
    if of_state or not (scope.workspace and of_workflow):
        return [_way(way | of_state, rest)]
    return [_way(way | {"state": one}, rest) for one in ActivationState]


def _way(way: Way, rest: dict[str, Any]) -> "tuple[QuerySet[Activation], list[str]]":
    return _along(way).filter(**rest), list(way)


def _along(way: Way) -> "QuerySet[Activation]":
    """The activations on this way; in order by its columns, only its own index serves them.

    The columns are asked for as ranges of one value: of what equals a value the planner knows that
    order does not matter, and goes through all activations by their ids, hoping to meet the right
    ones soon.
    """
    ranges = {
        f"{column}__{side}": value for column, value in way.items() for side in ("gte", "lte")
    }
    return Activation.objects.filter(**ranges)


def _place(scope: Scope) -> Way:
    return (
        {"workspace_id": scope.workspace.pk} if scope.workspace else {"agency_id": scope.agency.pk}
    )
