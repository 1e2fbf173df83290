"""How far synthetic rows are from real ones: columns, pairs, tails, subgroups. Exact, for the officer."""
