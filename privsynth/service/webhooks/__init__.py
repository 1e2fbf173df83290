"""Signed messages to other programs of the institution, which tell that the state of a release changed."""
