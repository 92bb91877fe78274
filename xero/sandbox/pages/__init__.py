"""The pages for people, and the control API for tests."""
