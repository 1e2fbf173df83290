"""What people decide on a release: signed statements beside it, that name both of its parts by their digests."""
