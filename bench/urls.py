"""The bare view that the webhook receiver is measured against."""

import hashlib
import hmac
from base64 import b64decode

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import path

from bench import BARE, TABLE

KEY = settings.XERO_WEBHOOK_KEYS[0].encode()


def insert(request: HttpRequest) -> HttpResponse:
    body = request.body
    given = b64decode(request.headers["x-xero-signature"])
    if not hmac.compare_digest(hmac.new(KEY, body, hashlib.sha256).digest(), given):
        return HttpResponse(status=401)
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {TABLE} (body) VALUES (%s)", [body])
    return HttpResponse(headers={"Content-Length": "0"})


urlpatterns = [path(BARE.strip("/") + "/", insert)]
