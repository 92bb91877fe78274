"""`make bench`: how fast webhooks are acknowledged and events processed, measured in one run on one
machine.
"""

from importlib import import_module

BARE = "/bench/bare/"
TABLE = "bench_delivery"


def ready() -> None:
    """Set Django up over a migrated database, loaded as the web process loads it."""
    import django

    django.setup()
    from django.core.management import call_command

    import_module(
        "taskjuice.wsgi"
    )  # loads the URLs, and the garbage collector leaves alone what is there
    call_command("migrate", verbosity=0)
