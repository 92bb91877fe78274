"""The audit trail's hash chain, one per agency, and no way to empty the trail.

An entry is linked when its transaction commits: the head of its agency's chain is held for that moment only, so that
audited work neither waits for other work of the agency nor meets it in the wrong order. Entries from before get
their links here, by age.
"""

import django.db.models.deletion
from django.db import migrations, models

CHAIN = """
CREATE FUNCTION workspaces_audit_hash(number bigint, previous bytea, e workspaces_auditentry)
RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(convert_to(number || ' ' || encode(previous, 'hex') || ' ' || jsonb_build_array(
        e.id, e.agency_id, e.workspace_id, e.workspace_name, e.actor_id, e.actor_name, e.verb, e.subject,
        e.details, host(e.address), to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'))::text, 'UTF8'))
$$;

CREATE FUNCTION workspaces_audit_append(e workspaces_auditentry) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    head workspaces_audithead;
BEGIN
    INSERT INTO workspaces_audithead (agency_id, number, hash) VALUES (e.agency_id, 0, '') ON CONFLICT DO NOTHING;
    SELECT * INTO head FROM workspaces_audithead WHERE agency_id = e.agency_id FOR UPDATE;
    head.hash := workspaces_audit_hash(head.number + 1, head.hash, e);
    head.number := head.number + 1;
    INSERT INTO workspaces_auditlink (entry_id, agency_id, number, hash)
        VALUES (e.id, e.agency_id, head.number, head.hash);
    UPDATE workspaces_audithead SET number = head.number, hash = head.hash WHERE agency_id = e.agency_id;
END $$;

UPDATE workspaces_auditentry e SET workspace_name = w.name FROM workspaces_workspace w WHERE w.id = e.workspace_id;
DO $$
DECLARE
    e workspaces_auditentry;
BEGIN
    FOR e IN SELECT * FROM workspaces_auditentry ORDER BY id LOOP
        PERFORM workspaces_audit_append(e);
    END LOOP;
END $$;

CREATE FUNCTION workspaces_audit_chain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM workspaces_audit_append(NEW);
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER audit_chain AFTER INSERT ON workspaces_auditentry
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION workspaces_audit_chain();
"""
UNCHAIN = """
DROP TRIGGER audit_chain ON workspaces_auditentry;
DROP FUNCTION workspaces_audit_chain();
DROP FUNCTION workspaces_audit_append(workspaces_auditentry);
DROP FUNCTION workspaces_audit_hash(bigint, bytea, workspaces_auditentry);
"""
GUARD = """
CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON workspaces_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION workspaces_audit_refuse();
CREATE TRIGGER audit_link_immutable BEFORE UPDATE OR DELETE ON workspaces_auditlink
    FOR EACH ROW EXECUTE FUNCTION workspaces_audit_refuse();
CREATE TRIGGER audit_link_no_truncate BEFORE TRUNCATE ON workspaces_auditlink
    FOR EACH STATEMENT EXECUTE FUNCTION workspaces_audit_refuse();
CREATE TRIGGER audit_head_grows BEFORE UPDATE ON workspaces_audithead
    FOR EACH ROW WHEN (NEW.agency_id <> OLD.agency_id OR NEW.number <> OLD.number + 1)
    EXECUTE FUNCTION workspaces_audit_refuse();
CREATE TRIGGER audit_head_stays BEFORE DELETE ON workspaces_audithead
    FOR EACH ROW EXECUTE FUNCTION workspaces_audit_refuse();
CREATE TRIGGER audit_head_no_truncate BEFORE TRUNCATE ON workspaces_audithead
    FOR EACH STATEMENT EXECUTE FUNCTION workspaces_audit_refuse();
"""
UNGUARD = """
DROP TRIGGER audit_no_truncate ON workspaces_auditentry;
DROP TRIGGER audit_link_immutable ON workspaces_auditlink;
DROP TRIGGER audit_link_no_truncate ON workspaces_auditlink;
DROP TRIGGER audit_head_grows ON workspaces_audithead;
DROP TRIGGER audit_head_stays ON workspaces_audithead;
DROP TRIGGER audit_head_no_truncate ON workspaces_audithead;
"""
OPEN = "ALTER TABLE workspaces_auditentry DISABLE TRIGGER audit_immutable;"
SHUT = "ALTER TABLE workspaces_auditentry ENABLE TRIGGER audit_immutable;"


def to_agency(kind: type[models.ForeignKey], **options: object) -> models.ForeignKey:
    return kind(
        db_constraint=False,
        on_delete=django.db.models.deletion.DO_NOTHING,
        related_name="+",
        to="workspaces.agency",
        **options,
    )


class Migration(migrations.Migration):
    dependencies = [("workspaces", "0005_branding")]

    operations = [
        migrations.AddField(
            model_name="auditentry",
            name="workspace_name",
            field=models.CharField(db_default="", max_length=100),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["agency", "actor_name", "-at"], name="audit_by_actor"),
        ),
        migrations.CreateModel(
            name="AuditHead",
            fields=[
                ("agency", to_agency(models.OneToOneField, primary_key=True, serialize=False)),
                ("number", models.BigIntegerField()),
                ("hash", models.BinaryField(max_length=32)),
            ],
        ),
        migrations.CreateModel(
            name="AuditLink",
            fields=[
                (
                    "entry",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        primary_key=True,
                        related_name="link",
                        serialize=False,
                        to="workspaces.auditentry",
                    ),
                ),
                ("agency", to_agency(models.ForeignKey, db_index=False)),
                ("number", models.BigIntegerField()),
                ("hash", models.BinaryField(max_length=32)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        models.F("agency"), models.F("number"), name="audit_link_number_once"
                    )
                ],
            },
        ),
        migrations.RunSQL(OPEN, SHUT),
        migrations.RunSQL(CHAIN, UNCHAIN),
        migrations.RunSQL(SHUT, OPEN),
        migrations.RunSQL(GUARD, UNGUARD),
    ]
