"""Statistics: intervals, prediction metrics, bounds on ε. Pure functions of numbers."""
