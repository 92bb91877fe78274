"""What the frame around every page needs."""

from typing import Any

from django.http import HttpRequest


def frame(request: HttpRequest) -> dict[str, Any]:
    return {"scope": getattr(request, "scope", None)}
