"""Composite foreign keys: a connect link, and what came of it, stay in one workspace of one agency."""

from django.db import migrations

ADD = """
ALTER TABLE connections_connectlink ADD CONSTRAINT link_workspace_of_agency
    FOREIGN KEY (workspace_id, agency_id) REFERENCES workspaces_workspace (id, agency_id)
    DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE connections_connectlink ADD CONSTRAINT link_reconnects_in_workspace
    FOREIGN KEY (reconnects_id, workspace_id) REFERENCES connections_connection (id, workspace_id)
    DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE connections_consent ADD CONSTRAINT consent_link_in_workspace
    FOREIGN KEY (link_id, workspace_id) REFERENCES connections_connectlink (id, workspace_id)
    DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE connections_connection ADD CONSTRAINT connection_through_link_of_workspace
    FOREIGN KEY (connected_through_id, workspace_id) REFERENCES connections_connectlink (id, workspace_id)
    DEFERRABLE INITIALLY DEFERRED;
"""
DROP = """
ALTER TABLE connections_connection DROP CONSTRAINT connection_through_link_of_workspace;
ALTER TABLE connections_consent DROP CONSTRAINT consent_link_in_workspace;
ALTER TABLE connections_connectlink DROP CONSTRAINT link_reconnects_in_workspace;
ALTER TABLE connections_connectlink DROP CONSTRAINT link_workspace_of_agency;
"""


class Migration(migrations.Migration):
    dependencies = [("connections", "0011_connect_links")]
    operations = [migrations.RunSQL(ADD, DROP)]
