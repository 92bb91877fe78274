"""Checking the audit trail's chain. It trusts no function stored in the database, only its rows."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.db import connection

from taskjuice.workspaces.models import Agency, AuditHead, AuditLink

# The first link up to the head that does not fit; the hash is that of migration 0006.
MISFIT = """
WITH chain AS (
    SELECT number, entry_id, hash,
           lag(number, 1, 0::bigint) OVER before AS number_before,
           lag(hash, 1, ''::bytea) OVER before AS hash_before
      FROM workspaces_auditlink WHERE agency_id = %(agency)s AND number <= %(number)s
    WINDOW before AS (ORDER BY number)),
checked AS (
    SELECT c.number, c.number_before, c.entry_id, e.id IS NULL AS gone,
           sha256(convert_to(c.number || ' ' || encode(c.hash_before, 'hex') || ' ' || jsonb_build_array(
               e.id, e.agency_id, e.workspace_id, e.workspace_name, e.actor_id, e.actor_name, e.verb, e.subject,
               e.details, host(e.address),
               to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'))::text, 'UTF8')) <> c.hash AS changed
      FROM chain c LEFT JOIN workspaces_auditentry e ON e.id = c.entry_id)
SELECT number, number_before, entry_id, gone FROM checked
 WHERE number <> number_before + 1 OR gone OR changed ORDER BY number LIMIT 1
"""
UNLINKED = """
SELECT min(e.id) FROM workspaces_auditentry e LEFT JOIN workspaces_auditlink l ON l.entry_id = e.id
 WHERE e.agency_id = %(agency)s AND l.entry_id IS NULL
"""
# Agencies that were deleted keep their chains.
AGENCIES = """
SELECT agency_id FROM workspaces_audithead UNION SELECT DISTINCT agency_id FROM workspaces_auditlink
 UNION SELECT DISTINCT agency_id FROM workspaces_auditentry ORDER BY 1
"""


NOTED = re.compile(r"\d+ \d+ (?:[0-9a-f]{64}|-) .*")


@dataclass(frozen=True, slots=True)
class Verdict:
    """One agency's chain: its last number and hash (hex), and what is wrong first; empty when nothing is."""

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
    """Entries written meanwhile do not matter: it is checked up to the head as it was at first."""
    head = AuditHead.objects.filter(pk=agency_id).first()
    number, digest = (head.number, bytes(head.hash).hex()) if head else (0, "")
    return Verdict(agency_id, name, number, digest, broken=_broken(agency_id, number, digest))


def noted_in(text: str) -> list[str]:
    """The lines of an earlier output that note a chain's head; it says other things too."""
    return [line for line in text.splitlines() if NOTED.fullmatch(line)]


def differing(noted: Iterable[str]) -> Iterator[str]:
    """Of lines `<agency id> <number> <hash> …` noted earlier, those that the chain does not hold any more."""
    for line in noted:
        agency_id, number, digest = line.split()[:3]
        link = AuditLink.objects.filter(agency_id=int(agency_id), number=int(number)).first()
        if int(number) and (link is None or bytes(link.hash).hex() != digest):
            yield line


def _broken(agency_id: int, number: int, digest: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(MISFIT, {"agency": agency_id, "number": number})
        misfit = cursor.fetchone()
        cursor.execute(UNLINKED, {"agency": agency_id})
        (unlinked,) = cursor.fetchone()
    if misfit:
        return _said(*misfit)
    last = AuditLink.objects.filter(agency_id=agency_id, number=number).first()
    if number and last is None:
        return f"number {number} is missing: links at the end were deleted"
    if last is not None and bytes(last.hash).hex() != digest:
        return f"number {number} is not the one that the head names"
    return f"entry {unlinked} stands outside the chain" if unlinked else ""


def _said(number: int, before: int, entry: int, gone: bool) -> str:
    if number != before + 1:
        return f"number {before + 1} is missing: its link was deleted"
    if gone:
        return f"number {number} is missing: entry {entry} was deleted"
    return f"number {number} was changed: entry {entry} is not what was written"
