"""`make bench`: how fast webhooks are acknowledged and events worked off, as figures of one run on one machine."""

import itertools
import time

BARE = "/bench/bare/"
TABLE = "bench_delivery"


def ready() -> None:
    """Django over a migrated database; what is made in it has names that no other part or run left there."""
    import django

    django.setup()
    from django.core.management import call_command

    from tests import factories

    call_command("migrate", verbosity=0)
    factories.numbers = itertools.count(time.time_ns() // 1000)
