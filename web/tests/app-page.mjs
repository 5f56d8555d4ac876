// What the tests of the app share: the browser, opening a page of a running server (ABERRA_URL), axe, screenshots (ABERRA_SHOTS),
// and counting what fails.
import { mkdtempSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { launch } from "./open-report.mjs";

export const URL_ = process.env.ABERRA_URL;
if (!URL_) throw new Error("expected the address of a running server in ABERRA_URL, found none");
export const SHOTS = process.env.ABERRA_SHOTS ?? mkdtempSync(join(tmpdir(), "aberra-app-"));
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const failures = [];
export let checks = 0;
export const browser = await launch();

export function expect(condition, message) {
  checks += 1;
  if (!condition) failures.push(message);
}

export async function open(hash = "", settings = {}, url = URL_, expected = /\b(401|422|503)\b|ERR_FAILED/) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, colorScheme: "light", reducedMotion: "reduce", ...settings });
  const page = await context.newPage();
  page.setDefaultTimeout(20000);
  page.on("pageerror", (error) => failures.push(`#${hash}: ${error.stack?.split("\n").slice(0, 3).join(" ")}`));
  page.on("console", (message) => message.type() === "error" && !expected.test(message.text()) && failures.push(`#${hash}: console: ${message.text()}`));
  await page.addInitScript(() => addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI, sourceFile, lineNumber }) => console.error(`refused by the policy: ${violatedDirective} ${blockedURI} ${sourceFile}:${lineNumber}`)));
  page.on("request", (request) => {
    const address = request.url();
    if (!address.startsWith(url) && !/^(data|blob):/.test(address)) failures.push(`#${hash}: asked another server: ${address}`);
  });
  await page.goto(`${url}/#${hash}`);
  await page.waitForSelector("main h1", { state: "attached" });
  return page;
}

export async function accessible(page, where) {
  await page.evaluate(AXE);
  const violations = await page.evaluate(async () => (await globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] })).violations.map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => `${node.target.join(" ")} (${(node.any[0] ?? node.all[0] ?? node.none[0])?.message ?? ""})`).join("; ")}`));
  expect(violations.length === 0, `${where}: axe: ${violations.join(" | ")}`);
}

export async function fits(page, where) {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  expect(over <= 0, `${where}: scrolls ${over} px sideways`);
}

export const shot = (page, name) => page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true });
export const go = async (page, hash) => {
  await page.evaluate((to) => (location.hash = to), hash);
  await page.waitForTimeout(300);
};
/** Waits for what a step leads to: pages that are loaded on demand come a moment after the click. */
export const appears = (locator) => locator.waitFor().then(() => true, () => false);
export const judged = (page) => page.waitForSelector('.viewer canvas[data-drawn="true"]');
/** All images of the gallery are judged. */
export const counted = (page, number) => page.waitForFunction((number) => document.querySelectorAll("main .gallery a").length === number && /flagged/.test(document.querySelector("h1 [role=status]")?.textContent ?? ""), number);
export const threshold = (page) => page.getByRole("slider", { name: "Threshold", exact: true });
export const heading = (page) => page.locator("main h1").first().innerText();
export const run = async (name, steps) => {
  const started = Date.now();
  try {
    await steps();
  } catch (error) {
    failures.push(`${name}: ${error.message.split("\n").slice(0, 3).join(" ")}`);
  }
  console.log(`app: ${name}: ${((Date.now() - started) / 1000).toFixed(1)} s`);
};

/** An uncompressed 8-bit grey TIFF, which no browser decodes. */
export function tiff(side) {
  const [strip, entries] = [8 + 2 + 9 * 12 + 4, []];
  const entry = (tag, type, value) => entries.push([tag, type, 1, value]);
  for (const [tag, type, value] of [[256, 3, side], [257, 3, side], [258, 3, 8], [259, 3, 1], [262, 3, 1], [273, 4, strip], [277, 3, 1], [278, 3, side], [279, 4, side * side]]) entry(tag, type, value);
  const bytes = Buffer.alloc(strip + side * side);
  bytes.write("II", 0, "latin1");
  bytes.writeUInt16LE(42, 2);
  bytes.writeUInt32LE(8, 4);
  bytes.writeUInt16LE(entries.length, 8);
  entries.forEach(([tag, type, count, value], i) => {
    bytes.writeUInt16LE(tag, 10 + 12 * i);
    bytes.writeUInt16LE(type, 12 + 12 * i);
    bytes.writeUInt32LE(count, 14 + 12 * i);
    if (type === 3) bytes.writeUInt16LE(value, 18 + 12 * i);
    else bytes.writeUInt32LE(value, 18 + 12 * i);
  });
  for (let i = 0; i < side * side; i++) bytes[strip + i] = Math.hypot((i % side) - side / 2, Math.floor(i / side) - side / 2) < side / 3 ? 120 + (i % 40) : 4;
  return bytes;
}
