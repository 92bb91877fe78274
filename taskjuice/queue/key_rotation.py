"""The progress of a key rotation over the living nodes, and its next step.

A key may come first on a node, and so be used for what that node stores, only once every other node
knows it. So a new key is put at the end everywhere, then in front everywhere; the old one goes when
nothing needs it any more.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass

from django.conf import settings

from taskjuice.queue import heartbeat


@dataclass(frozen=True, slots=True)
class NodeKeys:
    """A living node and the ids of its keys of one setting, in order; none where it does not say."""

    name: str
    keys: tuple[str, ...]

    def __str__(self) -> str:
        keys = ", then ".join(self.keys) or "does not say which keys it knows (an older release)"
        return f"{self.name}: {keys}"


def list_nodes(setting: str) -> list[NodeKeys]:
    rows = (
        heartbeat.list_live_processes().order_by("kind", "node").values_list("kind", "node", "keys")
    )
    return [
        NodeKeys(f"{kind} {node}", tuple((keys or {}).get(setting, ())))
        for kind, node, keys in rows
    ]


def list_without(setting: str, key: str) -> list[NodeKeys]:
    """Return the living nodes that do not know the key, or do not say."""
    return [node for node in list_nodes(setting) if key not in node.keys]


def advise_next_step(nodes: Collection[NodeKeys], needed: Collection[str] | None = None) -> str:
    """Return what to do next. `needed`: the keys by which something is stored, where that is known."""
    lists = [node.keys for node in nodes]
    if not lists:
        return "No node lives."
    if silent := [node.name for node in nodes if not node.keys]:
        return (
            "Bring these to this release first, they do not say which keys they know:"
            f" {_names(silent)}."
        )
    firsts = {keys[0] for keys in lists}
    for key in sorted(firsts):
        if lacking := [node.name for node in nodes if key not in node.keys]:
            return (
                f"At once: put {key} at the end on {_names(lacking)}. Other nodes use it first"
                " already, and what they store cannot be opened there."
            )
    partly = sorted(set().union(*lists) - set(lists[0]).intersection(*lists))
    if partly:
        having = [node.name for node in nodes if partly[0] in node.keys]
        lacking = [node.name for node in nodes if partly[0] not in node.keys]
        return (
            f"{partly[0]} is known to {len(having)} of {len(lists)}."
            f" If it is new: put it at the end on {_names(lacking)}."
            f" If it is to go: take it out on {_names(having)}."
        )
    return _advise_where_all_know_the_same(nodes, firsts, needed)


def _advise_where_all_know_the_same(
    nodes: Collection[NodeKeys], firsts: set[str], needed: Collection[str] | None
) -> str:
    if len(firsts) > 1:
        ones = "; ".join(
            f"{key} is first on {_names([node.name for node in nodes if node.keys[0] == key])}"
            for key in sorted(firsts)
        )
        return f"Put the new key in front on the other nodes as well: {ones}."
    [first] = firsts
    others = sorted({key for node in nodes for key in node.keys} - {first})
    if not others:
        return f"Nothing is under way: every node knows {first} alone."
    new = f"If {', '.join(others)} is new: put it in front, one node after the other."
    if needed is None:
        return f"{new} If it is the old one: take it out when nothing signed with it is awaited any more."
    if set(needed) - {first}:
        return f"{new} If {first} is new: run `manage.py rotate_token_keys`."
    return f"{new} If it is the old one: take it out, an hour after {first} came first on the last node."


def _names(names: list[str]) -> str:
    return ", ".join(names)


def list_secret_key_ids() -> list[str]:
    """Return ids of SECRET_KEY and its fallbacks that do not reveal them."""
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return [hashlib.sha256(f"SECRET_KEY {key}".encode()).hexdigest()[:12] for key in keys]
