"""Approved editions: the public part of a release with the decisions on page one, signed anew."""
