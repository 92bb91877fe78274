"""Telling an agency's owner and admins by e-mail that connections need them."""

from collections.abc import Sequence

from django.conf import settings
from django.urls import reverse

from connections.models import ConnectionState
from taskjuice.workspaces import letters
from taskjuice.workspaces.models import Agency, Role


def tell_broken(agency_id: int, connection_ids: Sequence[int]) -> int:
    """One e-mail for all of them; those mended meanwhile are left out. Returns how many people were written to."""
    agency = Agency.objects.get(pk=agency_id)
    broken = agency.connections.filter(pk__in=connection_ids, state=ConnectionState.ERROR)
    people = agency.memberships.filter(role__in=(Role.OWNER, Role.ADMIN), user__is_active=True)
    to = list(people.order_by("pk").values_list("user__email", flat=True))
    found = list(broken.select_related("workspace").order_by("pk"))
    if not (found and to):
        return 0
    path = reverse("connections:connection-list", args=[agency.slug])
    words = {
        "agency": agency,
        "connections": found,
        "url": f"{settings.BASE_URL}{path}?state=attention",
    }
    letters.letter("connections/email/broken", words, to=to).send()
    return len(to)
