"""System checks of the Xero app's settings (`check --deploy`)."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks

from connections.providers import providers
from xero.provider import XeroProvider


def register() -> None:
    checks.register(describe_scopes, deploy=True)


def describe_scopes(
    app_configs: Sequence[AppConfig] | None = None, **_: Any
) -> list[checks.CheckMessage]:
    """Report which scopes Xero is asked for, since only Xero knows whether the app may have
    them.
    """
    scopes = " ".join(settings.XERO_SCOPES)
    advice = providers[XeroProvider.key].scope_advice
    return [checks.Info(f"Xero is asked for: {scopes}.", hint=advice, id="xero.I001")]
