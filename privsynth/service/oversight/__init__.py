"""What the institution sees of itself: what waits for whom, what is spent, and what everybody did."""
