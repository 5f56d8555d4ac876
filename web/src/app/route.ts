// Addresses of the app: what stands after #. First the place and what of it, then, after a question mark, the detector that judges
// and the threshold where it was moved: an address can be sent to somebody who uses the same server.

export interface Route {
  /** Place, and what of it. */
  path: string[];
  detector: string | null;
  threshold: number | null;
}

export function readRoute(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#/, "").split("?");
  const asked = new URLSearchParams(query);
  const threshold = asked.get("threshold");
  return {
    path: path.split("/").filter((part) => part !== "").map(plain),
    detector: asked.get("detector"),
    threshold: threshold === null || threshold.trim() === "" || !Number.isFinite(Number(threshold)) ? null : Number(threshold),
  };
}

/** The same place for another detector or threshold. */
export function withQuery(hash: string, detector: string | null, threshold: number | null): string {
  const path = hash.replace(/^#/, "").split("?")[0] ?? "";
  const asked = new URLSearchParams();
  if (detector !== null) asked.set("detector", detector);
  if (threshold !== null) asked.set("threshold", String(threshold));
  const query = asked.toString();
  return `#${path}${query === "" ? "" : `?${query}`}`;
}

function plain(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
