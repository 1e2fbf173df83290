"""What tests know of people."""

from __future__ import annotations

import re

PASSWORD = "a horse and a staple"


def form_token(page: str) -> str:
    """Return what the forms of a page carry."""
    found = re.search(r'name="form_token" value="([^"]+)"', page)
    assert found is not None
    return found[1]
