"""Who was in the data: membership inference and the lower bound on ε that follows from it."""
