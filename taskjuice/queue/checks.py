"""System checks that refuse settings of django-q2 which would lose, repeat or stall tasks.

With `check --database default`, they also refuse a
role that lacks privileges which web and worker need.
"""

from collections.abc import Sequence
from math import ceil
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register

from taskjuice.database import privileges

# setting → (the only good value, what goes wrong with another)
FIXED = {
    "orm": ("default", "A wake-up must commit with the state that needs it, in the same database."),
    "broker_class": (
        "taskjuice.queue.broker.InOrder",
        "Messages must be taken in the order they came.",
    ),
    "bulk": (1, "Messages held in memory are lost with their process."),
    "max_attempts": (1, "The queue never retries; the rows decide what runs again."),
    "ack_failures": (True, "A failing message would come back for ever."),
    "catch_up": (False, "Missed schedules would all run at once."),
    "scheduler": (False, "One malformed schedule stops all of them; the sweeper does timed work."),
    "save_limit": (-1, "Counting and deleting results at every task costs most of the speed."),
}


@register
def check_queue_settings(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    return list_problems(settings.Q_CLUSTER)


def list_problems(cluster: dict[str, Any]) -> list[CheckMessage]:
    problems: list[CheckMessage] = [
        Error(
            f"Q_CLUSTER[{key!r}] must be {value!r}, not {cluster.get(key)!r}.",
            hint=why,
            id="queue.E001",
        )
        for key, (value, why) in FIXED.items()
        if cluster.get(key) != value
    ]
    workers, limit = cluster.get("workers") or 0, cluster.get("queue_limit") or 0
    if not 1 <= limit <= workers:
        hint = (
            "Messages waiting in memory behind busy workers run late, and twice."
            " Use as many as workers."
        )
        problems.append(
            Error(
                "Q_CLUSTER['queue_limit'] must be between 1 and 'workers'.",
                hint=hint,
                id="queue.E002",
            )
        )
        return problems
    timeout, retry = cluster.get("timeout") or 0, cluster.get("retry") or 0
    least = timeout * (1 + ceil((limit + 1) / workers)) + 60
    if timeout < 60 or retry < least:
        hint = (
            "'retry' counts from the moment a message is taken, waiting included:"
            f" set at least {least}."
        )
        problems.append(
            Error("Q_CLUSTER['timeout'] or ['retry'] is too short.", hint=hint, id="queue.E003")
        )
    return problems


@register(Tags.database)
def check_database_privileges(
    databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """Check that the connected role can read and write all tables and use their sequences."""
    missing = privileges.list_missing() if "default" in (databases or ()) else []
    hint = (
        "As the owner of the tables run `manage.py grant_node_role ROLE`"
        " (docs/deploy.md, Two roles)."
    )
    return [
        Error(f"The database's role lacks {lack}.", hint=hint, id="queue.E004") for lack in missing
    ]
