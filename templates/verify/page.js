// The page: takes what is dropped or chosen, and says what was found.

const byId = (id) => document.getElementById(id);
let given = []; // keyrings, {name, bytes}
let root = null; // of the reader; then only keyrings that it signed count
let keyrings = []; // entries of all keyrings that were given
let list = null; // of revocations, as it was given; null while none was
let dropped = null; // {label, files} of a folder or archive, or {label, file} of a lone page

async function start() {
  const [builtRoot, built] = [byId("built-in-root").textContent.trim(), byId("built-in-keyring").textContent.trim()];
  if (builtRoot !== "") await setRoot(builtRoot, "the root that came with this page");
  if (built !== "") {
    given.push({ name: "the keyring that came with this page", bytes: utf8.encode(built) });
    await readKeyrings();
  }
  byId("keyring").addEventListener("change", (event) => attempt(() => takeKeyrings([...event.target.files])));
  byId("root").addEventListener("change", (event) => attempt(() => takeRoot(event.target.files[0])));
  byId("revocations").addEventListener("change", (event) => attempt(() => takeList(event.target.files[0])));
  byId("file").addEventListener("change", (event) => attempt(() => takeFile(event.target.files[0])));
  byId("folder").addEventListener("change", (event) => attempt(() => takeFolder([...event.target.files])));
  const zone = byId("drop");
  zone.addEventListener("dragover", (event) => event.preventDefault());
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
    attempt(() => takeDropped(entries));
  });
}

async function attempt(act) {
  try {
    await act();
  } catch (problem) {
    const known = problem instanceof Refused || problem instanceof DOMException;
    say("problem", "Not checked", [known ? problem.message : `something unexpected happened (${problem.name}); use the command line`]);
  }
}

async function takeKeyrings(files) {
  for (const file of files) given.push({ name: file.name, bytes: await readOnce(file) });
  await readKeyrings();
}

async function takeRoot(file) {
  if (file === undefined) return;
  await setRoot(latin1(await readOnce(file)).trim(), file.name);
}

async function setRoot(text, name) {
  const key = await publicKey(text);
  if (key === null) throw new Refused(`${name} is not the public key of a root. Ask who holds the root for it.`);
  root = key;
  await readKeyrings();
}

async function takeList(file) {
  if (file === undefined) return;
  await setList(await readOnce(file), file.name);
  await check();
}

async function setList(bytes, name) {
  list = { bytes, name };
  byId("list").replaceChildren(item(`Revocations: ${shown(name)}`));
}

async function readOnce(file) {
  return fileOf(file).read(MAX_DOCUMENT);
}

// All keyrings that were given, read again: which of them count depends on whether there is a root.
async function readKeyrings() {
  const entries = [];
  keyrings = [];
  for (const one of [...given]) {
    try {
      entries.push(...(await readKeyring(one)));
    } catch (problem) {
      given = given.filter((other) => other !== one);
      if (problem instanceof Refused) throw new Refused(`${problem.message}. Ask the signer for a keyring.`);
      throw problem;
    }
  }
  keyrings = entries;
  const from = root === null ? [] : [item(`Root: ${fingerprint(root.keyid)}`)];
  const listed = keyrings.map((entry) => item(`${entry.holder}: ${fingerprint(entry.keyid)}`));
  if (given.length && !listed.length) listed.push(item(`${given.at(-1).name} holds no key`));
  byId("trusted").textContent = `Keys that you trust${given.length ? `, of ${given.map((one) => shown(one.name)).join(", ")}` : ": none yet"}`;
  byId("keys").replaceChildren(...from, ...listed);
  await check();
}

async function readKeyring({ name, bytes }) {
  if (root !== null) return signedEntries(bytes, root, Date.now(), name);
  if (isSigned(bytes)) throw new Refused(`${name} is a keyring that a root signed: give the root first`);
  return keyringOf(bytes, name);
}

