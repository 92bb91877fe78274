"""Django's command line for TaskJuice."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "taskjuice.settings")
    from django.conf import settings  # after the settings module is named
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        _ = settings.INSTALLED_APPS
    except ImproperlyConfigured as problem:
        sys.exit(f"TaskJuice does not start. {problem}")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
