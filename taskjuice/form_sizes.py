"""The sizes of the largest forms, from which the limits of a request follow (DATA_UPLOAD_MAX_…).

They are plain numbers, since the settings read them before any app is loaded. The forms named here
use them too.
"""

MOST_LINES = 200  # of an invoice or bill
# One line posts seven fields and a select for each tracking category; some are to spare.
LINE_FIELDS = 12
# A description of 4,000 characters, each up to twelve bytes as browsers encode it
LINE_BYTES = 48_000

MOST_STEPS = 50  # of a workflow
STEP_FIELDS = 100  # a step's own fields with its condition, options and limits
MOST_TICKED = 10_000  # organisations that a workflow is for

OTHER_FIELDS = 1_000
MOST_FIELDS = MOST_STEPS * (MOST_LINES * LINE_FIELDS + STEP_FIELDS) + MOST_TICKED + OTHER_FIELDS
MOST_BYTES = MOST_LINES * LINE_BYTES + 500_000