async function takeFile(file) {
  if (file === undefined) return;
  if (await isList(file)) return takeList(file);
  dropped = null;
  const head = latin1(new Uint8Array(await file.slice(0, 4).arrayBuffer()));
  if (head.startsWith("{")) {
    throw new Refused(`${file.name} may be a keyring: give that in its own field, and never from what came with a release`);
  }
  if (head.startsWith("PAR1")) throw new Refused(`${file.name} is a table, which bears no signature: give the folder of the release that it came in`);
  if (head.startsWith("\x1f\x8b")) throw new Refused(`${file.name} is an archive that this page cannot read: unpack it, and give the folder`);
  if (head.startsWith("PK")) dropped = { label: file.name, files: belowRoot(await unzipped(file)) };
  else dropped = { label: file.name, file: fileOf(file) };
  await check();
}

async function takeFolder(files) {
  if (!files.length) return;
  dropped = null;
  const found = new Map(files.map((file) => [file.webkitRelativePath, fileOf(file)]));
  dropped = { label: files[0].webkitRelativePath.split("/")[0], files: belowRoot(found) };
  await check();
}

// The list of revocations may be dropped with the release: whoever brings it, its signature decides.
async function isList(file) {
  return file.size <= MAX_DOCUMENT && isRevocations(await readOnce(file));
}

async function takeDropped(entries) {
  const isFolder = (entry) => !(entry instanceof File) && entry.isDirectory;
  const opened = (entry) => (entry instanceof File ? entry : new Promise((done, failed) => entry.file(done, failed)));
  const others = [];
  for (const entry of entries) {
    const file = isFolder(entry) ? null : await opened(entry);
    if (file !== null && (await isList(file))) await setList(await readOnce(file), file.name);
    else others.push(file ?? entry);
  }
  if (!others.length) return check();
  dropped = null;
  if (others.length !== 1) throw new Refused("give one thing at a time: a folder, an archive or a report, and the list of revocations if you have one");
  const [other] = others;
  if (other instanceof File) return takeFile(other);
  const found = new Map();
  await collect(other, `${other.name}/`, found);
  dropped = { label: other.name, files: belowRoot(found) };
  await check();
}

async function collect(folder, prefix, found) {
  const reader = folder.createReader();
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!some.length) return;
    for (const entry of some) {
      if (found.size >= MAX_ENTRIES) throw new Refused(`more than ${MAX_ENTRIES} files; use the command line`);
      if (entry.isDirectory) await collect(entry, `${prefix}${entry.name}/`, found);
      else found.set(prefix + entry.name, fileOf(await new Promise((done, failed) => entry.file(done, failed))));
    }
  }
}

// What is given later takes the place of what is still being checked, whose verdict nobody gets to see.
async function check() {
  if (dropped === null) return;
  const [mine, trusted, asked] = [dropped, keyrings, list];
  const current = () => mine === dropped && trusted === keyrings && asked === list;
  const progress = (name) => current() && say("working", "Checking …", [name]);
  progress(mine.label);
  const now = Date.now();
  const found =
    mine.files === undefined
      ? await verifyReport(mine.file, trusted, now)
      : await verifyFolder(mine.files, trusted, now, { progress });
  const answered = asked === null ? found : await askList(found, asked.bytes, trusted, now);
  if (current()) tell(mine.label, answered);
}

function tell(label, found) {
  const { claims, list: asked } = found;
  if (found.verdict === "verified") {
    const left = found.unchecked ? [`Only the report was checked; ${found.unchecked} other signed files were not there to check.`] : [];
    say("verified", `${label} verifies`, left, factsOf(found));
  } else if (found.verdict === "revoked") {
    const { at, reason } = asked.one;
    say("revoked", `${label} was revoked`, [
      `${asked.holder} revoked this release on ${at.slice(0, 10)}: ${reason}. Do not use it any more.`,
      "Its files are as they were signed.",
    ]);
  } else if (found.verdict === "unknown signer" && asked !== null) {
    say("unknown", `${label} verifies, but nobody you know says whether it was revoked`, [
      `The list of revocations is signed by key ${fingerprint(asked.key.keyid)}, which no keyring has.`,
      "Ask who signed the release for their list, and for the keyring by another way than the list came.",
    ]);
  } else if (found.verdict === "unknown signer") {
    say("unknown", `${label} is intact, but you have no keyring with its signer`, [
      `It says that it is from “${shown(claims.holder ?? "")}”, which anyone can write.`,
      `Its key is ${fingerprint(claims.key.keyid)}. Ask them for the fingerprint and the keyring by another way than the release came.`,
    ]);
  } else if (found.onlyList) {
    say("refused", `${label} verifies, but its list of revocations does not`, [...refusals(found), "Whether the release was revoked is open: ask who signed it for the latest list."]);
  } else {
    say("refused", `${label} does not verify`, [...refusals(found), advice(found)]);
  }
}

