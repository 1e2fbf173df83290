"""Drawing rows from a released model, also under conditions. Nothing private, no cost."""
