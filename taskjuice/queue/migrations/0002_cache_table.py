"""The table of Django's database cache, which all processes share."""

from django.db import migrations

ADD = """
CREATE TABLE cache (cache_key varchar(255) PRIMARY KEY, value text NOT NULL, expires timestamptz NOT NULL);
CREATE INDEX cache_expires ON cache (expires);
"""


class Migration(migrations.Migration):
    dependencies = [("queue", "0001_initial")]
    operations = [migrations.RunSQL(ADD, "DROP TABLE cache;")]
