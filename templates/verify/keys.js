// Public keys of the two algorithms. A key says itself, in its SubjectPublicKeyInfo, which of them it is for; nothing is
// negotiated, and each key and each signature has one accepted form.

const SPKI_ED25519 = "302a300506032b6570032100"; // DER up to the 32 bytes of the key
const SPKI_P256 = "3059301306072a8648ce3d020106082a8648ce3d03010703420004"; // DER up to the 64 bytes of x and y
const P256_FIELD = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
const P256_B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;
const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

function joined(parts) {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

async function sha256(...parts) {
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", joined(parts))));
}

// {algorithm, keyid, raw} of the base64 of a SubjectPublicKeyInfo, or null if it is no key that may be trusted.
async function publicKey(text) {
  const spki = fromBase64(text);
  if (spki === null) return null;
  const inHex = hex(spki);
  const keyid = await sha256(spki);
  if (spki.length === 44 && inHex.startsWith(SPKI_ED25519)) {
    const raw = spki.subarray(12);
    return weakKey(raw) ? null : { algorithm: "ed25519", keyid, raw };
  }
  if (spki.length === 91 && inHex.startsWith(SPKI_P256)) {
    const raw = spki.subarray(26); // 04, x and y
    return onP256(big(raw.subarray(1, 33)), big(raw.subarray(33))) ? { algorithm: "ecdsa-p256", keyid, raw } : null;
  }
  return null;
}

function big(bytes) {
  return BigInt(`0x${hex(bytes)}`);
}

function onP256(x, y) {
  const [p, inField] = [P256_FIELD, (value) => value < P256_FIELD];
  return inField(x) && inField(y) && modulo(y * y, p) === modulo(x * x * x - 3n * x + P256_B, p);
}

// Whether a key made a signature over exactly these bytes. `own` leaves the browser's Ed25519 out.
async function fits(key, signature, message, own = false) {
  if (key.algorithm === "ecdsa-p256") return fitsP256(key.raw, signature, message);
  if (!own) {
    try {
      const known = await crypto.subtle.importKey("raw", key.raw, "Ed25519", false, ["verify"]);
      return await crypto.subtle.verify("Ed25519", known, signature, message);
    } catch {
      // A browser that has no Ed25519 says so here.
    }
  }
  return fitsWithoutBrowser(key.raw, signature, message);
}

async function fitsP256(raw, signature, message) {
  const pair = ecdsaPair(signature);
  if (pair === null) return false;
  const known = await crypto.subtle.importKey("raw", raw, { name: "ECDSA", namedCurve: "P-256" }, false, ["verify"]);
  return crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, known, pair, message);
}

// The 64 bytes of r and s in a signature in strict DER with 0 < r < n and 0 < s <= n / 2, or null.
function ecdsaPair(signature) {
  if (signature.length < 8 || signature[0] !== 0x30 || signature[1] !== signature.length - 2 || signature[1] > 127) return null;
  const r = derNumber(signature, 2);
  const s = r === null ? null : derNumber(signature, r.end);
  if (s === null || s.end !== signature.length) return null;
  if (r.value <= 0n || r.value >= P256_ORDER || s.value <= 0n || s.value > P256_ORDER / 2n) return null;
  const bytes = (value) => Uint8Array.from(value.toString(16).padStart(64, "0").match(/../g), (pair) => parseInt(pair, 16));
  return joined([bytes(r.value), bytes(s.value)]);
}

// A whole number from 0 on at a place in DER, in its shortest form, or null.
function derNumber(bytes, at) {
  const [kind, length] = [bytes[at], bytes[at + 1]];
  const end = at + 2 + length;
  if (kind !== 0x02 || !(length > 0 && length <= 33) || end > bytes.length) return null;
  const [first, second] = [bytes[at + 2], bytes[at + 3]];
  if (first > 127 || (first === 0 && length > 1 && second < 128)) return null;
  return { value: big(bytes.subarray(at + 2, end)), end };
}
