"""CSV files that a spreadsheet opens without running formulas that a stranger typed."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence

from django.http import StreamingHttpResponse

# Where a spreadsheet begins to read a formula, also in full width: at the beginning of a cell, and
# behind what it may take for the end of one (many set the semicolon, and read a comma's file with
# it all the same).
FORMULA_STARTS = re.compile(
    r"\A(?=[\t\r\n])|(?:\A|(?<=[;\t\r\n|]))(?=[ \u00a0\u3000]{0,20}[=+@\uff1d\uff0b\uff0d\uff20-])"
)


class _Echo:
    """A file whose `write` returns the line, for csv.writer."""

    def write(self, text: str) -> str:
        return text


def csv_response(
    filename: str, header: Sequence[str], rows: Iterable[Sequence[object]]
) -> StreamingHttpResponse:
    """Return the rows as a streamed download; UTF-8 with a byte order mark, for spreadsheets."""
    response = StreamingHttpResponse(_lines(header, rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{filename}"'
    return response


def _lines(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield "\ufeff"
    yield writer.writerow(header)
    for row in rows:
        yield writer.writerow([safe(cell) for cell in row])


def safe(cell: object) -> object:
    """Put an apostrophe before text that a spreadsheet would run; numbers stay numbers."""
    if isinstance(cell, str):
        return FORMULA_STARTS.sub("'", cell)
    return "" if cell is None else cell
