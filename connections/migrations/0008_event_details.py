import taskjuice.exact_json
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("connections", "0007_sending_checked_at"),
    ]

    operations = [
        migrations.AddField(
            model_name="event",
            name="details",
            field=taskjuice.exact_json.ExactJSONField(
                default=dict, db_default=models.Value({}, taskjuice.exact_json.ExactJSONField())
            ),
        ),
    ]
