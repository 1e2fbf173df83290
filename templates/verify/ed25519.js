// Ed25519 signatures (RFC 8032, section 5.1.7, without cofactor, as OpenSSL has it). The browser checks them where it
// can; elsewhere this page does, with numbers of any length. Nothing here is secret, so that time does not matter.

const FIELD = 2n ** 255n - 19n;
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;
const D = modulo(-121665n * inverse(121666n));
const ROOT = power(2n, (FIELD - 1n) / 4n); // a square root of -1
const BASE = pointOf(littleEndian("58" + "66".repeat(31)));

function modulo(value, by = FIELD) {
  const rest = value % by;
  return rest < 0n ? rest + by : rest;
}

function power(base, exponent) {
  let result = 1n;
  for (let square = modulo(base); exponent > 0n; exponent >>= 1n, square = modulo(square * square)) {
    if (exponent & 1n) result = modulo(result * square);
  }
  return result;
}

function inverse(value) {
  return power(value, FIELD - 2n);
}

function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function littleEndian(hexText) {
  return BigInt(`0x${hexText.match(/../g).reverse().join("")}`);
}

// Extended coordinates (X, Y, Z, T) of the point that 32 bytes encode, as a number; null if they encode none.
function pointOf(encoded) {
  const y = encoded & (2n ** 255n - 1n);
  if (y >= FIELD) return null;
  const u = modulo(y * y - 1n);
  const v = modulo(D * y * y + 1n);
  let x = modulo(u * v ** 3n * power(u * v ** 7n, (FIELD - 5n) / 8n));
  if (modulo(v * x * x) === modulo(-u)) x = modulo(x * ROOT);
  if (modulo(v * x * x) !== u) return null;
  const sign = encoded >> 255n;
  if (x === 0n && sign === 1n) return null;
  if ((x & 1n) !== sign) x = modulo(-x);
  return [x, y, 1n, modulo(x * y)];
}

function add([x1, y1, z1, t1], [x2, y2, z2, t2]) {
  const a = modulo((y1 - x1) * (y2 - x2));
  const b = modulo((y1 + x1) * (y2 + x2));
  const c = modulo(2n * t1 * t2 * D);
  const d = modulo(2n * z1 * z2);
  const [e, f, g, h] = [b - a, d - c, d + c, b + a];
  return [modulo(e * f), modulo(g * h), modulo(f * g), modulo(e * h)];
}

function times(scalar, point) {
  let sum = [0n, 1n, 1n, 0n];
  for (let double = point; scalar > 0n; scalar >>= 1n, double = add(double, double)) {
    if (scalar & 1n) sum = add(sum, double);
  }
  return sum;
}

function encoded([x, y, z]) {
  const scale = inverse(z);
  return modulo(y * scale) | ((modulo(x * scale) & 1n) << 255n);
}

// Whether a key, as 32 bytes, is one for which anybody can sign, or is not in its one form.
function weakKey(raw) {
  const bits = littleEndian(hex(raw));
  if ((bits & (2n ** 255n - 1n)) >= FIELD) return true;
  const point = pointOf(bits);
  if (point === null) return pointOf(bits & (2n ** 255n - 1n)) !== null; // x is 0, with a sign
  const [x, y] = times(8n, point);
  return x === 0n && y !== 0n && encoded(times(8n, point)) === 1n;
}

async function fitsWithoutBrowser(raw, signature, message) {
  if (signature.length !== 64) return false;
  const point = pointOf(littleEndian(hex(raw)));
  const s = littleEndian(hex(signature.subarray(32)));
  if (point === null || s >= ORDER) return false;
  const hashed = await crypto.subtle.digest("SHA-512", joined([signature.subarray(0, 32), raw, message]));
  const k = modulo(littleEndian(hex(new Uint8Array(hashed))), ORDER);
  const minus = [modulo(-point[0]), point[1], point[2], modulo(-point[3])];
  return encoded(add(times(s, BASE), times(k, minus))) === littleEndian(hex(signature.subarray(0, 32)));
}