function factsOf(found) {
  const { claims, entry, promise, edition } = found;
  const facts = [
    ["Signed by", entry.holder],
    ["Fingerprint", fingerprint(entry.keyid)],
    ["Signed at", `${claims.signed_at} (the signer's word)`],
    ["Key valid until", entry.not_after],
    ["Key may", entry.roles.map((role) => ROLES[role]).join(", ")],
    ["Release", `${claims.kind}, of ${shown(claims.dataset)}`],
    ["Files", `${found.files} checked`],
  ];
  if (edition !== null) facts.push(...editionFacts(edition));
  else if (claims.draft !== null) facts.push(["Edition", `approved edition of draft SHA-256 ${claims.draft}; who decided stands in the report`]);
  if (found.hasToken) facts.push(["Time", "a time token (attestation.tsr) is there; this page does not check it"]);
  if (promise !== null) facts.push(["Promise", promiseText(promise)]);
  return [...facts, revocationFact(found)];
}

function revocationFact({ list: asked, entry }) {
  if (asked === null) return ["Revoked", "not asked: give the list of revocations of who signed it"];
  const { one, holder } = asked;
  if (one !== null) return ["Superseded", `on ${one.at.slice(0, 10)}, by the release ${one.successor.slice(0, 16)}…: ${one.reason}`];
  const other = holder === entry.holder ? "" : `; ask ${entry.holder}, who signed the release, for theirs too`;
  return ["Revoked", `no: not in the list of ${holder} of ${asked.issued_at.slice(0, 10)}, good until ${asked.expires_at.slice(0, 10)}${other}`];
}

function refusals({ changed, missing, added, problems }) {
  const listed = [["changed", changed], ["missing", missing], ["added", added]].filter(([, names]) => names.length);
  return [...listed.map(([what, names]) => `${what}: ${[...names].sort().map(shown).join(", ")}`), ...problems];
}

function advice({ changed, missing, added, problems }) {
  const harmless = added.every((name) => LEFT_BY_SYSTEMS.includes(name.split("/").at(-1)));
  if (added.length && harmless && !changed.length && !missing.length && !problems.length) {
    return "Everything that was signed is unchanged. Files of these names are left by macOS and Windows where somebody opens a folder; nobody signed them. Delete them, then verify again.";
  }
  if (problems.length === 1 && problems[0] === UNSIGNED && !changed.length && !missing.length && !added.length) {
    return "Its files fit each other, which shows nothing: ask for a signed copy.";
  }
  return "Do not rely on it; ask the sender for a fresh copy.";
}

function promiseText({ epsilon, delta, unit, most }) {
  const rows = most === null ? "" : `, at most ${most} rows each`;
  return `ε = ${epsilon}, δ = ${delta}; the unit is ${shown(unit)}${rows} (the signer's word)`;
}

function say(state, title, sentences, facts = []) {
  const box = byId("verdict");
  box.dataset.state = state;
  const head = document.createElement("h2");
  head.textContent = title;
  const list = document.createElement("ul");
  list.append(...sentences.map(item));
  const table = document.createElement("dl");
  for (const [name, value] of facts) {
    const [term, said] = [document.createElement("dt"), document.createElement("dd")];
    [term.textContent, said.textContent] = [name, value];
    table.append(term, said);
  }
  box.replaceChildren(head, ...(sentences.length ? [list] : []), ...(facts.length ? [table] : []));
}

function item(text) {
  const line = document.createElement("li");
  line.textContent = text;
  return line;
}

if (byId("verdict") !== null) start();
