"""The product, and beside it the ceiling: a bare view that only checks the HMAC and runs one raw
INSERT.
"""

from collections.abc import Callable, Iterable
from typing import Any

from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.test.utils import override_settings

from bench import BARE
from taskjuice.wsgi import application as product


class BareRequest(WSGIRequest):
    urlconf = "bench.urls"


class BareHandler(WSGIHandler):
    request_class = BareRequest


with override_settings(MIDDLEWARE=[]):  # a handler reads the list once, here
    bare = BareHandler()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    answer: Iterable[bytes] = (bare if environ["PATH_INFO"] == BARE else product)(
        environ, start_response
    )
    return answer
