from decimal import Decimal
from pathlib import Path

import pytest

from xero.sandbox.storage import Storage


def test_storage_keeps_documents_over_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "new" / "sandbox.sqlite"
    first = Storage(path)
    first.save("invoice", "a", {"Total": Decimal("10.10"), "Lines": [1, None, True, "ä"]})
    first.save_many("contact", {"b": {"Name": "B"}, "c": {"Name": "C"}})
    first.close()
    again = Storage(path)
    assert again.load("invoice") == {
        "a": {"Total": Decimal("10.10"), "Lines": [1, None, True, "ä"]}
    }
    assert str(again.load("invoice")["a"]["Total"]) == "10.10"
    assert again.load("contact") == {"b": {"Name": "B"}, "c": {"Name": "C"}}
    again.close()


def test_storage_loads_in_the_order_of_first_saving() -> None:
    storage = Storage(None)
    for id in ("z", "a", "m"):
        storage.save("x", id, {"v": 1})
    storage.save("x", "z", {"v": 2})
    assert list(storage.load("x")) == ["z", "a", "m"]
    storage.close()


def test_storage_replaces_and_deletes() -> None:
    storage = Storage(None)
    storage.save("x", "1", {"v": 1})
    storage.save("x", "1", {"v": 2})
    storage.save("x", "2", {"v": 3})
    storage.delete("x", "2")
    storage.delete("x", "never there")
    assert storage.load("x") == {"1": {"v": 2}}
    storage.close()


def test_save_many_keeps_nothing_when_one_document_cannot_be_written() -> None:
    storage = Storage(None)
    with pytest.raises(TypeError):
        storage.save_many("x", {"1": {"v": 1}, "2": {"v": object()}})
    assert storage.load("x") == {}
    storage.save("x", "3", {"v": 3})
    assert storage.load("x") == {"3": {"v": 3}}
    storage.close()
