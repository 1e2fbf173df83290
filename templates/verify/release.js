// The verification of `privsynth verify`, step by step; docs/verify-format.md says the same in words.

const UNSIGNED = "it is UNSIGNED: anyone can have made it";
const START = '<script type="application/vnd.in-toto.bundle" id="privsynth-attestation">';
const END = "<" + "/script>"; // written in two, for it would end this script
const ID = 'id="privsynth-attestation"';
const REPORT = "report.html";
const REPORT_JSON = "report.json";
const MANIFEST = "manifest.json";
const ATTESTATION = "attestation.dsse.json";
const TIME_TOKEN = "attestation.tsr";
const MAX_TIME_TOKEN = 100_000;
const MAX_REPORT = 64_000_000;
const MAX_DOCUMENT = 10_000_000; // of an envelope, a statement, a manifest and a keyring
const MAX_SIGNATURES = 16;
const MAX_PATH = 1_024;
const CLOCK_SKEW = 5 * 60 * 1000; // ms
const STATEMENT_TYPE = "https://in-toto.io/Statement/v1";
const PREDICATE_TYPE = "https://privsynth.org/attestation/release/v1";
const PAYLOAD_TYPE = "application/vnd.in-toto+json";
const LEFT_BY_SYSTEMS = [".DS_Store", "Thumbs.db", "desktop.ini"];

// ------------------------------------------------------------------------------------- envelope and statement

function envelopeOf(bytes) {
  const document = fields(strictJson(bytes, "the envelope", MAX_DOCUMENT), ["payload", "payloadType", "signatures"],
    "the envelope must have exactly the fields payload, payloadType, signatures");
  if (!Array.isArray(document.signatures) || document.signatures.length > MAX_SIGNATURES) {
    throw new Refused(`the envelope must have a list of at most ${MAX_SIGNATURES} signatures`);
  }
  const text = (value) => {
    if (typeof value !== "string" || [...value].length > 200) throw new Refused("a type or key id in the envelope is not a short text");
    return value;
  };
  const decoded = (value) => {
    const found = fromBase64(value);
    if (found === null) throw new Refused("the payload or a signature in the envelope is not standard base64");
    return found;
  };
  const signatures = document.signatures.map((item) => {
    fields(item, ["keyid", "sig"], "a signature in the envelope must have exactly the fields keyid, sig");
    return { keyid: text(item.keyid), sig: decoded(item.sig) };
  });
  const envelope = { payload: decoded(document.payload), payloadType: text(document.payloadType), signatures };
  if (written(envelope) !== fromUtf8(bytes, "the envelope")) {
    throw new Refused("the envelope is not written as privsynth writes one; it was changed on the way");
  }
  return envelope;
}

// The one form of an envelope: names sorted, no spaces, ASCII, no "<", a line feed at the end.
function written({ payload, payloadType, signatures }) {
  const ascii = (value) => JSON.stringify(value).replace(/[^\x20-\x7e]/g, escaped);
  const items = signatures.map(({ keyid, sig }) => `{"keyid":${ascii(keyid)},"sig":${ascii(toBase64(sig))}}`);
  const text = `{"payload":${ascii(toBase64(payload))},"payloadType":${ascii(payloadType)},"signatures":[${items.join(",")}]}\n`;
  return text.replaceAll("<", "\\u003c");
}

function preAuthentication({ payloadType, payload }) {
  const kind = utf8.encode(payloadType);
  return joined([utf8.encode(`DSSEv1 ${kind.length} `), kind, utf8.encode(` ${payload.length} `), payload]);
}

async function opened(bytes, trusted, own) {
  const envelope = envelopeOf(bytes);
  if (envelope.signatures.length > 1) throw new Refused("the envelope has several signatures; a release has one");
  const message = preAuthentication(envelope);
  const [signature] = envelope.signatures;
  const { subjects, claims } = await statementOf(envelope);
  if (signature === undefined) return { subjects, claims, keyid: null, entries: [] };
  let keyid = null;
  for (const entry of trusted) {
    if (keyid === null && (await fits(entry.key, signature.sig, message, own))) keyid = entry.keyid;
  }
  if (keyid === null && claims.key !== null && (await fits(claims.key, signature.sig, message, own))) keyid = claims.key.keyid;
  if (keyid === null) throw new Refused("the signature does not fit: the statement was changed, or another key signed it");
  if (claims.key?.keyid !== keyid || signature.keyid !== keyid) {
    throw new Refused("the statement names another key than the one that signed it");
  }
  return { subjects, claims, keyid, entries: trusted.filter((entry) => entry.keyid === keyid) };
}

