"""A root, kept offline, that signs the keyring: readers hold one root key, and take whole keyrings from anywhere.

After The Update Framework (https://theupdateframework.github.io/specification/latest/), as little of it as a keyring
needs: numbers that never go back, an end of validity, and a root that is replaced under both signatures.
"""
