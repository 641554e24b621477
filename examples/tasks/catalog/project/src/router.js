// Answers requests; a server would hand them in.

export class BadRequest extends Error {}

function records(catalog, query) {
  for (const name of query.keys()) {
    if (!["artist", "tag"].includes(name)) throw new BadRequest(`unknown parameter: ${name}`);
  }
  const items = catalog.find({
    artist: query.get("artist") ?? undefined,
    tag: query.get("tag") ?? undefined,
  });
  return { items };
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
