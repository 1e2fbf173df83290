"""Statistics of the field: intervals, prediction metrics, bounds on ε. Numbers in, numbers out."""
