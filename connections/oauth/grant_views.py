"""Pages of the consents that connections depend on, and their transfer to a colleague."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from connections.oauth import consents, grant_holders
from taskjuice.workspaces import gate


@require_safe
def grant_list(request: HttpRequest, agency: str) -> HttpResponse:
    scope = gate.enter(request, agency, level=consents.LEVEL)
    return render(
        request,
        "connections/grants/list.html",
        {"holders": grant_holders.list_holders(scope.agency)},
    )


@require_http_methods(["GET", "POST"])
def grant_hand_over(request: HttpRequest, agency: str, grant: int) -> HttpResponse:
    """Show what depends on one person's consent; a POST leads to the provider to consent instead."""
    scope = gate.enter(request, agency, level=consents.LEVEL)
    holder = grant_holders.find_holder(scope.agency, grant)
    if holder is None:
        raise Http404("Nothing of this agency hangs on such a grant.")
    movable = [each for each in holder.connections if each.workspace.archived_at is None]
    if request.method == "POST" and movable:
        url = consents.begin_consent(
            request,
            provider=holder.grant.provider,
            workspace=movable[0].workspace,
            by=scope.user,
            takes_over=holder.grant,
        )
        return redirect(url)
    return render(
        request, "connections/grants/hand_over.html", {"holder": holder, "movable": movable}
    )
