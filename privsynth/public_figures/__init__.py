"""The figures of the public report, bought with noise from encoded rows. No table enters here."""
