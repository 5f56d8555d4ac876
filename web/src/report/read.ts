// Finds a report's data in the page: as JSON, or as JSON compressed with gzip and written in base64.
import type { ReportData } from "./data";

/** The version of the data that this page shows. */
const VERSION = 3;

export async function readReport(page: Document): Promise<ReportData> {
  const element = page.getElementById("aberra-report");
  if (element === null) throw new Error("This page holds no report. Make one with `aberra report DETECTOR FOLDER`.");
  const text = element.textContent ?? "";
  const json = element.getAttribute("type") === "application/gzip" ? await unpacked(text) : text;
  const report = JSON.parse(json) as ReportData;
  if (Number(report.version) !== VERSION) {
    throw new Error(`This page shows report data of version ${VERSION} and found version ${String(report.version)}. Make the report again with one version of aberra.`);
  }
  element.remove();
  return report;
}

/** The text of gzip bytes in base64. */
export async function unpacked(base64: string): Promise<string> {
  const bytes = bytesOf(base64);
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}

/** A short address for a picture that many elements show; a server's address stays as it is. */
export function shortAddress(picture: string): string {
  const match = /^data:([^;,]+);base64,/.exec(picture);
  if (match === null) return picture;
  return URL.createObjectURL(new Blob([bytesOf(picture.slice(match[0].length))], { type: match[1]! }));
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  const binary = atob(base64.trim());
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}
