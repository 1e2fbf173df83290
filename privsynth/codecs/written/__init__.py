"""How drawn rows are written for a user: in the types, time zones, signs and formats of the source."""
