// JSON, base64, UTF-8 and times, read as strictly as `privsynth.strict` reads them.

class Refused extends Error {}

const utf8 = new TextEncoder();

function fromUtf8(bytes, what) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Refused(`${what} is not UTF-8 text`);
  }
}

// JSON with each name once in an object, finite numbers and whole surrogate pairs. The engine's own parser reads the
// text; this walk over the same text only looks for what that parser lets pass.
function strictJson(bytes, what, maxBytes) {
  if (bytes.length > maxBytes) throw new Refused(`${what} has more than ${maxBytes} bytes, which are not read`);
  const text = fromUtf8(bytes, what);
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Refused(`${what} is not valid JSON`);
  }
  checkNames(text, what);
  checkValues(value, what, 0);
  return value;
}

// Likewise, with whole numbers only, each written as one: 2, and not 2.0 or 2e0, which the engine takes for the same.
function wholeJson(bytes, what, maxBytes) {
  const value = strictJson(bytes, what, maxBytes);
  const bare = fromUtf8(bytes, what).replaceAll(/"(?:[^"\\]|\\.)*"/gs, "");
  if (/\d[.eE]/.test(bare)) throw new Refused(`${what} has a number that is not written as a whole one`);
  return value;
}

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\]:,]/gs;

function checkNames(text, what) {
  const open = []; // one entry an open bracket: the names of an object, or null for a list
  let last = "";
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === "{") open.push(new Set());
    else if (token === "[") open.push(null);
    else if (token === "}" || token === "]") open.pop();
    else if (token === ":") {
      const names = open.at(-1);
      const name = JSON.parse(last);
      if (names.has(name)) throw new Refused(`${what} is not valid JSON: a name occurs twice in one object`);
      names.add(name);
    }
    last = token;
  }
}

const MAX_DEPTH = 900; // of nested lists and objects (own): Python's reader gives up near 1,000

function checkValues(value, what, depth) {
  if (depth > MAX_DEPTH) throw new Refused(`${what} is nested too deeply`);
  if (typeof value === "number" && !Number.isFinite(value)) {
    throw new Refused(`${what} is not valid JSON: a number is not finite`);
  }
  if (typeof value === "string" && !value.isWellFormed()) throw new Refused(`${what} is not UTF-8 text`);
  if (value !== null && typeof value === "object") {
    for (const [name, item] of Object.entries(value)) {
      if (!name.isWellFormed()) throw new Refused(`${what} is not UTF-8 text`);
      checkValues(item, what, depth + 1);
    }
  }
}

// An object with exactly these names.
function fields(value, names, sentence) {
  const found = value !== null && typeof value === "object" && !Array.isArray(value) ? Object.keys(value) : [];
  if (found.length !== names.length || !names.every((name) => found.includes(name))) throw new Refused(sentence);
  return value;
}

function toBase64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}

// Standard base64 in its one spelling, or null.
function fromBase64(text) {
  if (typeof text !== "string") return null;
  try {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    return toBase64(bytes) === text ? bytes : null;
  } catch {
    return null;
  }
}

// A time like 2026-11-22T09:30:00Z in milliseconds, or null for every other spelling.
function momentOf(text) {
  if (typeof text !== "string" || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text)) return null;
  const moment = Date.parse(text);
  return Number.isNaN(moment) || new Date(moment).toISOString() !== text.replace("Z", ".000Z") ? null : moment;
}

// What Python's `str.isprintable` lets pass: no control, format or unassigned character, and of spaces only " ".
function printable(text) {
  return !/[\p{C}\p{Z}]/u.test(text.replaceAll(" ", ""));
}

function shown(text) {
  return printable(text) ? text : JSON.stringify(text).replace(/[^\x20-\x7e]/g, escaped);
}

function escaped(letter) {
  return `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
