"""What the service deletes, when, what is held back, and the signed certificate of each deletion."""
