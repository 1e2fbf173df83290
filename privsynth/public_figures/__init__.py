"""The figures of the public report, released with noise from encoded rows; no table enters here."""
