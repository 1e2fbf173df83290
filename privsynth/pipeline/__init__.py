"""Where the parts meet: from a source to a signed release. Nothing else composes them."""
