"""The page to which a form returns, posted by the form itself."""

from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme


def read_return_address(request: HttpRequest, name: str = "next") -> str:
    """Return the path that the posted field `name` holds, or nothing where it is no page of ours.

    It must begin with a slash: Django's `redirect` takes other text for the name of a view, and
    fails on one it does not know.
    """
    path = request.POST.get(name, "")
    hosts = {request.get_host()}
    is_ours = path.startswith("/") and url_has_allowed_host_and_scheme(
        path, hosts, request.is_secure()
    )
    return path if is_ours else ""
