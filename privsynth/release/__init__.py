"""A release as a folder: written, opened, sampled from. Needs a released model, never the rows it was fitted to."""
