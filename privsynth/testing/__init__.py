"""What a generator from another package is held to, and stand-ins for mechanisms to prove it with."""
