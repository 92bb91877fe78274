"""`make bench`: how fast webhooks are acknowledged and events worked off, as figures of one run on one machine."""

BARE = "/bench/bare/"
TABLE = "bench_delivery"


def ready() -> None:
    """Django over a migrated database."""
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
