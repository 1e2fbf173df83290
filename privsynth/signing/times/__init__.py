"""Times that an authority vouches for (RFC 3161): asked for once, kept beside a signature, checked offline.

The signature stays as it is. What is stamped is the whole envelope, so that a token shows that the signature existed.
"""
