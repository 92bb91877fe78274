"""The drill: docs/deploy.md done step by step on a whole installation under load (`make drill`)."""
