"""Text files: delimited ones, and JSON Lines."""
