"""The product's settings, read from the environment of a test run."""

# isort: skip_file
import os

import tests.environment  # noqa: F401 - first, since it sets what the settings read
from taskjuice.settings import *  # noqa: F403 - all of them

# As Django's test runner sets it, but before any URL is read.
DEBUG = False
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.MD5PasswordHasher"
]  # everybody has a password; hashing is slow
# Tests kill processes, never the machine: commits need not wait for the disk.
DATABASES["default"]["OPTIONS"]["options"] = "-c synchronous_commit=off"  # noqa: F405
# Processes that tests start read the product's own settings, from the same environment.
os.environ["DJANGO_SETTINGS_MODULE"] = "taskjuice.settings"
