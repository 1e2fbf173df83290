"""What is learned of numbers besides their quantiles: bins with a shape inside, and endings."""
