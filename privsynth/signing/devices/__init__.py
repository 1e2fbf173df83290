"""Keys that never leave a device: a hardware module, a smart card, or the key service of a cloud.

A key is named by a URI, whose scheme says who signs: `pkcs11:` is ours, every other one is a signer of securesystemslib
(the extra `hardware`). What comes back is held against the public key that was registered, so that nobody has to trust
the device's driver, the network or the URI.
"""
