"""The database itself refuses to change what a published version does."""

from django.db import migrations

ADD = """
CREATE FUNCTION workflows_version_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a published version is frozen' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER version_frozen BEFORE UPDATE ON workflows_version
    FOR EACH ROW WHEN (
        OLD.published_at IS NOT NULL
        AND (OLD.workflow_id, OLD.number, OLD.trigger, OLD.trigger_settings, OLD.steps, OLD.published_at)
            IS DISTINCT FROM
            (NEW.workflow_id, NEW.number, NEW.trigger, NEW.trigger_settings, NEW.steps, NEW.published_at)
    ) EXECUTE FUNCTION workflows_version_refuse();
"""
DROP = """
DROP TRIGGER version_frozen ON workflows_version;
DROP FUNCTION workflows_version_refuse();
"""


class Migration(migrations.Migration):
    dependencies = [("workflows", "0005_drafts_and_replays")]
    operations = [migrations.RunSQL(ADD, DROP)]
