from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in

from taskjuice.queue import sweeping


class WorkspacesConfig(AppConfig):
    name = "taskjuice.workspaces"
    label = "workspaces"

    def ready(self) -> None:
        from taskjuice.workspaces import (  # these need loaded models
            data_exports,
            deletions,
            holdings,
            invariants,
            models,
            proof,
        )

        user_logged_in.connect(proof.begin_session, dispatch_uid="began_at")
        invariants.register_checks()
        sweeping.add_sweep("data exports", seconds=15, run=data_exports.sweep)
        sweeping.add_sweep("deletions", seconds=10, run=deletions.sweep)
        holdings.add(models.Workspace, "pk")
        holdings.add(models.ClientUser, extra=("user__email", "user__name"))
        holdings.add(models.Invitation, hidden=("token_hash",))
        holdings.add(models.DataExport, exported=False)
        holdings.add(models.AuditEntry, erased=False)
