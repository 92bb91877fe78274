"""E-mails written to files, for trying TaskJuice out."""

import os
from pathlib import Path
from typing import Any

from django.core.mail.backends import filebased


class EmailBackend(filebased.EmailBackend):
    """Files that only their owner can read: the links in them open accounts."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        Path(self.file_path).chmod(0o700)

    def open(self) -> bool | None:
        """Make the file before Django opens it, readable by its owner alone."""
        if self.stream is None:
            os.close(os.open(self._get_filename(), os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600))
        return super().open()
