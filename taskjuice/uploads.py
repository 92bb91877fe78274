"""Uploads, held in memory and refused before reading when they are too large."""

from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import MemoryFileUploadHandler


class CappedUploadHandler(MemoryFileUploadHandler):
    def handle_raw_input(
        self, input_data: Any, meta: dict[str, Any], content_length: int, *more: Any
    ) -> None:
        """Django answers 400 for what is too big, before it parses any of it."""
        if content_length > settings.FILE_UPLOAD_MAX_MEMORY_SIZE:
            raise RequestDataTooBig("This upload is too large.")
        super().handle_raw_input(input_data, meta, content_length, *more)
