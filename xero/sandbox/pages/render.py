"""Rendering of the sandbox's own pages with jinja2."""

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

FOLDER = Path(__file__).resolve().parent.parent
SECURITY = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def money(value: Any) -> str:
    return f"{Decimal(str(value)):,.2f}" if value not in (None, "") else ""


def number(value: Any) -> str:
    """Format 1.0000 as 1, and 2.5000 as 2.5."""
    return "" if value in (None, "") else f"{Decimal(str(value)).normalize():f}"


def price(value: Any) -> str:
    """Format with at least two decimals and no thousands separator, since it goes back in a
    form.
    """
    if value in (None, ""):
        return ""
    exact = number(value)
    return exact if len(exact.partition(".")[2]) > 2 else f"{Decimal(exact):.2f}"


def day(value: Any) -> str:
    """Format 2026-03-01T00:00:00 as 1 Mar 2026."""
    if not value:
        return ""
    date = datetime.fromisoformat(str(value)[:10])
    return f"{date.day} {date:%b %Y}"


_environment = Environment(
    loader=FileSystemLoader(FOLDER / "templates"),
    autoescape=select_autoescape(),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters.update(money=money, number=number, price=price, day=day)


def page(template: str, *, status: int = 200, **context: Any) -> web.Response:
    text = _environment.get_template(template).render(**context)
    return web.Response(text=text, status=status, content_type="text/html", headers=SECURITY)
