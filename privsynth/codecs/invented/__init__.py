"""What invented values are made of."""
