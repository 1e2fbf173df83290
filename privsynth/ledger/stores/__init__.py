"""Where the events of the ledger are kept: a folder of one machine, or a PostgreSQL database that several share."""
