"""The sentences of page one in each language: one file a language, with the same keys and places in all of them."""