async function statementOf({ payload, payloadType }) {
  if (payloadType !== PAYLOAD_TYPE) throw new Refused("the envelope holds something else than an in-toto statement");
  const document = fields(strictJson(payload, "the statement", MAX_DOCUMENT), ["_type", "subject", "predicateType", "predicate"],
    "the statement must have exactly the fields of an in-toto Statement v1");
  if (document._type !== STATEMENT_TYPE || document.predicateType !== PREDICATE_TYPE) {
    throw new Refused("the statement is not about a privsynth release of version 1");
  }
  const { predicate, subject } = document;
  if (predicate === null || typeof predicate !== "object" || Array.isArray(predicate) || !Array.isArray(subject)) {
    throw new Refused("the statement must have a list of subjects and a predicate object");
  }
  const subjects = new Map();
  for (const item of subject) {
    fields(item, ["name", "digest"], "a subject of the statement must have a name and a digest, nothing else");
    fields(item.digest, ["sha256"], "a subject of the statement must have a SHA-256 digest, and no other");
    if (typeof item.name !== "string" || item.name === "") throw new Refused("a subject of the statement has no name");
    if (typeof item.digest.sha256 !== "string" || !/^[0-9a-f]{64}$/.test(item.digest.sha256)) {
      throw new Refused("a subject of the statement has no SHA-256 of 64 lower-case hex digits");
    }
    subjects.set(item.name, item.digest.sha256);
  }
  if (subject.length === 0 || subjects.size !== subject.length) {
    throw new Refused("the statement must have subjects, each name once");
  }
  return { subjects, claims: await claimsOf(predicate) };
}

async function claimsOf({ kind, dataset, signer, signed_at, release = null, draft = null }) {
  const wrong = new Refused("the statement lacks a part that every release has, or has it wrong");
  const at = momentOf(signed_at);
  for (const digest of [release, draft]) {
    if (digest !== null && (typeof digest !== "string" || !/^[0-9a-f]{64}$/.test(digest))) throw wrong;
  }
  if (!["public", "officer"].includes(kind) || typeof dataset !== "string" || at === null || signer === undefined) throw wrong;
  if (signer === null) return { kind, dataset, at, signed_at, key: null, holder: null, release, draft };
  const key = typeof signer === "object" ? await publicKey(signer.public_key) : null;
  if (key === null || !("holder" in signer) || (signer.holder !== null && typeof signer.holder !== "string")) throw wrong;
  if (signer.keyid !== key.keyid) throw wrong;
  return { kind, dataset, at, signed_at, key, holder: signer.holder, release, draft };
}

// ------------------------------------------------------------------------------------------------ the report

// A page in its three parts; found by bytes, never by an HTML parser. Latin-1 keeps each byte a letter.
function splitPage(bytes) {
  const text = latin1(bytes);
  if (text.split(START).length !== 2 || lowerAscii(text).split(ID).length !== 2) {
    throw new Refused(`${REPORT} must have exactly one attestation element, spelt as privsynth writes it`);
  }
  const from = text.indexOf(START) + START.length;
  const to = text.indexOf(END, from);
  if (to < 0 || text.slice(from, to).includes("<")) throw new Refused(`the attestation element of ${REPORT} is damaged`);
  return { before: bytes.subarray(0, from), embedded: bytes.subarray(from, to), after: bytes.subarray(to) };
}

function latin1(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return text;
}

