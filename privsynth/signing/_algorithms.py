"""The two signature algorithms: Ed25519, and ECDSA on P-256 with SHA-256, which hardware and clouds offer.

A key says itself which of them it is for, in its SubjectPublicKeyInfo; nothing is negotiated. Each key and each
signature has one accepted form, so that nobody can make a second file that says the same.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from privsynth.errors import KeyFileError

ED25519, P256 = "ed25519", "ecdsa-p256"
ALGORITHMS = (ED25519, P256)
PublicHandle = Ed25519PublicKey | ec.EllipticCurvePublicKey
PrivateHandle = Ed25519PrivateKey | ec.EllipticCurvePrivateKey

# RFC 8032, section 5.1: the field of edwards25519, and the curve's d = -121665 / 121666 in it.
_FIELD = 2**255 - 19
# y of the eight points whose order divides 8. Order 1: (0, 1); 2: (0, -1); 4: y = 0; 8: d·y⁴ + 2y² - 1 = 0, which
# follows from y = 0 for twice the point. A signature by such a "key" fits nearly any message.
_Y_OF_ORDER_8 = int.from_bytes(
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
)
_SMALL_ORDER = {0, 1, _FIELD - 1, _Y_OF_ORDER_8, _FIELD - _Y_OF_ORDER_8}  # the values of y above
# Of the base point of P-256 (SEC 2, section 2.4.2). All points have this prime order, so that none is weak.
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def algorithm_of(key: object) -> str | None:
    """Return "ed25519" or "ecdsa-p256" for a key object of `cryptography`, or None for any other."""
    if isinstance(key, Ed25519PublicKey | Ed25519PrivateKey):
        return ED25519
    if isinstance(key, ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return P256
    return None


def generate(algorithm: str) -> PrivateHandle:
    """Return a fresh private key from the randomness of the operating system."""
    return ec.generate_private_key(ec.SECP256R1()) if algorithm == P256 else Ed25519PrivateKey.generate()


def parsed(spki: bytes) -> PublicHandle | None:
    """Return the key in SubjectPublicKeyInfo (DER), or None if it is of neither algorithm or in another form."""
    try:
        key = serialization.load_der_public_key(spki)
    except (ValueError, UnsupportedAlgorithm):
        return None
    if not isinstance(key, Ed25519PublicKey | ec.EllipticCurvePublicKey) or algorithm_of(key) is None:
        return None
    return key if spki_of(key) == spki else None


def spki_of(key: PublicHandle) -> bytes:
    """Return SubjectPublicKeyInfo in DER, a point of P-256 uncompressed on its named curve."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def is_weak(key: PublicHandle) -> bool:
    """Say whether anybody can sign for a key: an Ed25519 point of small order, or one in no canonical form."""
    if not isinstance(key, Ed25519PublicKey):
        return False
    y = int.from_bytes(key.public_bytes_raw(), "little") & ((1 << 255) - 1)  # the highest bit is the sign of x
    return y >= _FIELD or y in _SMALL_ORDER


def sign(key: PrivateHandle, data: bytes) -> bytes:
    """Return the signature over `data`: 64 bytes of Ed25519, or DER of (r, s) with the lower s.

    ECDSA is deterministic (RFC 6979): a poor random number would give the key away.

    Raises:
      KeyFileError: the library below cannot do that.
    """
    if isinstance(key, Ed25519PrivateKey):
        return key.sign(data)
    try:
        return lower(key.sign(data, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
    except UnsupportedAlgorithm:
        raise KeyFileError("ECDSA needs OpenSSL 3.2 or newer under 'cryptography'; use an Ed25519 key") from None


def lower(signature: bytes) -> bytes:
    """Return an ECDSA signature with the lower of s and n - s, which both fit.

    Raises:
      ValueError: not DER of two whole numbers.
    """
    r, s = decode_dss_signature(signature)
    return encode_dss_signature(r, min(s, P256_ORDER - s))


def fits(key: PublicHandle, signature: bytes, data: bytes) -> bool:
    """Say whether the signature was made by this key over exactly these bytes, and is in its one form."""
    try:
        if isinstance(key, Ed25519PublicKey):
            key.verify(signature, data)
        elif not _is_ecdsa_form(signature):
            return False
        else:
            key.verify(signature, data, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def _is_ecdsa_form(signature: bytes) -> bool:
    """Say whether a signature is strict DER of (r, s) with 0 < r < n and 0 < s <= n / 2."""
    try:
        r, s = decode_dss_signature(signature)
    except ValueError:
        return False
    return 0 < r < P256_ORDER and 0 < s <= P256_ORDER // 2 and encode_dss_signature(r, s) == signature
