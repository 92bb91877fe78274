"""What earlier deliveries reported on; indexes built beside running work, so all of it outside a transaction."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


FILL = """
INSERT INTO connections_mention (delivery_id, agency_id, workspace_id, connection_id, events, fresh)
SELECT e.delivery_id, c.agency_id, c.workspace_id, c.id, count(*), count(*)
  FROM connections_event e JOIN connections_connection c ON c.id = e.connection_id
 WHERE e.delivery_id IS NOT NULL
 GROUP BY e.delivery_id, c.agency_id, c.workspace_id, c.id
    ON CONFLICT DO NOTHING
"""


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("connections", "0014_mentions")]
    operations = [
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        AddIndexConcurrently(
            "delivery",
            models.Index(
                condition=models.Q(("verdict", "intent to receive")), fields=["-id"], name="delivery_check"
            ),
        ),
        AddIndexConcurrently(
            "event",
            models.Index(
                condition=models.Q(("recovered", True)), fields=["received_at"], name="event_recovered"
            ),
        ),
    ]
