"""Search among a million activations: for any filters, an index leads to the newest matches."""

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


def search_subjects(scope: Scope, text: str) -> list[int]:
    """List ids of activations whose subject begins with `text` in any case, last subjects first.

    At most one more than SEARCHED. It is a list because the planner would walk through all
    activations for a join.
    """
    if not text:
        return []
    first, last = (Collate(Upper(Value(bound)), "C") for bound in (text, text + BEYOND))
    activations = (
        _range_along(_scope_columns(scope))
        .exclude(subject="")  # as the index leaves them out
        .annotate(upper=Collate(Upper("subject"), "C"))
        .filter(upper__gte=first, upper__lt=last)
    )
    ahead = [f"-{column}" for column in _scope_columns(scope)]
    with transaction.atomic(), database.cursor() as cursor:
        # It expects few matches, and would collect and sort all of them instead of taking the first
        # by the index.
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        return list(
            activations.order_by(*ahead, "-upper").values_list("pk", flat=True)[: SEARCHED + 1]
        )


def list_newest(
    scope: Scope,
    chosen: ActivationFilter,
    ids: Sequence[int],
    most: int,
    *,
    before: int | None = None,
) -> list[Activation]:
    """List the newest activations that the filters select, before an id where one is given.

    `ids` match the search.
    """
    bound = {} if before is None else {"pk__lt": before}
    queries = [
        rows.filter(**bound).order_by(*ahead, "-id")
        for rows, ahead in _list_ways(scope, chosen, ids)
    ]
    return _merge_queries(queries, "-id", most)


def list_oldest(
    scope: Scope,
    chosen: ActivationFilter,
    ids: Sequence[int],
    most: int,
    *,
    after: int,
    until: int | None = None,
) -> list[Activation]:
    """List the oldest activations that the filters select after an id, up to `until`, oldest
    first.
    """
    bound = {} if until is None else {"pk__lte": until}
    queries = [
        rows.filter(pk__gt=after, **bound).order_by(*(f"-{column}" for column in ahead), "id")
        for rows, ahead in _list_ways(scope, chosen, ids)
    ]
    return _merge_queries(queries, "id", most)


def _merge_queries(
    queries: "Sequence[QuerySet[Activation]]", order: str, most: int
) -> list[Activation]:
    if len(queries) > 1:
        ids = [pk for rows in queries for pk in rows.values_list("pk", flat=True)[:most]]
        ids = sorted(ids, reverse=order.startswith("-"))[:most]
        queries = [Activation.objects.filter(pk__in=ids).order_by(order)]
    [rows] = queries
    return list(
        rows.select_related("workspace", "connection").defer("trigger_data", "outputs")[:most]
    )


def _list_ways(
    scope: Scope, chosen: ActivationFilter, ids: Sequence[int]
) -> "list[tuple[QuerySet[Activation], list[str]]]":
    """List queries that together hold the filters' matches, each with the columns of its order.

    There are several where each state has its own range in an index.
    """
    scope_columns, workflow = _scope_columns(scope), chosen.number("workflow")
    state, cause = chosen.text("state"), chosen.text("cause")
    of_workflow: Way = {} if workflow is None else {"workflow_id": workflow}
    of_state: Way = {"state": STATE_OF_CHIP.get(state, state)} if state else {}
    of_cause: Way = {"error_code": cause, "state": ActivationState.FAILED} if cause else {}
    if chosen.text("q"):
        few = Activation.objects.filter(
            pk__in=ids[:SEARCHED], **scope_columns, **of_workflow, **of_state
        )
        return [(few.filter(**of_cause), [])]
    way = (scope_columns if scope.workspace or not of_workflow else {}) | of_workflow
    rest = {} if way.keys() & scope_columns.keys() else scope_columns
    if cause:  # the index holds failures only
        rows, ahead = _filter_along(
            way | {"error_code": cause}, rest | {"state": ActivationState.FAILED}
        )
        return [(rows.filter(**of_state), ahead)]
    if of_state or not (scope.workspace and of_workflow):
        return [_filter_along(way | of_state, rest)]
    return [_filter_along(way | {"state": each_state}, rest) for each_state in ActivationState]


def _filter_along(way: Way, rest: dict[str, Any]) -> "tuple[QuerySet[Activation], list[str]]":
    return _range_along(way).filter(**rest), list(way)


def _range_along(way: Way) -> "QuerySet[Activation]":
    """Filter by the columns of an index, as ranges of one value each.

    For a column that equals a value the planner knows that its order does not matter, and walks
    through all activations by id in the hope of finding matches soon. In order by these ranges,
    only their own index serves.
    """
    ranges = {
        f"{column}__{side}": value for column, value in way.items() for side in ("gte", "lte")
    }
    return Activation.objects.filter(**ranges)


def _scope_columns(scope: Scope) -> Way:
    return (
        {"workspace_id": scope.workspace.pk} if scope.workspace else {"agency_id": scope.agency.pk}
    )
