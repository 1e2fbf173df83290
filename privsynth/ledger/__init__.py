"""The ledger: what each dataset has spent, tamper-evident, on disk."""
