// Puts an example into the built page, as `aberra report` does, and opens it from disk in Chromium.
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";
import { MARKER, dataElement } from "../build/single-file.js";
import { example } from "./make-example.mjs";

const CHROMIUM = process.env.ABERRA_CHROMIUM ?? "/usr/bin/chromium";
const FLAGS = [
  "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
  "--disable-sync", "--enable-unsafe-swiftshader",
];

/** The page that is looked at: the committed one, or the one in ABERRA_OUT. */
export const PAGE = join(process.env.ABERRA_OUT ?? new URL("../dist", import.meta.url).pathname, "report.html");

/** Where reports and screenshots are written. */
export const FOLDER = process.env.ABERRA_SHOTS ?? mkdtempSync(join(tmpdir(), "aberra-report-"));

export async function launch() {
  if (!existsSync(CHROMIUM)) throw new Error(`expected Chromium at ${CHROMIUM}; install it, or name it in ABERRA_CHROMIUM`);
  return chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
}

/** Writes the report of a variant, once, and gives its file: address. */
export function reportAddress(variant) {
  const path = join(FOLDER, `${variant}.html`);
  if (!existsSync(path)) {
    const page = readFileSync(PAGE, "utf8");
    writeFileSync(path, page.replace(MARKER, () => dataElement(JSON.stringify(example(variant)))));
  }
  return pathToFileURL(path).href;
}
