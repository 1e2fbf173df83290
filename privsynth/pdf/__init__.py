"""A report as a tagged PDF, with the signed page attached, and a signature that PDF readers know."""
