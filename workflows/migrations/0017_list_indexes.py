"""An index for every filter of the list of activations. Built beside running work, so outside a transaction."""

import django.db.models.functions.comparison
import django.db.models.functions.text
from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [('workflows', '0016_turns_and_keys')]
    operations = [
        AddIndexConcurrently(
            model_name='activation',
            index=models.Index(fields=['workflow', 'state', '-id'], name='activation_by_workflow_state'),
        ),
        AddIndexConcurrently(
            model_name='activation',
            index=models.Index(fields=['workspace', 'workflow', 'state', '-id'], name='activation_by_workflow_here'),
        ),
        AddIndexConcurrently(
            model_name='activation',
            index=models.Index(models.F('agency'), django.db.models.functions.comparison.Collate(django.db.models.functions.text.Upper('subject'), 'C'), condition=models.Q(('subject', ''), _negated=True), name='activation_named_in_agency'),
        ),
        AddIndexConcurrently(
            model_name='activation',
            index=models.Index(models.F('workspace'), django.db.models.functions.comparison.Collate(django.db.models.functions.text.Upper('subject'), 'C'), condition=models.Q(('subject', ''), _negated=True), name='activation_named'),
        ),
        AddIndexConcurrently(
            model_name='activation',
            index=models.Index(condition=models.Q(('state', 'failed')), fields=['agency', 'error_code', '-id'], name='activation_cause_in_agency'),
        ),
        AddIndexConcurrently(
            model_name='activation',
            index=models.Index(condition=models.Q(('state', 'failed')), fields=['workspace', 'error_code', '-id'], name='activation_cause_of_client'),
        ),
        AddIndexConcurrently(
            model_name='activation',
            index=models.Index(condition=models.Q(('state', 'failed')), fields=['workspace', 'workflow', 'error_code', '-id'], name='activation_cause_here'),
        ),
        RemoveIndexConcurrently(
            model_name='activation',
            name='activation_subject_in_agency',
        ),
        RemoveIndexConcurrently(
            model_name='activation',
            name='activation_subject',
        ),
    ]
