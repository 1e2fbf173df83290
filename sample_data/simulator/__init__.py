"""The simulator of the sample tables: code books, and invented patients and card accounts to fit them."""
