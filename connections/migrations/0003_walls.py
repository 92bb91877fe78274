"""Composite foreign keys: a row of one workspace cannot point into another."""

from django.db import migrations

ADD = """
ALTER TABLE connections_connection ADD CONSTRAINT connection_workspace_of_agency
    FOREIGN KEY (workspace_id, agency_id) REFERENCES workspaces_workspace (id, agency_id)
    DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE connections_consent ADD CONSTRAINT consent_workspace_of_agency
    FOREIGN KEY (workspace_id, agency_id) REFERENCES workspaces_workspace (id, agency_id)
    DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE connections_consent ADD CONSTRAINT consent_reconnects_in_workspace
    FOREIGN KEY (reconnects_id, workspace_id) REFERENCES connections_connection (id, workspace_id)
    DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE connections_event ADD CONSTRAINT event_connection_in_workspace
    FOREIGN KEY (connection_id, workspace_id) REFERENCES connections_connection (id, workspace_id)
    DEFERRABLE INITIALLY DEFERRED;
"""
DROP = """
ALTER TABLE connections_event DROP CONSTRAINT event_connection_in_workspace;
ALTER TABLE connections_consent DROP CONSTRAINT consent_reconnects_in_workspace;
ALTER TABLE connections_consent DROP CONSTRAINT consent_workspace_of_agency;
ALTER TABLE connections_connection DROP CONSTRAINT connection_workspace_of_agency;
"""


class Migration(migrations.Migration):
    dependencies = [("connections", "0002_relations")]
    operations = [migrations.RunSQL(ADD, DROP)]
