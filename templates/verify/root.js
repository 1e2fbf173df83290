// Keyrings that a root signed, as `privsynth.signing.roots` reads them: a file of envelopes, one a line.

const ROTATION_TYPE = "application/vnd.privsynth.root+json";
const KEYRING_TYPE = "application/vnd.privsynth.keyring+json";
const REVOCATION_TYPE = "application/vnd.privsynth.revocation+json";
const MAX_ROTATIONS = 64;

function isSigned(bytes) {
  return latin1(bytes.subarray(0, 11)) === '{"payload":';
}

// The entries of a keyring that the reader's root, or one that it names as its successor, signed.
async function signedEntries(bytes, root, now, what, own = false) {
  try {
    const { rotations, keyring, revocation } = partsOf(bytes);
    const last = await followed(rotations, root, own);
    const { entries, number } = await openedKeyring(keyring, last, now, own);
    return revocation === undefined ? entries : await revokedBy(revocation, entries, number, now, own);
  } catch (problem) {
    if (!(problem instanceof Refused)) throw problem;
    throw new Refused(`${what} is no keyring to rely on: ${problem.message}`);
  }
}

function partsOf(bytes) {
  if (bytes.length > MAX_DOCUMENT) throw new Refused("it has more than 10 MB");
  if (bytes.at(-1) !== 10) throw new Refused("it is cut short");
  if (!isSigned(bytes)) throw new Refused("no root signed it");
  const envelopes = [];
  for (let from = 0; from < bytes.length; ) {
    const to = bytes.indexOf(10, from) + 1;
    envelopes.push(envelopeOf(bytes.subarray(from, to)));
    from = to;
  }
  const rotations = envelopes.filter((one) => one.payloadType === ROTATION_TYPE);
  const [keyring, revocation, ...more] = envelopes.slice(rotations.length);
  const right = keyring?.payloadType === KEYRING_TYPE && [undefined, REVOCATION_TYPE].includes(revocation?.payloadType) && !more.length;
  if (!right || rotations.length > MAX_ROTATIONS) throw new Refused("it does not hold one keyring, after the changes of its root");
  return { rotations, keyring, revocation };
}

async function followed(rotations, root, own) {
  const chain = [];
  for (const envelope of rotations) {
    const told = partOf(envelope, ["version", "previous", "next"]);
    const [previous, next] = [await publicKey(told.previous), await publicKey(told.next)];
    if (previous === null || next === null) throw new Refused("a root in it is no key");
    const known = chain.map((key) => key.keyid);
    if (known.includes(next.keyid) || next.keyid === previous.keyid || (known.length && known.at(-1) !== previous.keyid)) {
      throw new Refused("the changes of its root do not follow each other");
    }
    const [first, second, ...more] = envelope.signatures;
    if (second === undefined || more.length || !(await isBy(envelope, first, previous, own)) || !(await isBy(envelope, second, next, own))) {
      throw new Refused("a change of its root is not signed by the old root and the new one");
    }
    chain.push(...(chain.length ? [next] : [previous, next]));
  }
  if (!chain.length) return root;
  if (!chain.some((key) => key.keyid === root.keyid)) throw new Refused(`it does not come from your root, key ${fingerprint(root.keyid)}`);
  return chain.at(-1);
}

async function openedKeyring(envelope, root, now, own) {
  const { signatures } = envelope;
  if (signatures.length !== 1 || !(await isBy(envelope, signatures[0], root, own))) {
    throw new Refused(`its signature is not that of the root, key ${fingerprint(root.keyid)}`);
  }
  const told = partOf(envelope, ["version", "number", "issued_at", "expires", "keyring"]);
  const [from, to] = [timeOf(told.issued_at), timeOf(told.expires)];
  if (from >= to) throw new Refused("it ends before it begins");
  if (from > now + CLOCK_SKEW) throw new Refused(`it is of ${told.issued_at}, which is later than this computer's clock`);
  if (now > to) throw new Refused(`it expired on ${told.expires}`);
  return { entries: await entriesOf(told.keyring, "what the root signed"), number: countOf(told.number) };
}

// An admin takes trust away, and never adds any.
async function revokedBy(envelope, entries, number, now, own) {
  const told = partOf(envelope, ["version", "number", "revision", "issued_at", "revoked"]);
  const [at, { signatures }] = [timeOf(told.issued_at), envelope];
  let signed = false;
  for (const entry of entries) {
    const admin = problemOf(entry, at, ["key-admin"]) === "";
    signed ||= admin && signatures.length === 1 && (await isBy(envelope, signatures[0], entry.key, own));
  }
  if (!signed) throw new Refused("its revocation is not signed by a key admin of the keyring, valid at that time");
  countOf(told.revision);
  if (at > now + CLOCK_SKEW || countOf(told.number) !== number) throw new Refused("its revocation is of a later time, or of another keyring");
  if (!Array.isArray(told.revoked) || !told.revoked.length) throw new Refused("its revocation names no key");
  const changed = new Map(entries.map((entry) => [entry.keyid, entry]));
  for (const item of told.revoked) {
    fields(item, ["keyid", "revoked_at", "reason"], "its revocation has an entry with other fields than keyid, revoked_at and reason");
    const { keyid, revoked_at, reason } = item;
    const right = typeof reason === "string" && [...reason].length <= 200 && printable(reason) && changed.get(keyid)?.status === "active";
    if (!right) throw new Refused("its revocation is of an unknown key, or of one that is revoked already");
    timeOf(revoked_at);
    changed.set(keyid, { ...changed.get(keyid), status: "revoked", revoked_at, reason });
  }
  return [...changed.values()];
}

async function isBy(envelope, signature, key, own) {
  return signature.keyid === key.keyid && fits(key, signature.sig, preAuthentication(envelope), own);
}

function partOf(envelope, names) {
  const sentence = "a part of it has other fields than version 1 has";
  const document = fields(wholeJson(envelope.payload, "a part of it", MAX_DOCUMENT), names, sentence);
  if (document.version !== 1) throw new Refused(sentence);
  return document;
}

function timeOf(text) {
  const moment = momentOf(text);
  if (moment === null) throw new Refused("a time in it is not written like 2026-11-22T09:30:00Z");
  return moment;
}

function countOf(value) {
  if (!Number.isSafeInteger(value) || value < 1) throw new Refused("a number in it is not a whole one from 1 on");
  return value;
}
