"""Faults on the whole running product, over and over: `make chaos`. Not part of `make test`."""
