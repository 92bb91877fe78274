from django.apps import AppConfig

from taskjuice.queue import sweeping
from taskjuice.workspaces import holdings


class ConnectionsConfig(AppConfig):
    name = "connections"

    def ready(self) -> None:
        # These need loaded models.
        from connections import cards, disconnection, invariants, lifecycle, models
        from connections.oauth import checks, encryption, grants, link_progress
        from connections.oauth import cleanup as consent_cleanup
        from connections.webhooks import fan_out
        from connections.webhooks import retention as delivery_retention
        from taskjuice.queue import heartbeat

        sweeping.add_sweep("waiting deliveries", seconds=2, run=fan_out.rewake_waiting)
        sweeping.add_sweep(
            "events that a write may have caused", seconds=1, run=fan_out.announce_decided
        )
        sweeping.add_sweep("idle grants", seconds=3600, run=grants.refresh_idle_grants)
        sweeping.add_sweep("untold connect links", seconds=20, run=link_progress.wake_unnotified)
        sweeping.add_sweep("ended connections", seconds=60, run=disconnection.finish_disconnects)
        sweeping.add_sweep("unchosen consents", seconds=300, run=consent_cleanup.clear_unchosen)
        sweeping.add_sweep(
            "tenants at the provider", seconds=300, run=lifecycle.check_listed_tenants
        )
        invariants.register()
        delivery_retention.register()
        checks.register()
        heartbeat.report_keys(encryption.SETTING, encryption.list_key_ids)
        cards.register()
        holdings.when_leaving(disconnection.end_workspace_connections)
        holdings.add(models.Connection, before=disconnection.release_workspace)
        holdings.add(models.ConnectLink, hidden=("token_hash",))
        holdings.add(models.Consent, exported=False)
        holdings.add(models.Event)
        holdings.add(models.Sending, "connection__workspace")
        holdings.add(models.Call)
        holdings.add(models.Mention)
