"""Signatures: a DSSE envelope around an in-toto Statement of the digests of a release.

Trust comes from a keyring that the reader holds, never from the file that is checked.
"""
