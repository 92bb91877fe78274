"""The branding that an agency shows its clients: colour, logo, reply-to address."""

from django.db import transaction

from taskjuice.workspaces import audit
from taskjuice.workspaces.logos import Logo
from taskjuice.workspaces.models import Agency, Branding, User

DARK, LIGHT = "#17232a", "#ffffff"


def of(agency: Agency) -> Branding:
    """Return the agency's branding without the logo's bytes; a blank one before any was saved."""
    return Branding.objects.defer("logo").filter(agency=agency).first() or Branding(
        agency=agency, colour="", reply_to="", logo_digest=""
    )


def logo_at(digest: str) -> bytes | None:
    """Return the PNG of this digest."""
    branding = (
        Branding.objects.filter(logo_digest=digest).exclude(logo_digest="").only("logo").first()
    )
    return bytes(branding.logo) if branding and branding.logo else None


@transaction.atomic
def save(
    *,
    agency: Agency,
    colour: str,
    reply_to: str,
    logo: Logo | None,
    remove_logo: bool = False,
    by: User,
) -> None:
    """Store the branding. Without a new `logo` the old one stays, unless it is to be removed."""
    branding, _ = Branding.objects.select_for_update().get_or_create(agency=agency)
    before = {
        "colour": branding.colour,
        "reply_to": branding.reply_to,
        "logo": branding.logo_digest,
    }
    branding.colour, branding.reply_to = colour, reply_to
    if logo is not None:
        branding.logo, branding.logo_digest = logo.png, logo.digest
        branding.logo_width, branding.logo_height = logo.width, logo.height
    elif remove_logo:
        branding.logo, branding.logo_digest, branding.logo_width, branding.logo_height = (
            None,
            "",
            None,
            None,
        )
    branding.save()
    after = {"colour": branding.colour, "reply_to": branding.reply_to, "logo": branding.logo_digest}
    if before != after:
        audit.record(
            "branding changed",
            by=by,
            agency=agency,
            subject=agency.name,
            before=before,
            after=after,
        )


def on(colour: str) -> str:
    """Return the text colour with more contrast on this one, dark or light (WCAG's contrast)."""
    return max((DARK, LIGHT), key=lambda text: _contrast(colour, text))


def _contrast(first: str, second: str) -> float:
    lighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
