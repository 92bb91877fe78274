"""SQL statements of the ageing pages: the open documents of a day, aged, grouped and ordered."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from xero.ageing.scope import AgeingOrganisation, AgeingOrganisations

AGES = ("Not due", "1–30 days", "31–60 days", "61–90 days", "Over 90 days")

# What a row stands for, and the columns it is grouped by.
GROUP_KEYS = {
    "client": ("workspace_id",),
    "contact": ("connection_id", "contact_xero_id"),
    "invoice": ("connection_id", "contact_xero_id", "id"),
}
KEYS = {
    "workspace_id": "bigint",
    "connection_id": "bigint",
    "contact_xero_id": "uuid",
    "id": "bigint",
}
ORDERS = {
    "client": "array_position(%({clients})s::bigint[], {key})",
    "contact": "lower(contact_name)",
    "due": "due",
    "overdue": "overdue",
    "total": "total",
    **{f"age{place}": f"b{place}" for place in range(len(AGES))},
}
DEFAULT_ORDERS = {"client": "-overdue", "contact": "-overdue", "invoice": "due"}

# One row for each document that was open on the day, then the sums of its age and of its group.
# Each table is read once.
OWED = """
WITH later AS (
    SELECT i.id, sum(p.amount) AS amount
      FROM xero_payment p
      JOIN xero_invoice i ON i.connection_id = p.connection_id AND i.xero_id = p.invoice_xero_id
     WHERE p.connection_id = ANY(%(connections)s) AND p.status = 'AUTHORISED' AND p.date > {on}
       AND i.type = %(type)s AND {filters}
     GROUP BY i.id
), owed AS (
    SELECT {columns}, coalesce(i.amount_due + later.amount, i.amount_due) AS amount
      FROM xero_invoice i LEFT JOIN later USING (id)
     WHERE i.connection_id = ANY(%(connections)s) AND i.type = %(type)s
       AND i.status = 'AUTHORISED' AND {filters}
    UNION ALL
    SELECT {columns}, later.amount
      FROM later JOIN xero_invoice i USING (id)
     WHERE i.status = 'PAID'
), aged AS (
    SELECT *, CASE WHEN due IS NULL OR due >= %(on)s THEN 0 WHEN due >= %(on)s - 30 THEN 1
                   WHEN due >= %(on)s - 60 THEN 2 WHEN due >= %(on)s - 90 THEN 3 ELSE 4 END AS age
      FROM owed WHERE amount > 0
), parts AS MATERIALIZED ({parts})"""
COLUMNS = (
    "i.id, i.workspace_id, i.connection_id, i.contact_xero_id, i.contact_name, i.currency,"
    " coalesce(i.due_date, i.date) + {behind} AS due"
)
# In some time zones it is still one or two days before the day of the page. Due dates of those
# organisations are moved by as much, so that one comparison with the day serves all of them.
BEHIND = """(CASE WHEN i.connection_id = ANY(%(one_behind)s) THEN 1
                  WHEN i.connection_id = ANY(%(two_behind)s) THEN 2 ELSE 0 END)"""
BUCKETS = [f"b{age}" for age in range(len(AGES))]
AMOUNTS = {
    "sums": ", ".join(
        [
            f"coalesce(sum(amount) FILTER (WHERE age = {age}), 0) AS {name}"
            for age, name in enumerate(BUCKETS)
        ]
        + ["coalesce(sum(amount) FILTER (WHERE age > 0), 0) AS overdue", "sum(amount) AS total"]
    ),
    "single": ", ".join(
        [
            f"CASE WHEN age = {age} THEN amount ELSE 0 END AS {name}"
            for age, name in enumerate(BUCKETS)
        ]
        + ["CASE WHEN age > 0 THEN amount ELSE 0 END AS overdue", "amount AS total"]
    ),
    "buckets": ", ".join(BUCKETS),
}


@dataclass(frozen=True, slots=True)
class Grouping:
    """SQL that makes rows from documents: parts of the documents first, then groups of parts."""

    parts: str
    groups: str


EACH_DOCUMENT = "SELECT *, 1 AS entries FROM aged"
GROUPINGS = {
    # Clients have many documents of each age, so those of one age are added up first.
    "client": Grouping(
        """SELECT workspace_id, currency, age, sum(amount) AS amount, count(*) AS entries,
                  min(due) AS due
             FROM aged GROUP BY workspace_id, currency, age""",
        """SELECT workspace_id, currency, {sums}, min(due) AS due, NULL::text AS contact_name
             FROM parts WHERE {where} GROUP BY workspace_id, currency""",
    ),
    # Any of several names of a contact will do, and comparing them by a language's rules is slow.
    "contact": Grouping(
        EACH_DOCUMENT,
        """SELECT connection_id, contact_xero_id, currency, {sums}, min(due) AS due,
                  min(contact_name COLLATE "C") AS contact_name
             FROM parts WHERE {where} GROUP BY connection_id, contact_xero_id, currency""",
    ),
    "invoice": Grouping(
        EACH_DOCUMENT,
        """SELECT connection_id, contact_xero_id, id, currency, {single}, due, contact_name
             FROM parts WHERE {where}""",
    ),
}
ROWS = """
SELECT {selected}, currency, contact_name, due, {buckets}, {count} AS entries
  FROM ({groups}) grouped ORDER BY {order}"""
# The totals of each currency, then one page of rows in the chosen currency. For all groups only the
# column of the order is added up; the amounts of each age, which are most of the work, only for the
# groups on the page.
TABLE = """, totals AS (
    SELECT currency, {sums}, min(due) AS due, sum(entries)::bigint AS entries
      FROM (SELECT currency, age, sum(amount) AS amount, min(due) AS due, sum(entries) AS entries
              FROM parts GROUP BY currency, age) ages GROUP BY currency
), chosen AS (
    SELECT currency FROM totals
     ORDER BY currency = %(currency)s DESC, entries DESC, currency LIMIT 1
), ranked AS (
    SELECT {keys}, count(*) OVER () AS entries FROM ({every}) grouped
     ORDER BY {order} LIMIT %(limit)s OFFSET %(offset)s
)
SELECT 0 AS part, row_number() OVER (ORDER BY entries DESC, currency) AS number,
       NULL::bigint, NULL::bigint, NULL::uuid, NULL::bigint, currency, NULL, due, {buckets}, entries
  FROM totals
