"""Public tables that a release starts from."""
