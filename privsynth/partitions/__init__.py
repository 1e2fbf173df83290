"""Private rows in partitions, and what runs pure functions of them: here, in processes, on Ray or on Spark."""
