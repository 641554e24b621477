// Answers requests; a server would hand them in.

const DEFAULT_SIZE = 20;
const LARGEST_SIZE = 100;

export class BadRequest extends Error {}

function positive(query, name, otherwise) {
  const text = query.get(name);
  if (text === null) return otherwise;
  if (!/^[0-9]+$/.test(text) || Number(text) === 0) throw new BadRequest(`${name} is a whole number above 0`);
  return Number(text);
}

function records(catalog, query) {
  for (const name of query.keys()) {
    if (!["artist", "tag", "page", "size"].includes(name)) throw new BadRequest(`unknown parameter: ${name}`);
  }
  const filter = {
    artist: query.get("artist") ?? undefined,
    tag: query.get("tag") ?? undefined,
  };
  const size = Math.min(positive(query, "size", DEFAULT_SIZE), LARGEST_SIZE);
  return catalog.page(filter, positive(query, "page", 1), size);
}

function record(catalog, id) {
  if (!/^[0-9]+$/.test(id)) throw new BadRequest(`not a number: ${id}`);
  return catalog.get(Number(id));
}

/** The status and the body for a GET of the address. */
export function handle(catalog, address) {
  const { pathname, searchParams } = new URL(address, "http://shelf");
  const parts = pathname.split("/").filter(Boolean);
  try {
    let body;
    if (parts[0] === "records" && parts.length === 1) body = records(catalog, searchParams);
    if (parts[0] === "records" && parts.length === 2) body = record(catalog, parts[1]);
    if (body === undefined) return { status: 404, body: { error: "not found" } };
    return { status: 200, body };
  } catch (error) {
    if (error instanceof BadRequest) return { status: 400, body: { error: error.message } };
    throw error;
  }
}
