// What a reader drops, as a mapping of paths to files: `{size, read(limit), digest()}`. Folders, ZIP archives, one page.

const MAX_ENTRIES = 200_000; // as the command line reads at most
const MAX_PART = 1_500_000_000; // bytes hashed at once (own): browsers keep them in memory, and hold some 2 GB
const LOCAL_HEADER = 30; // bytes of a file's header in an archive, before its name
const CENTRAL_HEADER = 46;
const END_RECORD = 22;
const SEVERAL_WAYS = "its parts do not follow each other, so that programs differ in what it holds; do not rely on it";

class File_ {
  constructor(size, bytes) {
    this.size = size;
    this.bytes = bytes;
  }

  async read(limit) {
    if (this.size > limit) throw new Refused(`longer than ${limit} bytes`);
    return this.bytes();
  }

  async digest() {
    if (this.size > MAX_PART) throw new Refused("too large for a browser; verify it on the command line");
    return sha256(await this.bytes());
  }
}

function fileOf(blob) {
  return new File_(blob.size, async () => new Uint8Array(await blob.arrayBuffer()));
}

// The files of an archive. Programs differ in which of two directories they believe, so an archive is taken only if it
// can be read in one way: files one after the other from the first byte, their one directory, its end record, no more.
async function unzipped(blob) {
  const from = Math.max(0, blob.size - 65_557);
  const view = await viewOf(blob, from, blob.size);
  let end = view.byteLength - END_RECORD;
  while (end >= 0 && view.getUint32(end, true) !== 0x06054b50) end -= 1;
  if (end < 0) throw new Refused("it is no whole ZIP archive; ask the sender for it again");
  const [count, size, start] = [view.getUint16(end + 10, true), view.getUint32(end + 12, true), view.getUint32(end + 16, true)];
  const ends = end + END_RECORD + view.getUint16(end + 20, true) === view.byteLength;
  if (count === 0xffff || start === 0xffffffff) {
    throw new Refused("it is an archive of more than 4 GB or 65,534 files; unpack it, and give the folder");
  }
  if (!ends || start + size !== from + end) throw new Refused(SEVERAL_WAYS);
  return directory(blob, await viewOf(blob, start, start + size), count, start);
}

async function directory(blob, view, count, start) {
  const files = new Map();
  let next = 0; // where the following file has to begin
  let at = 0;
  for (let i = 0; i < count; i += 1) {
    if (at + CENTRAL_HEADER > view.byteLength || view.getUint32(at, true) !== 0x02014b50) {
      throw new Refused("its list of files is damaged; ask the sender for the archive again");
    }
    const [nameSize, extraSize, noteSize] = [28, 30, 32].map((offset) => view.getUint16(at + offset, true));
    const name = fromUtf8(new Uint8Array(view.buffer, view.byteOffset + at + CENTRAL_HEADER, nameSize), "a name in the archive");
    const kind = (view.getUint32(at + 38, true) >>> 16) & 0xf000; // of the file, where a Unix made the archive
    const entry = {
      encrypted: (view.getUint16(at + 8, true) & 1) === 1,
      method: view.getUint16(at + 10, true),
      packed: view.getUint32(at + 20, true),
      size: view.getUint32(at + 24, true),
      start: view.getUint32(at + 42, true),
    };
    if (files.has(name)) throw new Refused(`the archive holds ${shown(name)} twice`);
    if (kind !== 0 && kind !== 0x8000 && kind !== 0x4000) throw new Refused(`${shown(name)} is a link or a device`);
    if (entry.start !== next) throw new Refused(SEVERAL_WAYS);
    const head = await viewOf(blob, entry.start, entry.start + LOCAL_HEADER + nameSize);
    next = await endOf(blob, head, entry, new Uint8Array(view.buffer, view.byteOffset + at + CENTRAL_HEADER, nameSize));
    if (!name.endsWith("/")) files.set(name, new File_(entry.size, () => unpacked(blob, entry, name)));
    at += CENTRAL_HEADER + nameSize + extraSize + noteSize;
  }
  if (next !== start || at !== view.byteLength) throw new Refused(SEVERAL_WAYS);
  return files;
}

// Where a file ends in the archive, whose own header has to say what the directory says of it.
async function endOf(blob, head, entry, name) {
  const whole = head.byteLength === LOCAL_HEADER + name.length && head.getUint32(0, true) === 0x04034b50;
  if (!whole || head.getUint16(26, true) !== name.length) throw new Refused(SEVERAL_WAYS);
  if (name.some((byte, i) => head.getUint8(LOCAL_HEADER + i) !== byte)) throw new Refused(SEVERAL_WAYS);
  const after = (head.getUint16(6, true) & 8) === 8; // sizes follow the file
  const sizes = [head.getUint32(18, true), head.getUint32(22, true)];
  const said = after && sizes[0] === 0 && sizes[1] === 0 ? true : sizes[0] === entry.packed && sizes[1] === entry.size;
  if (head.getUint16(8, true) !== entry.method || !said) throw new Refused(SEVERAL_WAYS);
  const end = entry.start + LOCAL_HEADER + name.length + head.getUint16(28, true) + entry.packed;
  if (!after) return end;
  const signed = await viewOf(blob, end, end + 4);
  return end + (signed.byteLength === 4 && signed.getUint32(0, true) === 0x08074b50 ? 16 : 12);
}

async function unpacked(blob, entry, name) {
  const head = await viewOf(blob, entry.start, entry.start + LOCAL_HEADER);
  if (entry.encrypted || ![0, 8].includes(entry.method) || head.byteLength < LOCAL_HEADER || head.getUint32(0, true) !== 0x04034b50) {
    throw new Refused(`${shown(name)} in the archive is packed in a way that this page cannot read; unpack it, and give the folder`);
  }
  const from = entry.start + LOCAL_HEADER + head.getUint16(26, true) + head.getUint16(28, true);
  const part = blob.slice(from, from + entry.packed);
  const stream = entry.method === 0 ? part.stream() : part.stream().pipeThrough(new DecompressionStream("deflate-raw"));
  const bytes = new Uint8Array(entry.size);
  let at = 0;
  try {
    for (const reader = stream.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) break;
      if (at + value.length > entry.size) throw new Refused("more");
      bytes.set(value, at);
      at += value.length;
    }
  } catch {
    at = -1;
  }
  if (at !== entry.size) throw new Refused(`${shown(name)} in the archive is damaged; ask the sender for it again`);
  return bytes;
}

async function viewOf(blob, from, to) {
  return new DataView(await blob.slice(from, to).arrayBuffer());
}

// Paths below the one folder that holds everything, as archives and folders of a whole release have it.
function belowRoot(files) {
  let found = files;
  while (!found.has("manifest.json") && !found.has("report.html")) {
    const roots = new Set([...found.keys()].map((name) => (name.includes("/") ? name.slice(0, name.indexOf("/")) : "")));
    const whole = roots.has("public") && found.has("public/manifest.json") && roots.size > 1;
    if (whole) throw new Refused("it holds a whole run, whose parts are signed separately; give its folder 'public'");
    if (roots.size !== 1 || roots.has("")) return files;
    found = new Map([...found].map(([name, file]) => [name.slice(name.indexOf("/") + 1), file]));
  }
  return found;
}
