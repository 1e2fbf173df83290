"""Rows with rare values of a target: measured by themselves, since a table over all rows would drown them."""
