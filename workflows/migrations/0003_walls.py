"""Composite foreign keys: a workflow meets only connections of its agency, an activation only rows of its workspace."""

from django.db import migrations

ADD = """
ALTER TABLE workflows_workflowconnection ADD CONSTRAINT application_workflow_of_agency
    FOREIGN KEY (workflow_id, agency_id) REFERENCES workflows_workflow (id, agency_id)
    DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE workflows_workflowconnection ADD CONSTRAINT application_connection_of_agency
    FOREIGN KEY (connection_id, agency_id) REFERENCES connections_connection (id, agency_id)
    DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE workflows_activation ADD CONSTRAINT activation_workflow_of_agency
    FOREIGN KEY (workflow_id, agency_id) REFERENCES workflows_workflow (id, agency_id)
    DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE workflows_activation ADD CONSTRAINT activation_workspace_of_agency
    FOREIGN KEY (workspace_id, agency_id) REFERENCES workspaces_workspace (id, agency_id)
    DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE workflows_activation ADD CONSTRAINT activation_connection_in_workspace
    FOREIGN KEY (connection_id, workspace_id) REFERENCES connections_connection (id, workspace_id)
    DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE workflows_activation ADD CONSTRAINT activation_event_of_connection
    FOREIGN KEY (event_id, connection_id) REFERENCES connections_event (id, connection_id)
    DEFERRABLE INITIALLY DEFERRED;
"""
DROP = """
ALTER TABLE workflows_activation DROP CONSTRAINT activation_event_of_connection;
ALTER TABLE workflows_activation DROP CONSTRAINT activation_connection_in_workspace;
ALTER TABLE workflows_activation DROP CONSTRAINT activation_workspace_of_agency;
ALTER TABLE workflows_activation DROP CONSTRAINT activation_workflow_of_agency;
ALTER TABLE workflows_workflowconnection DROP CONSTRAINT application_connection_of_agency;
ALTER TABLE workflows_workflowconnection DROP CONSTRAINT application_workflow_of_agency;
"""


class Migration(migrations.Migration):
    dependencies = [("workflows", "0002_relations"), ("connections", "0003_walls")]
    operations = [migrations.RunSQL(ADD, DROP)]
