"""Keys of people: made by themselves under their own passphrase, and entered in the keyring by who keeps it."""
