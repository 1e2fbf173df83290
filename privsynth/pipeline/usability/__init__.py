"""What a run can resolve, before anything is spent, and what it has resolved, from what was paid for."""
