"""What of the real table the synthetic one leaves out, and what it makes up."""
