// Keyrings, and what a key in them may do at a time.

const ROLES = { maker: "make releases", reviewer: "review", approver: "approve", "key-admin": "revoke keys" };
const ENTRY = ["keyid", "algorithm", "public_key", "holder", "roles", "not_before", "not_after", "status", "revoked_at", "reason"];
const DEFAULTS = { algorithm: "ed25519", status: "active", revoked_at: null, reason: "" };

async function keyringOf(bytes, what = "the keyring") {
  return entriesOf(wholeJson(bytes, what, MAX_DOCUMENT), what);
}

async function entriesOf(document, what) {
  const wrong = `${what} is not a keyring of version 1 or 2`;
  const { version, keys } = fields(document, ["version", "keys"], wrong);
  if (![1, 2].includes(version) || !Array.isArray(keys)) throw new Refused(wrong);
  const entries = [];
  for (const key of keys) entries.push(await entryOf(version === 1 ? ofVersion1(key, wrong) : key, wrong));
  if (new Set(entries.map((entry) => entry.keyid)).size !== entries.length) throw new Refused(`${wrong}: a key is listed twice`);
  return entries;
}

// Version 1 knew makers only, and Ed25519 only.
function ofVersion1(key, wrong) {
  const { role = "report-signer", ...entry } = key ?? {};
  if (role !== "report-signer" || "roles" in entry || (entry.algorithm ?? "ed25519") !== "ed25519") throw new Refused(wrong);
  return { ...entry, roles: ["maker"] };
}

async function entryOf(told, wrong) {
  if (told === null || typeof told !== "object" || Object.keys(told).some((name) => !ENTRY.includes(name))) throw new Refused(wrong);
  const entry = { ...DEFAULTS, ...told };
  const key = await publicKey(entry.public_key);
  const line = (text) => typeof text === "string" && [...text].length <= 200 && printable(text);
  const [from, to] = [momentOf(entry.not_before), momentOf(entry.not_after)];
  const revoked = entry.revoked_at === null ? null : momentOf(entry.revoked_at);
  const right =
    key !== null && entry.keyid === key.keyid && entry.algorithm === key.algorithm && areRoles(entry.roles) &&
    line(entry.holder) && entry.holder !== "" && line(entry.reason) && from !== null && to !== null && from < to &&
    ["active", "revoked"].includes(entry.status) && (entry.status === "revoked") === (entry.revoked_at !== null) &&
    (entry.revoked_at === null || revoked !== null);
  if (!right) throw new Refused(`${wrong}: an entry contradicts itself, or names a key for which anybody can sign`);
  return { ...entry, key, from, to };
}

// At least one role, each once, in the order above.
function areRoles(roles) {
  if (!Array.isArray(roles) || roles.length === 0) return false;
  const inOrder = Object.keys(ROLES).filter((role) => roles.includes(role));
  return inOrder.length === roles.length && inOrder.every((role, i) => role === roles[i]);
}

function fingerprint(keyid) {
  return keyid.match(/.{8}/g).join(" ");
}

// Why a key may not have signed at a time, in one of these roles, or "".
function problemOf(entry, at, roles = []) {
  const name = `key ${fingerprint(entry.keyid)} of ${entry.holder}`;
  if (entry.status === "revoked") return `${name} was revoked on ${entry.revoked_at}${entry.reason && ` (${entry.reason})`}`;
  if (at < entry.from) return `${name} is not valid before ${entry.not_before}`;
  if (at > entry.to) return `${name} expired on ${entry.not_after}`;
  if (roles.length && !roles.some((role) => entry.roles.includes(role))) {
    const words = (some, between) => some.map((role) => ROLES[role]).join(between);
    return `${name} may ${words(entry.roles, " and ")}, and not ${words(roles, " or ")}`;
  }
  return "";
}