function lowerAscii(text) {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

// ------------------------------------------------------------------------------------------------ paths

function pathProblem(name) {
  if (name === "" || [...name].length > MAX_PATH) return "is empty or too long";
  if (name.startsWith("/") || /^[A-Za-z]:/.test(name)) return "is absolute";
  if (!printable(name) || /[\\:*?"<>|]/.test(name)) {
    return "has a backslash, a colon or another character that not every system allows";
  }
  const parts = name.split("/");
  if (parts.includes("..")) return "leaves the folder";
  if (parts.some((part) => part === "" || part === "." || /[. ]$/.test(part))) {
    return "has an empty part, or one that ends with a dot or a space";
  }
  return "";
}

function pathProblems(names) {
  const problems = [];
  const seen = new Map();
  for (const name of names) {
    const problem = pathProblem(name);
    if (problem) problems.push(`the path ${shown(name)} ${problem}`);
    const folded = name.normalize("NFC").toUpperCase().toLowerCase();
    if (seen.has(folded)) problems.push(`the paths ${shown(seen.get(folded))} and ${shown(name)} are the same file on some systems`);
    else seen.set(folded, name);
  }
  return problems;
}

function checkedSubjects(subjects) {
  const problems = pathProblems(subjects.keys());
  if (problems.length) throw new Refused(`the statement: ${problems.join("; ")}`);
  if (!subjects.has(REPORT) || !subjects.has(MANIFEST) || subjects.has(ATTESTATION)) {
    throw new Refused(`the statement must be about ${REPORT} and ${MANIFEST}, and not about ${ATTESTATION}`);
  }
}

function manifestOf(bytes) {
  const document = wholeJson(bytes, MANIFEST, MAX_DOCUMENT);
  fields(document, ["files", "version"], `${MANIFEST} is not a manifest of version 1`);
  if (document.version !== 1 || !Array.isArray(document.files)) throw new Refused(`${MANIFEST} is not a manifest of version 1`);
  const listed = new Map();
  for (const entry of document.files) {
    fields(entry, ["path", "sha256", "size"], `an entry of ${MANIFEST} must have path, sha256 and size, nothing else`);
    const { path, sha256: digest, size } = entry;
    if (typeof path !== "string" || typeof digest !== "string" || !Number.isInteger(size) || size < 0) {
      throw new Refused(`an entry of ${MANIFEST} has a field of the wrong type`);
    }
    if (listed.has(path)) throw new Refused(`${MANIFEST} lists ${shown(path)} twice`);
    listed.set(path, { digest, size });
  }
  const problems = pathProblems(listed.keys());
  if (problems.length) throw new Refused(`${MANIFEST}: ${problems.join("; ")}`);
  return listed;
}

// ------------------------------------------------------------------------------------------------ the verdict

// What was found. `verdict` is "verified" (exit 0 of the command line), "refused" (5) or "unknown signer" (6).
function finding() {
  return { verdict: "refused", changed: [], missing: [], added: [], problems: [], claims: null, entry: null, files: 0, unchecked: 0, promise: null, hasToken: false,
    edition: null, releases: [], list: null };
}

// Check a folder: a mapping of paths to files.
async function verifyFolder(files, trusted, now, { own = false, progress = () => {} } = {}) {
  const found = finding();
  try {
    const page = await pageOf(files, found);
    const whole = await openedFirst(await envelopesOf(files, page, found), trusted, own);
    found.claims = whole.claims;
    await checkFiles(files, page, whole.subjects, found, progress);
    found.files = whole.subjects.size;
    await readReport(files, whole, found);
    return judged(found, whole, now);
  } catch (problem) {
    if (!(problem instanceof Refused)) throw problem;
    found.problems.push(problem.message);
    return found;
  }
}

// Check a page that came alone: the other files were not there to check.
async function verifyReport(file, trusted, now, { own = false } = {}) {
  const found = finding();
  try {
    const page = splitPage(await file.read(MAX_REPORT));
    const whole = await opened(page.embedded, trusted, own);
    found.claims = whole.claims;
    checkedSubjects(whole.subjects);
    if ((await sha256(page.before, page.after)) !== whole.subjects.get(REPORT)) found.changed.push(REPORT);
    found.files = 1;
    found.unchecked = whole.subjects.size - 1;
    return judged(found, whole, now);
  } catch (problem) {
    if (!(problem instanceof Refused)) throw problem;
    found.problems.push(problem.message);
    return found;
  }
}

// What the signed report.json says; of one that was changed or is missing nothing is said.
async function readReport(files, { subjects, claims }, found) {
  const signed = subjects.has(REPORT_JSON);
  if (signed && (!files.has(REPORT_JSON) || found.changed.includes(REPORT_JSON))) return;
  const report = signed ? reportOf(await files.get(REPORT_JSON).read(MAX_REPORT)) : null;
  found.promise = promiseOf(report);
  try {
    found.edition = editionOf(report, claims.draft);
  } catch (problem) {
    if (!(problem instanceof Refused)) throw problem;
    found.problems.push(problem.message);
  }
}

async function pageOf(files, found) {
  if (!files.has(REPORT)) return null;
  try {
    return splitPage(await files.get(REPORT).read(MAX_REPORT));
  } catch (problem) {
    found.problems.push(problem.message);
    return null;
  }
}

async function envelopesOf(files, page, found) {
  const inside = page === null || page.embedded.length === 0 ? [] : [page.embedded];
  if (page !== null && page.embedded.length === 0) found.problems.push(`${REPORT} carries no envelope`);
  if (!files.has(ATTESTATION)) {
    found.missing.push(ATTESTATION);
    return inside;
  }
  const beside = await files.get(ATTESTATION).read(MAX_DOCUMENT);
  if (inside.length && toBase64(beside) !== toBase64(inside[0])) {
    found.problems.push(`the envelope inside ${REPORT} differs from ${ATTESTATION} beside it`);
    return [beside, ...inside];
  }
  return [beside];
}

async function openedFirst(envelopes, trusted, own) {
  let first = new Refused("it carries no envelope, so nobody signed it");
  for (const [i, bytes] of envelopes.entries()) {
    try {
      return await opened(bytes, trusted, own);
    } catch (problem) {
      if (i === 0) first = problem;
    }
  }
  throw first;
}

// Whether a file is one SEQUENCE in DER and nothing else. What it says is left to the command line.
async function looksLikeToken(file) {
  if (file.size < 4 || file.size > MAX_TIME_TOKEN) return false;
  const bytes = await file.read(MAX_TIME_TOKEN);
  if (bytes[0] !== 0x30) return false;
  if (bytes[1] < 0x80) return bytes.length === 2 + bytes[1];
  const size = bytes[1] - 0x80;
  const length = bytes.slice(2, 2 + size).reduce((sum, byte) => sum * 256 + byte, 0);
  return size > 0 && size <= 3 && bytes.length === 2 + size + length;
}

async function checkFiles(files, page, subjects, found, progress) {
  checkedSubjects(subjects);
  found.hasToken = !subjects.has(TIME_TOKEN) && files.has(TIME_TOKEN) && (await looksLikeToken(files.get(TIME_TOKEN)));
  const apart = found.hasToken ? [ATTESTATION, TIME_TOKEN] : [ATTESTATION];
  found.added.push(...[...files.keys()].filter((name) => !subjects.has(name) && !apart.includes(name)));
  found.missing.push(...[...subjects.keys()].filter((name) => !files.has(name)));
  const digests = new Map();
  if (page !== null) digests.set(REPORT, { digest: await sha256(page.before, page.after), size: page.before.length + page.after.length });
  for (const name of subjects.keys()) {
    if (name === REPORT || !files.has(name)) continue;
    progress(name);
    try {
      digests.set(name, { digest: await files.get(name).digest(), size: files.get(name).size });
    } catch (problem) {
      found.problems.push(`${shown(name)}: ${problem.message}`);
    }
  }
  const changed = [...digests].filter(([name, { digest }]) => digest !== subjects.get(name)).map(([name]) => name);
  found.changed.push(...changed);
  if (digests.has(MANIFEST) && !changed.includes(MANIFEST)) {
    checkManifest(manifestOf(await files.get(MANIFEST).read(MAX_DOCUMENT)), subjects, digests, found);
  }
}

function checkManifest(listed, subjects, digests, found) {
  const others = [...subjects].filter(([name]) => name !== MANIFEST);
  if (others.length !== listed.size || others.some(([name, digest]) => listed.get(name)?.digest !== digest)) {
    found.problems.push(`${MANIFEST} lists other files than the statement`);
  }
  const same = (one, other) => one.digest === other.digest && one.size === other.size;
  const wrong = [...listed].filter(([name, told]) => digests.has(name) && !found.changed.includes(name) && !same(told, digests.get(name)));
  if (wrong.length) found.problems.push(`${MANIFEST} gives a wrong size or digest for ${wrong.map(([name]) => name).join(", ")}`);
}

// The entry that vouches for a signature, or a sentence why none does; or neither, for an unknown key.
function judge(entries, roles, { at, told }, now) {
  const revoked = entries.find((entry) => entry.status === "revoked");
  if (revoked !== undefined) return { entry: null, problem: `${problemOf(revoked, now)}; signatures that claim an earlier time are refused as well` };
  if (at > now + CLOCK_SKEW) return { entry: null, problem: `it says it was signed on ${told}, which is later than this computer's clock` };
  const entry = entries.find((one) => problemOf(one, at, roles) === "") ?? null;
  if (entry !== null || !entries.length) return { entry, problem: "" };
  return { entry, problem: `${problemOf(entries[0], at, roles)}, and it says it was signed on ${told}` };
}

function judged(found, { subjects, claims, keyid, entries }, now) {
  if (keyid === null) {
    found.problems.push(UNSIGNED);
    return found;
  }
  const { entry, problem } = judge(entries, ["maker"], { at: claims.at, told: claims.signed_at }, now);
  if (problem) found.problems.push(problem);
  if (found.problems.length || found.changed.length || found.missing.length || found.added.length) return found;
  found.entry = entry;
  found.releases = [claims.release ?? subjects.get(MANIFEST), ...(claims.draft === null ? [] : [claims.draft])];
  found.verdict = entry === null ? "unknown signer" : "verified";
  return found;
}
