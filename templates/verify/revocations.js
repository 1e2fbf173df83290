// The signed list of releases that must not be used any more, as `privsynth.approvals.revocations` reads it.

const REVOCATIONS_TYPE = "https://privsynth.org/attestation/revocations/v1";
const MAY_REVOKE = ["maker", "approver"];
const MAX_REASON = 500; // characters
const DIGEST = /^[0-9a-f]{64}$/;

// Whether bytes look like such a list, so that it may be dropped with the release; what it is worth, `askList` says.
function isRevocations(bytes) {
  try {
    const { payloadType, payload } = envelopeOf(bytes);
    return payloadType === PAYLOAD_TYPE && strictJson(payload, "it", MAX_DOCUMENT)?.predicateType === REVOCATIONS_TYPE;
  } catch {
    return false;
  }
}

// The list in a file, and the key that signed it; whose key that is, a keyring says.
async function revocationsOf(bytes, own) {
  const envelope = envelopeOf(bytes);
  const [signature] = envelope.signatures;
  if (envelope.payloadType !== PAYLOAD_TYPE || envelope.signatures.length !== 1) {
    throw new Refused("the list of revocations is no statement with one signature");
  }
  const document = wholeJson(envelope.payload, "the list of revocations", MAX_DOCUMENT);
  const list = await listOf(document, "that is no list of revocations, or it lacks a part that every list has");
  if (signature.keyid !== list.key.keyid || !(await fits(list.key, signature.sig, preAuthentication(envelope), own))) {
    throw new Refused("the signature of the list of revocations does not fit: it was changed");
  }
  return list;
}

async function listOf(document, wrong) {
  const { _type, subject, predicateType, predicate } = fields(document, ["_type", "subject", "predicateType", "predicate"], wrong);
  if (_type !== STATEMENT_TYPE || predicateType !== REVOCATIONS_TYPE) throw new Refused(wrong);
  const { number, issued_at, expires_at, revoked, signer } = fields(predicate, ["number", "issued_at", "expires_at", "revoked", "signer"], wrong);
  const { keyid, public_key } = fields(signer, ["holder", "keyid", "public_key"], wrong);
  const [key, from, to] = [await publicKey(public_key), momentOf(issued_at), momentOf(expires_at)];
  const lists = Array.isArray(subject) && Array.isArray(revoked) && subject.length === revoked.length;
  if (key === null || key.keyid !== keyid || from === null || to === null || from >= to || !lists) throw new Refused(wrong);
  if (!Number.isSafeInteger(number) || number < 1) throw new Refused(wrong);
  const entries = new Map();
  for (const [i, item] of revoked.entries()) {
    const entry = fields(item, ["release", "reason", "at", "successor"], wrong);
    const named = fields(subject[i], ["name", "digest"], wrong);
    const { sha256: digest } = fields(named.digest, ["sha256"], wrong);
    if (!isEntry(entry) || named.name !== entry.release || digest !== entry.release || entries.has(entry.release)) throw new Refused(wrong);
    entries.set(entry.release, entry);
  }
  return { issued_at, expires_at, from, to, key, entries };
}

function isEntry({ release, reason, at, successor }) {
  const isDigest = (text) => typeof text === "string" && DIGEST.test(text);
  const line = typeof reason === "string" && reason.trim() !== "" && printable(reason) && [...reason].length <= MAX_REASON;
  return isDigest(release) && line && momentOf(at) !== null && (successor === "" || isDigest(successor));
}

// Ask a list about a release that verifies: what it says becomes a part of what was found, and of the verdict.
async function askList(found, bytes, trusted, now, { own = false } = {}) {
  if (found.verdict !== "verified") return found;
  try {
    const list = await revocationsOf(bytes, own);
    const { entry, problem } = judge(trusted.filter(({ keyid }) => keyid === list.key.keyid), MAY_REVOKE, { at: list.from, told: list.issued_at }, now);
    if (problem) throw new Refused(`the list of revocations does not count: ${problem}`);
    if (entry === null) return { ...found, verdict: "unknown signer", list: { ...list, holder: null } };
    if (now > list.to + CLOCK_SKEW) {
      throw new Refused(`the list of revocations was good until ${list.expires_at.slice(0, 10)}; ask ${entry.holder} for the latest one`);
    }
    const said = found.releases.map((digest) => list.entries.get(digest)).filter((one) => one !== undefined && !found.releases.includes(one.successor));
    const one = said.find(({ successor }) => successor === "") ?? said[0] ?? null;
    const verdict = one !== null && one.successor === "" ? "revoked" : "verified";
    return { ...found, verdict, list: { ...list, holder: entry.holder, one } };
  } catch (problem) {
    if (!(problem instanceof Refused)) throw problem;
    return { ...found, verdict: "refused", problems: [...found.problems, problem.message], onlyList: true };
  }
}
