"""Audits of linked tables: persons with all their rows, real and synthetic, side by side."""
