"""What import-linter cannot say: the sandbox stands apart from the rest of its own package, in both
directions.
"""

import grimp

PACKAGES = ("taskjuice", "connections", "workflows", "xero")


def test_nothing_imports_the_sandbox_nor_the_other_way_round() -> None:
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    inside = {"xero.sandbox", *graph.find_descendants("xero.sandbox")}
    crossing = [
        (importer, imported)
        for importer in graph.modules
        for imported in graph.find_modules_directly_imported_by(importer)
        if (importer in inside) is not (imported in inside)
    ]
    assert crossing == []
