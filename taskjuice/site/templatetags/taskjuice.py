"""The product's template tags and filters, available in every template.

docs/design-system.md shows each.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from django import template
from django.core.paginator import Page
from django.http import HttpRequest
from django.template.context import Context
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from taskjuice import currencies
from taskjuice.site.icons import ICONS
from taskjuice.workspaces.gate import Scope

register = template.Library()

ICON_OF_TONE = {"good": "check", "warn": "warning", "bad": "error", "info": "info", "mute": "minus"}


@register.simple_tag
@lru_cache(maxsize=512)  # a list has some in every row
def icon(name: str, label: str = "") -> SafeString:
    """Return an inline SVG. Without a `label` it is decoration beside a text."""
    if label:
        return format_html(
            '<svg class="icon" viewBox="0 0 24 24" role="img" aria-label="{}"><path d="{}"/></svg>',
            label,
            ICONS[name],
        )
    return format_html(
        '<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d="{}"/></svg>', ICONS[name]
    )


@register.simple_tag
@lru_cache(maxsize=512)  # the same few stand in every row of a list
def pill(tone: str, text: str, icon: str = "", title: str = "") -> SafeString:
    """Render a state with colour and icon. Tones: good, warn, bad, info, mute."""
    shown = {"tone": tone, "text": text, "icon": icon or ICON_OF_TONE[tone], "title": title}
    return render_to_string("components/pill.html", shown)


@register.simple_tag
@lru_cache(maxsize=64)
def state(name: str) -> SafeString:
    """Render the pill of a known state of a connection, workflow, activation, step or delivery."""
    return render_to_string("components/state.html", {"name": name})


@register.simple_tag
def ago(at: datetime | None, empty: str = "never") -> SafeString:
    """Render `5 minutes ago`, with the exact time in the person's zone on hover and in print."""
    if at is None:
        return format_html('<span class="muted">{}</span>', empty)
    local = timezone.localtime(at)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        at.isoformat(timespec="seconds"),
        _exact(local),
        _relative(at),
    )


@register.simple_tag
def exact(at: datetime | None, empty: str = "never") -> SafeString:
    """Return the exact time in the person's zone, to the second."""
    if at is None:
        return format_html('<span class="muted">{}</span>', empty)
    return format_html(
        '<time datetime="{}">{}</time>',
        at.isoformat(timespec="seconds"),
        _exact(timezone.localtime(at)),
    )


def _exact(local: datetime) -> str:
    return f"{local.day} {local:%b %Y, %H:%M:%S} {local.tzname()}"


def _relative(at: datetime) -> str:
    """Return a short distance in time up to 7 days ago, otherwise the date."""
    away = timezone.now() - at
    ahead = away < timedelta(0)
    distance = abs(away)
    if distance >= timedelta(days=7):
        local = timezone.localtime(at)
        return f"{local.day} {local:%b %Y}"
    if distance < timedelta(seconds=5):
        return "now"
    text = _distance(distance)
    return f"in {text}" if ahead else f"{text} ago"


def _distance(distance: timedelta) -> str:
    seconds = int(distance.total_seconds())
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}{'s' if seconds >= 2 * size else ''}"
    return f"{seconds} seconds"


@register.filter
def duration(span: timedelta | None) -> str:
    """Return `340 ms`, `2.4 s`, `3 min 05 s`, `2 h 07 min`; empty for None."""
    if span is None:
        return ""
    seconds = span.total_seconds()
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min {seconds % 60:02.0f} s"
    return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:02.0f} min"


@register.simple_tag
def amount(number: Decimal | None, currency: str = "", base: str = "") -> SafeString:
    """Return an amount with its currency's decimals, and its code unless that is the base currency."""
    if number is None:
        return SafeString("")
    decimals = currencies.count_shown_decimals(Decimal(number), currency or base)
    text = f"{number:,.{decimals}f}".replace("-", "\u2212")
    if currency and currency != base:
        return format_html(
            '<span class="amount"><span class="currency">{}</span>{}</span>', currency, text
        )
    return format_html('<span class="amount">{}</span>', text)


@register.inclusion_tag("components/meter.html")
def meter(left: int | None, total: int, label: str = "") -> dict[str, Any]:
    """Render what remains of a limit, as a bar and in figures. Low under a fifth, out at nothing."""
    share = 0 if left is None else max(0, min(100, round(100 * left / total))) if total else 0
    tone = "" if left is None or share > 20 else "low" if share else "out"
    return {"left": left, "total": total, "share": share, "tone": tone, "label": label}


