"""Template tags: times, amounts, limits, links of lists."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest
from django.core.paginator import Paginator
from django.http import QueryDict
from django.template import Context, Template
from django.utils import timezone

from connections.models import ConnectionState, DeliveryState
from taskjuice.site.icons import ICONS
from taskjuice.site.templatetags import taskjuice as tags
from workflows.models import ActivationState, WorkflowState


def render(source: str, query: str = "", **values: object) -> str:
    request = SimpleNamespace(GET=QueryDict(query))
    return Template(source).render(Context({"request": request, **values})).strip()


@pytest.mark.parametrize(
    ("away", "text"),
    [
        (timedelta(seconds=1), "now"),
        (timedelta(seconds=42), "42 seconds ago"),
        (timedelta(seconds=60), "1 minute ago"),
        (timedelta(seconds=119), "1 minute ago"),
        (timedelta(minutes=59), "59 minutes ago"),
        (timedelta(hours=1), "1 hour ago"),
        (timedelta(hours=47), "1 day ago"),
        (timedelta(days=6), "6 days ago"),
        (timedelta(minutes=-5, seconds=-1), "in 5 minutes"),
    ],
)
def test_time_is_relative(away: timedelta, text: str) -> None:
    assert f">{text}</time>" in tags.ago(timezone.now() - away)


def test_old_time_is_a_date_and_its_exact_form_is_in_the_persons_zone() -> None:
    at = datetime(2026, 1, 31, 12, 30, 5, tzinfo=UTC)
    with timezone.override("Pacific/Auckland"):
        assert tags.ago(at) == (
            '<time datetime="2026-01-31T12:30:05+00:00" title="1 Feb 2026, 01:30:05 NZDT">1 Feb 2026</time>'
        )
        assert tags.exact(at) == (
            '<time datetime="2026-01-31T12:30:05+00:00">1 Feb 2026, 01:30:05 NZDT</time>'
        )


def test_missing_time_is_said_in_words() -> None:
    assert tags.ago(None, "none yet") == '<span class="muted">none yet</span>'


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (None, ""),
        (timedelta(milliseconds=340), "340 ms"),
        (timedelta(seconds=2.44), "2.4 s"),
        (timedelta(seconds=185), "3 min 05 s"),
        (timedelta(minutes=127), "2 h 07 min"),
    ],
)
def test_duration(span: timedelta | None, text: str) -> None:
    assert tags.duration(span) == text


@pytest.mark.parametrize(
    ("number", "currency", "text"),
    [
        (Decimal("1234.5"), "NZD", '<span class="amount">1,234.50</span>'),
        (
            Decimal(-80),
            "USD",
            '<span class="amount"><span class="currency">USD</span>\u221280.00</span>',
        ),
        (Decimal("12345678901234.56"), "", '<span class="amount">12,345,678,901,234.56</span>'),
        (None, "USD", ""),
    ],
)
def test_amount_names_a_currency_that_is_not_the_base(
    number: Decimal | None, currency: str, text: str
) -> None:
    assert tags.amount(number, currency, "NZD") == text


@pytest.mark.parametrize(
    ("left", "total", "share", "tone"),
    [
        (5000, 5000, 100, ""),
        (1000, 5000, 20, "low"),
        (0, 5000, 0, "out"),
        (None, 5000, 0, ""),
        (6000, 5000, 100, ""),
    ],
)
def test_meter_warns_when_little_is_left(
    left: int | None, total: int, share: int, tone: str
) -> None:
    shown = tags.meter(left, total)
    assert (shown["share"], shown["tone"]) == (share, tone)


def test_meter_without_figures_raises_no_alarm() -> None:
    assert "not known yet" in render("{% meter None 5000 %}")
    assert 'class="meter "' in render("{% meter None 5000 %}")


def test_chip_sets_its_filter_keeps_the_others_and_drops_the_page() -> None:
    html = render('{% chip "state" "failed" "Failed" 3 tone="bad" %}', "q=tui&state=waiting&page=4")
    assert (
        html
        == '<a class="chip bad" href="?q=tui&amp;state=failed">Failed <span class="count">3</span></a>'
    )


def test_chip_of_the_current_filter_says_so() -> None:
    assert 'aria-current="true"' in render('{% chip "state" "" "All" 3 %}', "q=tui")


def test_sort_header_turns_around() -> None:
    assert 'href="?sort=name"' in render('{% sort "name" "Client" %}')
    html = render('{% sort "name" "Client" %}', "sort=name")
    assert 'href="?sort=-name"' in html
    assert 'aria-sort="ascending"' in html
    assert 'aria-sort="descending"' in render('{% sort "date" "Date" default="-date" %}')


def test_pagination_keeps_the_filters() -> None:
    page = Paginator(range(120), 50).page(2)
    html = render("{% pagination page %}", "q=tui&page=2", page=page)
    assert "51–100 of 120" in html
    assert 'href="?q=tui&amp;page=1"' in html
    assert 'href="?q=tui&amp;page=3"' in html


@pytest.mark.parametrize(
    "name",
    [
        *ConnectionState.values,
        *WorkflowState.values,
        *ActivationState.values,
        *DeliveryState.values,
    ],
)
def test_every_state_has_words_of_its_own(name: str) -> None:
    assert f"</svg>{name}</span>" not in render("{% state name %}", name=name)


def test_every_icon_draws() -> None:
    for name in ICONS:
        assert tags.icon(name, "Label").startswith(
            '<svg class="icon" viewBox="0 0 24 24" role="img"'
        )


@pytest.mark.parametrize(
    ("agent", "text"),
    [
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64) Chrome/140 Safari/537.36 Edg/140",
            "Edge on Windows",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1",
            "Safari on iPhone",
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "Firefox on Linux",
        ),
        ("curl/8.5", "curl/8.5"),
        ("", "Unknown"),
    ],
)
def test_browser_is_named(agent: str, text: str) -> None:
    assert tags.browser(agent) == text


@pytest.mark.parametrize(
    ("fact", "text"),
    [
        ({"colour": "#000000", "reply_to": ""}, "colour #000000, reply to none"),
        (["Harbour", 2], "Harbour, 2"),
        (True, "yes"),
        (0, "0"),
        (None, "none"),
        ("member", "member"),
    ],
)
def test_fact_of_the_trail_is_in_words(fact: object, text: str) -> None:
    assert tags.words(fact) == text
