"""The database itself refuses to change or delete audit entries."""

from django.db import migrations

ADD = """
CREATE FUNCTION workspaces_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit entries are never changed or deleted' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER audit_immutable BEFORE UPDATE OR DELETE ON workspaces_auditentry
    FOR EACH ROW EXECUTE FUNCTION workspaces_audit_refuse();
"""
DROP = """
DROP TRIGGER audit_immutable ON workspaces_auditentry;
DROP FUNCTION workspaces_audit_refuse();
"""


class Migration(migrations.Migration):
    dependencies = [("workspaces", "0001_initial")]
    operations = [migrations.RunSQL(ADD, DROP)]
