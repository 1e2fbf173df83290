"""What is declared about sources, column by column."""
