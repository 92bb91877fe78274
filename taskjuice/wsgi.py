"""The web process. Its database connections come from a pool."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "taskjuice.settings")
os.environ.setdefault("DATABASE_POOL", "true")

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
