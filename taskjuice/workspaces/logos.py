"""Logos. Every upload is decoded and encoded again, so that what we serve is only a picture."""

import hashlib
import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from PIL import Image, ImageOps

FORMATS = ("PNG", "JPEG", "WEBP")  # no SVG: it can carry scripts
MOST_BYTES = 1_000_000
MOST_PIXELS = 4000  # a side
SHOWN = (240, 64)  # CSS pixels at most; encoded twice as large, for fine screens
# What Pillow raises over pictures that are broken, or made to break something.
UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


@dataclass(frozen=True, slots=True)
class Logo:
    """`png` is twice as wide and high as it is shown."""

    png: bytes
    width: int
    height: int

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.png).hexdigest()[:32]


def encode(upload: "UploadedFile[Any]") -> Logo:
    """Return the picture as a PNG of our size, without whatever else the file held.

    Raises ValidationError with a text for the form.
    """
    if (upload.size or 0) > MOST_BYTES:
        raise ValidationError("The file is larger than 1 MB. Use a smaller picture.", code="size")
    try:
        with Image.open(upload, formats=FORMATS) as picture:
            if max(picture.size) > MOST_PIXELS:  # before a pixel is decoded
                raise ValidationError(
                    f"The picture is larger than {MOST_PIXELS} pixels a side. Use a smaller one.",
                    code="pixels",
                )
            return _encode_picture(ImageOps.exif_transpose(picture).convert("RGBA"))
    except UNREADABLE as error:
        raise ValidationError(
            "This is not a picture that can be read. Use a PNG, JPEG or WebP file.",
            code="unreadable",
        ) from error


def _encode_picture(picture: Image.Image) -> Logo:
    picture.thumbnail((2 * SHOWN[0], 2 * SHOWN[1]))
    written = BytesIO()
    picture.save(written, "PNG", optimize=True)
    return Logo(written.getvalue(), max(1, picture.width // 2), max(1, picture.height // 2))
