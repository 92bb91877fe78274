"""The WSGI application of the web process. Its database connections come from a pool."""

import gc
import logging
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "taskjuice.settings")
os.environ.setdefault("DATABASE_POOL", "true")

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from taskjuice.database import limits
from taskjuice.request_bodies import WholeBodies
from taskjuice.site.checks import embedded_database

limits.set_kind("web")
application = WholeBodies(get_wsgi_application(), largest=settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
for warning in embedded_database(None):  # a server runs no checks
    logging.getLogger("taskjuice").warning("%s %s", warning.msg, warning.hint)
from taskjuice.queue import heartbeat  # noqa: E402 - its model needs loaded apps

heartbeat.start_in_web_process()
# What every request needs is loaded now, and the garbage collector leaves it alone from here on.
_ = get_resolver().url_patterns
gc.collect()
gc.freeze()
