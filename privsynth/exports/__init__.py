"""What stands beside the synthetic rows for people and catalogues: functions of the public report, and of no row."""
