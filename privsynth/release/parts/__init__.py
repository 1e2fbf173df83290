"""A table of many files: how it is cut into them, where they are put, and what of them is finished."""