UNION ALL SELECT 1, row_number() OVER (), page_rows.* FROM ({rows}) page_rows
ORDER BY part, number"""
CHOSEN = "currency = (SELECT currency FROM chosen)"


@dataclass(frozen=True, slots=True)
class AgeingCriteria:
    """The documents to age: sales or bills (Xero's type), as of a day, of one contact or of all.

    With `today` each organisation has its own day, and `on` is the latest of them.
    """

    type: str
    on: date
    contact: UUID | None = None
    today: bool = False

    def days_behind(self, organisation: AgeingOrganisation | None) -> int:
        """Return the number of days by which the organisation's own day is before `on`."""
        if not self.today or organisation is None:
            return 0
        return (self.on - organisation.today).days


def _build_owed(organisations: AgeingOrganisations, criteria: AgeingCriteria, by: str) -> str:
    """Return the WITH clause that all statements begin with."""
    # One day for all, which is the usual case, makes a much quicker plan than the CASE.
    behind = BEHIND if any(map(criteria.days_behind, organisations.all)) else "0"
    on = "%(on)s" if behind == "0" else f"%(on)s - {behind}"
    columns = COLUMNS.format(behind=behind)
    return OWED.format(
        on=on, filters=_build_filters(criteria, on), columns=columns, parts=GROUPINGS[by].parts
    )


def _build_groups(by: str, where: str) -> str:
    return GROUPINGS[by].groups.format(**AMOUNTS, where=where)


def _build_page_condition(by: str) -> str:
    """Return the condition for the parts of a group on the page."""
    # PostgreSQL can hash `=` but not IS NOT DISTINCT FROM, so that is kept for the one key that may
    # be NULL.
    same = " AND ".join(
        f"ranked.{key} {'IS NOT DISTINCT FROM' if key == 'contact_xero_id' else '='} parts.{key}"
        for key in GROUP_KEYS[by]
    )
    return f"{CHOSEN} AND EXISTS (SELECT FROM ranked WHERE {same})"


def _build_rows(by: str, where: str, order: str, count: str = "0") -> str:
    selected = ", ".join(
        name if name in GROUP_KEYS[by] else f"NULL::{type} AS {name}" for name, type in KEYS.items()
    )
    return ROWS.format(
        **AMOUNTS, selected=selected, groups=_build_groups(by, where), count=count, order=order
    )


def _build_filters(criteria: AgeingCriteria, on: str) -> str:
    conditions = [f"(i.date IS NULL OR i.date <= {on})"]
    if criteria.contact is not None:
        conditions.append("i.contact_xero_id = %(contact)s")
    return " AND ".join(conditions)


def _build_order(by: str, sort: str) -> str:
    """Return the ORDER BY for `?sort=`, unambiguous to its end so that pages do not overlap."""
    valid_sort = sort if sort.removeprefix("-") in ORDERS else DEFAULT_ORDERS[by]
    direction = "DESC" if valid_sort.startswith("-") else "ASC"
    # Both parameters are in the order of the clients' names.
    clients = "workspaces" if by == "client" else "connections"
    column = ORDERS[valid_sort.removeprefix("-")].format(clients=clients, key=GROUP_KEYS[by][0])
    return f"{column} {direction} NULLS LAST, total DESC, {', '.join(GROUP_KEYS[by])}"


def build_table(
    organisations: AgeingOrganisations, criteria: AgeingCriteria, by: str, sort: str
) -> str:
    """Return the statement for the totals of all currencies and one page of rows.

    The first two columns of its answer are 0 and a number for totals, 1 and a number for rows.
    """
    order = _build_order(by, sort)
    return _build_owed(organisations, criteria, by) + TABLE.format(
        **AMOUNTS,
        keys=", ".join(GROUP_KEYS[by]),
        every=_build_groups(by, CHOSEN),
        order=order,
        rows=_build_rows(by, _build_page_condition(by), order, "(SELECT max(entries) FROM ranked)"),
    )


def build_export(
    organisations: AgeingOrganisations, criteria: AgeingCriteria, by: str, sort: str
) -> str:
    """Return the statement for all rows of all currencies."""
    order = f"currency, {_build_order(by, sort)}"
    return _build_owed(organisations, criteria, by) + _build_rows(by, "true", order)
