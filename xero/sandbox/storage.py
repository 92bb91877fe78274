"""The sandbox's storage: JSON documents by kind and id in one SQLite file."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import simplejson

_TABLE = """
CREATE TABLE IF NOT EXISTS records (
    place INTEGER PRIMARY KEY, kind TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (kind, id)
)
"""
_UPSERT = "INSERT INTO records (kind, id, body) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET body = excluded.body"


def _encode(document: Mapping[str, Any]) -> str:
    # as a plain dict: the C encoder knows no other mapping
    return simplejson.dumps(dict(document), use_decimal=True, separators=(",", ":"))


class Storage:
    """JSON documents by (kind, id) that survive a restart; with path None they are in memory only.

    Numbers with a point come back as Decimal, digit for digit; whole numbers as int. May be used
    from several threads.
    """

    def __init__(self, path: Path | None) -> None:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = Lock()
        self._database = sqlite3.connect(
            str(path) if path else ":memory:", check_same_thread=False, isolation_level=None
        )
        # WAL: a commit is one append; NORMAL: safe against the death of the process
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.execute(_TABLE)

    def load(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return all documents of a kind, in the order in which they were first saved."""
        with self._lock:
            rows = self._database.execute(
                "SELECT id, body FROM records WHERE kind = ? ORDER BY place", (kind,)
            ).fetchall()
        return {id: simplejson.loads(body, use_decimal=True) for id, body in rows}

    def save(self, kind: str, id: str, document: Mapping[str, Any]) -> None:
        with self._lock:
            self._database.execute(_UPSERT, (kind, id, _encode(document)))

    def save_many(self, kind: str, documents: Mapping[str, Mapping[str, Any]]) -> None:
        """Save all of the documents or none, in one transaction."""
        self.save_kinds({kind: documents})

    def save_kinds(self, kinds: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
        """Save documents of several kinds, all of them or none, in one transaction."""
        rows = (
            (kind, id, _encode(document))
            for kind, documents in kinds.items()
            for id, document in documents.items()
        )
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                self._database.executemany(_UPSERT, rows)
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    def delete(self, kind: str, id: str) -> None:
        with self._lock:
            self._database.execute("DELETE FROM records WHERE kind = ? AND id = ?", (kind, id))

    def close(self) -> None:
        with self._lock:
            self._database.close()
