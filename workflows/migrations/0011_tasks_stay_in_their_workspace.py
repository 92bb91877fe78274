"""Composite foreign keys of tasks; tasks and noted requests go with their activation, whoever deletes it."""

from django.db import migrations

ADD = """
ALTER TABLE workflows_approval ADD CONSTRAINT approval_workspace_of_agency
    FOREIGN KEY (workspace_id, agency_id) REFERENCES workspaces_workspace (id, agency_id)
    DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE workflows_approval ADD CONSTRAINT approval_activation_in_workspace
    FOREIGN KEY (activation_id, workspace_id) REFERENCES workflows_activation (id, workspace_id)
    ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE workflows_sentrequest ADD CONSTRAINT request_of_activation
    FOREIGN KEY (activation_id) REFERENCES workflows_activation (id)
    ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
"""
DROP = """
ALTER TABLE workflows_sentrequest DROP CONSTRAINT request_of_activation;
ALTER TABLE workflows_approval DROP CONSTRAINT approval_activation_in_workspace;
ALTER TABLE workflows_approval DROP CONSTRAINT approval_workspace_of_agency;
"""


class Migration(migrations.Migration):
    dependencies = [("workflows", "0010_tasks_schedules_requests"), ("workspaces", "0001_initial")]
    operations = [migrations.RunSQL(ADD, DROP)]
