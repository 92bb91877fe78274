"""`make demo` and `make dev`: the whole product on one machine, under one supervisor."""
