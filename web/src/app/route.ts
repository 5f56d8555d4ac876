// Addresses of the app: what stands after #. First the place and what of it, then, after a question mark, the detector that judges
// and the thresholds of scores and of pixels where they were moved, and how the page is looked at (numbers/look.ts): an address can
// be sent to somebody who uses the same server.
import type { Look } from "../numbers/look";

export interface Route {
  /** Place, and what of it. */
  path: string[];
  detector: string | null;
  threshold: number | null;
  pixels: number | null;
  /** All that stands after the question mark. */
  query: string;
}

export function readRoute(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#/, "").split("?");
  const asked = new URLSearchParams(query);
  const number = (key: string) => {
    const text = asked.get(key)?.trim() ?? "";
    return text === "" || !Number.isFinite(Number(text)) ? null : Number(text);
  };
  return {
    path: path.split("/").filter((part) => part !== "").map(plain),
    detector: asked.get("detector"),
    threshold: number("threshold"),
    pixels: number("pixels"),
    query,
  };
}

/** The same place for another detector or other thresholds, looked at otherwise. */
export function withQuery(hash: string, { detector, threshold, pixels }: Omit<Route, "path" | "query">, look: Look = []): string {
  const path = hash.replace(/^#/, "").split("?")[0] ?? "";
  const asked = new URLSearchParams();
  if (detector !== null) asked.set("detector", detector);
  if (threshold !== null) asked.set("threshold", String(threshold));
  if (pixels !== null) asked.set("pixels", String(pixels));
  for (const [key, value] of look) asked.set(key, value);
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
