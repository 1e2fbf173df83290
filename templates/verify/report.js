// What the signed report.json says: the promise, and who decided on an approved edition.

const MEANINGS = { reviewed: "Reviewed", approved: "Approved", rejected: "Rejected" };

// The document in the bytes that were signed, or null where it is no JSON.
function reportOf(bytes) {
  try {
    return strictJson(bytes, REPORT_JSON, MAX_REPORT);
  } catch {
    return null;
  }
}

function objectOf(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value) ? value : {};
}

// ε, δ and unit, or null.
function promiseOf(report) {
  const { epsilon, delta, unit, max_rows_per_unit: most = null } = objectOf(objectOf(report).guarantee);
  const number = (value) => typeof value === "number";
  if (!number(epsilon) || !number(delta) || !(epsilon > 0) || !(delta >= 0 && delta < 1)) return null;
  if (typeof unit !== "string" || unit === "" || !(most === null || (Number.isInteger(most) && most > 0))) return null;
  return { epsilon, delta, unit, most };
}

// Who decided on the draft that the statement names; null of a draft. Statement and report name the same one, or none.
function editionOf(report, draft) {
  const { edition = null, sign_offs: decisions = null } = objectOf(report);
  const none = decisions === null || (Array.isArray(decisions) && !decisions.length);
  if (draft === null && edition === null && none) return null;
  if (draft === null || objectOf(edition).draft !== draft) {
    throw new Refused("its report.json and its statement do not name the same draft that people decided on");
  }
  const text = (value) => typeof value === "string";
  const decided = (one) => Object.hasOwn(MEANINGS, one.meaning) && text(one.name) && one.name !== "" && text(one.comment) && momentOf(one.at) !== null;
  const { published_by: by, published_at: at } = edition;
  if (!text(by) || momentOf(at) === null || !Array.isArray(decisions) || !decisions.every((one) => decided(objectOf(one)))) {
    throw new Refused("its report.json lacks a part of who decided on it, or has it wrong");
  }
  return { draft, by, at, decisions };
}

// Terms and texts for the page.
function editionFacts({ draft, by, at, decisions }) {
  const hand = (name, time) => `by ${shown(name)}, ${time.replace("T", " ").replace("Z", " UTC")}`;
  const facts = [["Edition", `approved edition of draft SHA-256 ${draft}`]];
  for (const [meaning, label] of Object.entries(MEANINGS)) {
    const said = decisions.filter((one) => one.meaning === meaning);
    facts.push(...said.map((one) => [label, hand(one.name, one.at) + (one.comment && `: ${shown(one.comment)}`)]));
    if (!said.length && meaning !== "rejected") facts.push([label, "nobody"]);
  }
  return [...facts, ["Published", `${hand(by, at)} (the signer's word, as all of it)`]];
}
