"""What runs the tasks of a table's parts."""
