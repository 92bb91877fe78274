"""Verification of the audit chain. It trusts no function stored in the database, only its rows."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from django.db import connection

from taskjuice.workspaces.models import Agency, AuditEntry, AuditLink

# One statement, hence one snapshot: an entry, its link and the head come with one commit, so a
# concurrent write is seen as a whole or not at all, and every link counts, whatever the head says.
# The hash is that of migration 0006.
FINDINGS = """
WITH chain AS (
    SELECT number, entry_id, hash, agency_id,
           lag(number, 1, 0::bigint) OVER before AS number_before,
           lag(hash, 1, ''::bytea) OVER before AS hash_before
      FROM workspaces_auditlink WHERE agency_id = %(agency)s
    WINDOW before AS (ORDER BY number)),
checked AS (
    SELECT c.number, c.number_before, c.entry_id, e.id IS NULL AS gone,
           e.agency_id <> c.agency_id
           OR sha256(convert_to(
               c.number || ' ' || encode(c.hash_before, 'hex') || ' ' || jsonb_build_array(
               e.id, e.agency_id, e.workspace_id, e.workspace_name, e.actor_id, e.actor_name,
               e.verb, e.subject, e.details, host(e.address),
               to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'))::text, 'UTF8')) <> c.hash AS changed
      FROM chain c LEFT JOIN workspaces_auditentry e ON e.id = c.entry_id),
misfit AS (
    SELECT number, number_before, entry_id, gone FROM checked
     WHERE number <> number_before + 1 OR gone OR changed ORDER BY number LIMIT 1),
last AS (
    SELECT number, hash FROM workspaces_auditlink
     WHERE agency_id = %(agency)s ORDER BY number DESC LIMIT 1),
unlinked AS (
    SELECT min(e.id) AS id
      FROM workspaces_auditentry e LEFT JOIN workspaces_auditlink l ON l.entry_id = e.id
     WHERE e.agency_id = %(agency)s AND l.entry_id IS NULL)
SELECT head.number, encode(head.hash, 'hex'),
       coalesce(last.number, 0), encode(coalesce(last.hash, ''), 'hex'),
       misfit.number, misfit.number_before, misfit.entry_id, misfit.gone, unlinked.id
  FROM unlinked LEFT JOIN last ON true LEFT JOIN misfit ON true
  LEFT JOIN workspaces_audithead head ON head.agency_id = %(agency)s
"""
# Agencies that were deleted keep their chains.
AGENCIES = """
SELECT agency_id FROM workspaces_audithead UNION SELECT DISTINCT agency_id FROM workspaces_auditlink
 UNION SELECT DISTINCT agency_id FROM workspaces_auditentry ORDER BY 1
"""


NOTED = re.compile(r"\d+ \d+ (?:[0-9a-f]{64}|-) .*")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state of one agency's chain: its last number and hash (hex), and the first fault if any."""

    agency_id: int
    name: str
    number: int
    hash: str
    broken: str = ""


def verify_all() -> Iterator[Verdict]:
    with connection.cursor() as cursor:
        cursor.execute(AGENCIES)
        ids = [pk for (pk,) in cursor.fetchall()]
    names = dict(Agency.objects.filter(pk__in=ids).values_list("pk", "slug"))
    for pk in ids:
        yield verify(pk, names.get(pk, "(deleted)"))


def verify(agency_id: int, name: str = "") -> Verdict:
    """Recompute every entry of one agency, and compare the last one with the head."""
    with connection.cursor() as cursor:
        cursor.execute(FINDINGS, {"agency": agency_id})
        number, digest, *found = cursor.fetchone()
    return Verdict(
        agency_id, name, number or 0, digest or "", broken=_describe_fault(number, digest, *found)
    )


@dataclass(frozen=True, slots=True)
class NotedHead:
    """The last entry of an agency's chain as an earlier output noted it."""

    agency_id: int
    number: int
    hash: str
    line: str

    @classmethod
    def of_line(cls, line: str) -> Self:
        agency_id, number, digest = line.split()[:3]
        return cls(int(agency_id), int(number), digest, line)


@dataclass(frozen=True, slots=True)
class Difference:
    """An entry that was noted and is not here.

    `is_end_missing`: the chain here is whole and ends earlier, at `last_number`, whose entry is of
    `last_at`. Otherwise another entry has the noted number, or the chain is broken.
    """

    noted: NotedHead
    is_end_missing: bool
    last_number: int = 0
    last_at: datetime | None = None


def read_noted(text: str) -> list[NotedHead]:
    """Return the heads that an earlier output notes, among its other lines."""
    return [NotedHead.of_line(line) for line in text.splitlines() if NOTED.fullmatch(line)]


def compare_with_noted(
    noted: Iterable[NotedHead], verdicts: Mapping[int, Verdict]
) -> Iterator[Difference]:
    """Yield what the chains do not hold any more of that which was noted.

    `verdicts`, by agency, say whether the entries that are here are what their links say.
    """
    for head in noted:
        link = AuditLink.objects.filter(agency_id=head.agency_id, number=head.number).first()
        if head.number == 0 or (link is not None and bytes(link.hash).hex() == head.hash):
            continue
        here = verdicts.get(head.agency_id) or Verdict(head.agency_id, "", 0, "")
        if link is None and not here.broken:
            yield Difference(head, True, here.number, _read_time(head.agency_id, here.number))
        else:
            yield Difference(head, False)


def _read_time(agency_id: int, number: int) -> datetime | None:
    links = AuditLink.objects.filter(agency_id=agency_id, number=number)
    entries = AuditEntry.objects.filter(pk__in=links.values("entry_id"))
    return entries.values_list("at", flat=True).first()


def _describe_fault(
    head: int | None,
    digest: str | None,
    last: int,
    last_digest: str,
    number: int | None,
    before: int,
    entry: int,
    gone: bool,
    unlinked: int | None,
) -> str:
    """Return the first fault of a chain whose head names number `head`; empty where there is none."""
    if number is not None:
        return _describe_misfit(number, before, entry, gone)
    if head is None and last:
        return f"the head is missing: it was deleted, {last} links have none"
    if (head or 0) > last:
        return f"number {head} is missing: links at the end were deleted"
    if (head or 0) < last:
        return f"number {(head or 0) + 1} lies beyond the head: the head was set back"
    if (digest or "") != last_digest:
        return f"number {last} is not the one that the head names"
    return f"entry {unlinked} stands outside the chain" if unlinked else ""


def _describe_misfit(number: int, before: int, entry: int, gone: bool) -> str:
    if number != before + 1:
        return f"number {before + 1} is missing: its link was deleted"
    if gone:
        return f"number {number} is missing: entry {entry} was deleted"
    return f"number {number} was changed: entry {entry} is not what was written"
