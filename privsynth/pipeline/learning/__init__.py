"""The private core: from a table to a model and the public findings, stage by stage."""
