"""The source of a run: opened by public facts, then read into parts."""
