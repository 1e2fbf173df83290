"""What public tables tell of columns."""