@register.simple_tag
def share(part: int, whole: int) -> str:
    """Return the part in hundredths of the whole, as a height in a drawing 100 high."""
    return f"{100 * part / whole:.2f}"


@register.simple_tag
def bar(whole: int, *parts: int) -> str:
    """Return where the topmost of stacked parts begins, from the top of a drawing 100 high."""
    return f"{100 - 100 * sum(parts) / whole:.2f}"


@register.simple_tag
def stack(parts: Sequence[Any], label: str, whole: Decimal | None = None) -> SafeString:
    """Render a bar of stacked parts, each with `place` (its colour, 0 to 4), `name`, `amount`.

    `whole` is its full length.
    """
    full = sum((part.amount for part in parts), Decimal(0)) if whole is None else whole
    drawn, start = [], Decimal(0)
    for part in parts:
        if full and part.amount > 0:
            length = 100 * part.amount / full
            drawn.append((part.place, f"{start:.2f}", f"{length:.2f}", part.name))
            start += length
    bars = '<rect class="age-{}" x="{}" width="{}" height="10"><title>{}</title></rect>'
    # Not a template: a list has one in every row.
    return format_html(
        '<svg class="stack-bar{}" viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>',
        " small" if whole else "",
        label,
        format_html_join("", bars, drawn),
    )


@register.simple_tag(takes_context=True)
def url_with(context: Context, **changes: Any) -> str:
    """Return this page's query string with some parameters changed; None drops one, the page number
    always drops.
    """
    kept = {
        name: values
        for name, values in context["request"].GET.lists()
        if name not in {"page", *changes}
    }
    changed = {name: [str(value)] for name, value in changes.items() if value not in (None, "")}
    return f"?{urlencode(kept | changed, doseq=True)}"


@register.inclusion_tag("components/chip.html", takes_context=True)
def chip(
    context: Context,
    parameter: str,
    value: str,
    text: str,
    count: int | None = None,
    tone: str = "",
) -> dict[str, Any]:
    """Render a filter link with a count that sets `?parameter=value` (empty: no filter)."""
    request: HttpRequest = context["request"]
    return {
        "href": url_with(context, **{parameter: value}),
        "current": request.GET.get(parameter, "") == value,
        "text": text,
        "count": count,
        "tone": tone if count else "",
    }


@register.inclusion_tag("components/sort.html", takes_context=True)
def sort(
    context: Context, field: str, text: str, css: str = "", default: str = ""
) -> dict[str, Any]:
    """Render a sortable column header: `?sort=field`, then `?sort=-field`.

    `default` is the sort without a parameter.
    """
    current = context["request"].GET.get("sort", "") or default
    direction = {field: "ascending", f"-{field}": "descending"}.get(current, "")
    following = f"-{field}" if direction == "ascending" else field
    return {
        "href": url_with(context, sort=following),
        "direction": direction,
        "text": text,
        "css": css,
    }


@register.inclusion_tag("components/pagination.html", takes_context=True)
def pagination(context: Context, page: "Page[Any]") -> dict[str, Any]:
    """Render `1–50 of 213` with previous and next, keeping the page's filters."""
    base = url_with(context)
    joint = "" if base == "?" else "&"
    return {"page": page, "base": base + joint}


@register.filter
def may(scope: Scope | None, level: str) -> bool:
    """Return whether the person may do this here: `{% if scope|may:"admin" %}`.

    Levels: read, work, admin, own.
    """
    return scope is not None and scope.may(level)


@register.filter
def words(fact: object) -> str:
    """Return a detail of an audit entry as text: `colour #000000, reply to none`."""
    if isinstance(fact, dict):
        return ", ".join(
            f"{str(name).replace('_', ' ')} {words(value)}" for name, value in fact.items()
        )
    if isinstance(fact, list):
        return ", ".join(map(words, fact))
    if isinstance(fact, bool):
        return "yes" if fact else "no"
    return "none" if fact in ("", None) else str(fact)


BROWSERS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "Mac"),
    ("Linux", "Linux"),
)


@register.filter
def browser(agent: str) -> str:
    """Return `Firefox on Windows` for a User-Agent; its first 40 characters where that is unknown."""
    name = next((name for mark, name in BROWSERS if mark in agent), "")
    system = next((name for mark, name in SYSTEMS if mark in agent), "")
    return f"{name} on {system}" if name and system else name or agent[:40] or "Unknown"
