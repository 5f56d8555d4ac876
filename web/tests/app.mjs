// Uses the web app of a running server (ABERRA_URL) in Chromium, through every page: gives images in every way, moves
// thresholds, explores, reads results; by keyboard alone, too. axe on every page in light and dark. A second server that
// needs a key (ABERRA_KEYED_URL, ABERRA_KEY) is unlocked. Screenshots go to a temporary folder (or ABERRA_SHOTS). Fails
// with a message per failure.
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { launch } from "./open-report.mjs";

const URL_ = process.env.ABERRA_URL;
if (!URL_) throw new Error("expected the address of a running server in ABERRA_URL, found none");
const SHOTS = process.env.ABERRA_SHOTS ?? mkdtempSync(join(tmpdir(), "aberra-app-"));
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const MOST_FIRST_LOAD = 400_000;
// Beside a browser on the same processor; alone it is a fraction.
const MOST_ANSWER_MS = 200;
const PAGES = ["try", "explore", "results", "about"];

const failures = [];
let checks = 0;
const browser = await launch();

function expect(condition, message) {
  checks += 1;
  if (!condition) failures.push(message);
}

async function open(hash = "", settings = {}, url = URL_, expected = /\b(401|422|503)\b|ERR_FAILED/) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, colorScheme: "light", reducedMotion: "reduce", ...settings });
  const page = await context.newPage();
  page.setDefaultTimeout(20000);
  page.on("pageerror", (error) => failures.push(`#${hash}: ${error.message}`));
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

async function accessible(page, where) {
  await page.evaluate(AXE);
  const violations = await page.evaluate(async () => (await globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] })).violations.map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => `${node.target.join(" ")} (${(node.any[0] ?? node.all[0] ?? node.none[0])?.message ?? ""})`).join("; ")}`));
  expect(violations.length === 0, `${where}: axe: ${violations.join(" | ")}`);
}

async function fits(page, where) {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  expect(over <= 0, `${where}: scrolls ${over} px sideways`);
}

const shot = (page, name) => page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true });
const go = async (page, hash) => {
  await page.evaluate((to) => (location.hash = to), hash);
  await page.waitForTimeout(300);
};
const judged = (page) => page.waitForSelector('.layout[aria-busy="false"] canvas[data-drawn="true"]');
const heading = (page) => page.locator("main h1").first().innerText();
const run = async (name, steps) => {
  const started = Date.now();
  try {
    await steps();
  } catch (error) {
    failures.push(`${name}: ${error.message.split("\n").slice(0, 3).join(" ")}`);
  }
  console.log(`app: ${name}: ${((Date.now() - started) / 1000).toFixed(1)} s`);
};

/** An uncompressed 8-bit grey TIFF, which no browser decodes. */
function tiff(side) {
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

await run("first load", async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  const client = await context.newCDPSession(page);
  await client.send("Network.enable");
  const addresses = new Map();
  let [bytes, answers] = [0, 0];
  client.on("Network.requestWillBeSent", ({ requestId, request }) => addresses.set(requestId, request.url));
  client.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    if (addresses.get(requestId)?.includes("/api/")) answers += encodedDataLength;
    else bytes += encodedDataLength;
  });
  await page.goto(URL_);
  await page.waitForSelector("h1");
  await page.waitForLoadState("networkidle");
  console.log(`app: first load: ${(bytes / 1000).toFixed(1)} kB, and ${(answers / 1000).toFixed(1)} kB of answers and pictures to try`);
  expect(bytes > 0 && bytes <= MOST_FIRST_LOAD, `the first load is ${bytes} bytes`);
  expect(![...addresses.values()].some((address) => address.includes("plotly")), "the 3-D plot is not loaded at first");
  await context.close();
});

await run("give", async () => {
  const page = await open();
  await page.waitForSelector(".plain li img");
  expect((await heading(page)).includes("normal?"), "the first page asks for images");
  await accessible(page, "welcome");
  await shot(page, "try-empty");
  await page.getByRole("button", { name: "Normal", exact: true }).first().click();
  await judged(page);
  expect((await page.locator(".verdict-card").innerText()).includes("Score"), "a phantom is judged");
  const folder = mkdtempSync(join(tmpdir(), "aberra-files-"));
  writeFileSync(join(folder, "scan.tif"), tiff(96));
  writeFileSync(join(folder, "broken.png"), "not an image at all");
  await page.locator('input[type="file"]').first().setInputFiles([join(folder, "scan.tif"), join(folder, "broken.png")]);
  await page.waitForFunction(() => document.querySelectorAll('[aria-label="Images"] li').length === 3);
  await judged(page);
  expect((await page.locator("h2.name").innerText()) === "scan.tif", "the first of the new images is shown");
  await page.keyboard.press("ArrowRight");
  await page.waitForSelector(".missing");
  expect((await page.locator(".missing").innerText()).includes("not an image"), "what is no image says so");
  await accessible(page, "failed image");
  // Pasted, and dropped.
  const picture = await page.evaluate(async () => Array.from(new Uint8Array(await (await fetch("/api/v1/phantoms/1")).arrayBuffer())));
  for (const way of ["paste", "drop"]) {
    await page.evaluate(([way, bytes]) => {
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(bytes)], `${way}.png`, { type: "image/png" }));
      const event = way === "paste" ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true }) : new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
      window.dispatchEvent(event);
    }, [way, picture]);
    await judged(page);
    expect((await page.locator("h2.name").innerText()) === `${way}.png`, `an image is taken by ${way}`);
  }
  await page.context().close();
});

await run("verdict", async () => {
  const page = await open("try");
  await page.getByRole("button", { name: "All twelve" }).click();
  await page.waitForFunction(() => document.querySelector('[role="status"]')?.textContent.includes("anomalous"));
  await judged(page);
  await shot(page, "try-batch");
  await page.getByRole("heading", { level: 1 }).click();
  await page.keyboard.press("End");
  expect((await page.locator("h2.name").innerText()).startsWith("phantom 12"), "End goes to the last image");
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowRight");
  expect((await page.locator("h2.name").innerText()).startsWith("phantom 2"), "arrows turn over");
  await page.locator('[aria-label="Images"] .pick').nth(2).click();
  await page.keyboard.press("ArrowLeft");
  expect((await page.locator("h2.name").innerText()).startsWith("phantom 2"), "arrows turn over from a thumbnail, too");
  expect((await page.evaluate(() => document.activeElement.getAttribute("aria-current"))) === "true", "and take the focus along");
  await judged(page);
  await shot(page, "try-anomalous");
  const slider = page.getByRole("slider", { name: "Threshold", exact: true });
  const flagged = async () => Number((await page.locator("h1 .count").innerText()).match(/(\d+) anomalous/)?.[1]);
  const promise = async () => page.locator('[data-live="promise"]').innerText();
  const [before, promised] = [await flagged(), await promise()];
  await slider.focus();
  await page.keyboard.press("Home");
  expect((await flagged()) === 12, "below all scores everything is anomalous");
  expect((await promise()) !== promised, "the promise follows the threshold");
  await page.keyboard.press("End");
  expect((await flagged()) <= before, "a higher threshold flags fewer");
  const field = page.getByRole("spinbutton", { name: "Threshold", exact: true });
  await field.fill("1.5");
  await field.press("Enter");
  expect(Number(await slider.getAttribute("aria-valuenow")) === 1.5, "the number field sets the threshold");
  await shot(page, "try-moved");
  await page.getByRole("button", { name: "The detector’s own" }).click();
  expect((await flagged()) === before && (await promise()) === promised, "the way back is exact");
  const share = async () => parseFloat(await page.locator('[data-live="share"]').innerText());
  const pixels = page.getByRole("slider", { name: "Pixel threshold" });
  const shared = await share();
  await pixels.fill("0.0");
  await page.waitForTimeout(50);
  expect((await share()) > shared, "a lower pixel threshold marks more");
  await page.getByRole("button", { name: "Reset" }).click();
  expect((await share()) === shared, "and back again");
  for (const way of ["Swipe", "Overlay"]) {
    await page.getByRole("button", { name: way }).click();
    await accessible(page, way);
  }
  await shot(page, "try-overlay");
  await page.getByRole("button", { name: "Side by side" }).click();
  const [csv] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "CSV" }).click()]);
  const table = readFileSync(await csv.path(), "utf8").trim().split("\r\n");
  expect(table.length === 13 && table[0].startsWith("image,detector,score"), "the CSV has a row an image");
  const [json] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "JSON" }).click()]);
  const rows = JSON.parse(readFileSync(await json.path(), "utf8"));
  expect(rows.length === 12 && rows.every((row) => typeof row.score === "number"), "the JSON has every score");
  await page.getByRole("heading", { level: 1 }).click();
  await page.keyboard.press("Delete");
  expect((await page.locator('[aria-label="Images"] li').count()) === 11, "Delete removes an image");
  const all = page.getByLabel("judge by all detectors");
  if ((await all.count()) > 0) {
    await all.check();
    await page.waitForFunction(() => [...document.querySelectorAll("tbody td")].length > 0 && ![...document.querySelectorAll("tbody td")].some((cell) => cell.textContent.trim() === "…"));
    await accessible(page, "all detectors");
    await shot(page, "try-all");
    const other = await page.getByRole("combobox", { name: "Detector" }).locator("option").nth(1).getAttribute("value");
    await page.getByRole("combobox", { name: "Detector" }).selectOption(other);
    await judged(page);
  }
  await page.getByRole("button", { name: "Clear" }).click();
  expect((await heading(page)).includes("normal?"), "cleared, it asks again");
  await page.context().close();
});

await run("trouble", async () => {
  const page = await open("try");
  let busy = 2;
  await page.route("**/explain*", (route) => (busy-- > 0 ? route.fulfill({ status: 503, headers: { "Retry-After": "1" }, contentType: "application/problem+json", body: '{"status":503,"title":"","detail":"busy","hint":null}' }) : route.continue()));
  await page.getByRole("button", { name: "Normal", exact: true }).first().click();
  await judged(page);
  expect(busy < 0, "a busy server is asked again");
  await page.unroute("**/explain*");
  await page.route("**/api/**", (route) => route.abort());
  await page.locator('input[type="file"]').first().setInputFiles({ name: "lost.tif", mimeType: "image/tiff", buffer: tiff(64) });
  await page.waitForSelector(".missing");
  expect((await page.locator(".missing").innerText()).includes("cannot be reached"), "a server that does not answer is said");
  await go(page, "explore");
  await page.waitForSelector('[role="alert"]');
  await accessible(page, "no answer");
  await shot(page, "trouble");
  await page.unroute("**/api/**");
  await page.getByRole("button", { name: "Try again" }).click();
  await page.waitForSelector('[data-live="decoded"]');
  expect((await page.locator('[role="alert"]').count()) === 0, "and forgotten once it answers");
  await go(page, "try");
  await judged(page);
  expect((await page.locator("h2.name").innerText()) === "lost.tif", "what failed is judged then");
  await page.context().close();
});

await run("anywhere", async () => {
  const page = await open("explore");
  await page.evaluate(async () => {
    const data = new DataTransfer();
    data.items.add(new File([await (await fetch("/api/v1/phantoms/3")).blob()], "elsewhere.png", { type: "image/png" }));
    for (const kind of ["dragover", "drop"]) window.dispatchEvent(new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));
  });
  await judged(page);
  expect(page.url().endsWith("#try") && (await page.locator("h2.name").innerText()) === "elsewhere.png", "an image is taken wherever it is dropped");
  await page.context().close();
});

await run("answers", async () => {
  const page = await open("try", {}, URL_, /Failed to load resource/);
  const problem = (status) => ({ status, contentType: "application/problem+json", body: JSON.stringify({ status, title: "", detail: "said by the test", hint: null }) });
  await page.route("**/explain", (route) => route.fulfill(problem(401)));
  await page.getByRole("button", { name: "Normal", exact: true }).first().click();
  await page.waitForSelector('input[type="password"]');
  await page.unroute("**/explain");
  await page.getByLabel("API key").fill("any");
  await page.keyboard.press("Enter");
  await judged(page);
  expect(true, "what was asked before the key is judged after it");
  const evaluations = [
    ["running", { status: 202, json: { state: "running", done: 3, of: 10 } }, "30 %"],
    ["none", problem(404), "--data"],
    ["failed", problem(500), "said by the test"],
  ];
  for (const [name, answer, words] of evaluations) {
    await go(page, "about");
    await page.route("**/evaluation", (route) => route.fulfill(answer));
    await go(page, "results");
    await page.waitForFunction((words) => document.querySelector("main").innerText.includes(words), words);
    expect((await page.locator("main h1").innerText()) === "Results", `an evaluation that is ${name} is said`);
    await accessible(page, `results ${name}`);
    await shot(page, `results-${name}`);
    await page.unroute("**/evaluation");
  }
  await page.context().close();
});

await run("no embedding space", async () => {
  const page = await open("about", {}, URL_, /Failed to load resource/);
  const detail = "this detector has no embedding space";
  await page.route("**/latent", (route) => route.fulfill({ status: 404, contentType: "application/problem+json", body: JSON.stringify({ status: 404, title: "", detail, hint: null }) }));
  await go(page, "explore");
  await page.waitForSelector(".missing");
  expect((await page.locator(".missing").innerText()).toLowerCase().includes(detail), "Explore says that there is no embedding space");
  expect((await page.locator('[role="alert"]').count()) === 0 && (await page.locator("[data-slider]").count()) === 0, "which is no trouble, and leaves nothing to move");
  await accessible(page, "no embedding space");
  await page.context().close();
});

await run("explore", async () => {
  const page = await open("explore");
  await page.waitForSelector('[data-live="decoded"]');
  await page.waitForSelector(".prior img");
  const decoded = () => page.locator('[data-live="decoded"]').getAttribute("src");
  const start = await decoded();
  const times = [];
  page.on("requestfinished", async (request) => {
    if (request.url().endsWith("/decode") && (request.postData() ?? "").includes("latents")) times.push(request.timing().responseEnd);
  });
  const slider = page.locator('[data-slider="pc-0"] input');
  await slider.focus();
  for (let i = 0; i < 30; i++) await page.keyboard.press("ArrowRight");
  await page.waitForTimeout(300);
  expect((await decoded()) !== start, "a slider changes the picture");
  times.sort((a, b) => a - b);
  const median = times[Math.floor(times.length / 2)];
  console.log(`app: decode: median ${median?.toFixed(1)} ms of ${times.length}`);
  expect(times.length > 0 && median < MOST_ANSWER_MS, `decoding takes ${median} ms`);
  await page.locator('[data-slider^="z-"] input').first().fill("2");
  await page.waitForTimeout(200);
  await shot(page, "explore-moved");
  await page.getByRole("button", { name: "Reset" }).click();
  await page.waitForTimeout(200);
  expect((await decoded()) === start, "reset leads back");
  const draws = () => page.locator(".prior img").evaluateAll((images) => images.map((image) => image.src).join());
  const first = await draws();
  await page.getByRole("button", { name: "Draw others" }).click();
  await page.waitForFunction((first) => [...document.querySelectorAll(".prior img")].map((image) => image.src).join() !== first, first);
  await page.getByRole("button", { name: "Start from draw 3" }).click();
  await page.waitForTimeout(200);
  expect((await decoded()) !== start, "a draw can be started from");
  await page.getByRole("button", { name: "Take two phantoms" }).click();
  await page.waitForSelector('[data-live="between"]');
  await page.waitForTimeout(400);
  const between = () => page.locator('[data-live="between"]').getAttribute("src");
  const middle = await between();
  await page.getByLabel("Interpolation from the first to the second").fill("90");
  await page.waitForTimeout(200);
  expect((await between()) !== middle, "the way between two images is decoded");
  expect((await page.locator(".strip img").count()) === 7, "a strip shows the way");
  await accessible(page, "explore");
  await shot(page, "explore-between");
  await page.context().close();
});

await run("results", async () => {
  const page = await open("results");
  await page.waitForSelector(".first", { timeout: 60000 });
  await shot(page, "results-overview");
  for (const view of ["training", "threshold", "images", "embedding", "compare", "overview"]) {
    await page.getByRole("navigation", { name: "Results" }).getByRole("link").nth(["overview", "training", "threshold", "images", "embedding", "compare"].indexOf(view)).click();
    await page.waitForTimeout(350);
    expect(page.url().endsWith(`#results/${view}`), `the address says results/${view}`);
    await accessible(page, `results ${view}`);
    await shot(page, `results-${view}`);
  }
  await go(page, "results/images");
  await page.locator(".gallery a").first().click();
  await page.waitForSelector(".side figure");
  expect(page.url().includes("#results/image/"), "an image has an address of its own");
  await page.keyboard.press("Escape");
  await page.waitForSelector(".gallery");
  await go(page, "results/embedding");
  const solid = page.getByRole("button", { name: "3-D" });
  if ((await solid.count()) > 0) {
    await solid.click();
    await page.waitForSelector("canvas", { timeout: 30000 });
    await page.waitForTimeout(1500);
    await shot(page, "results-3d");
  }
  await page.context().close();
});

for (const [name, settings] of [["light", {}], ["dark", { colorScheme: "dark" }], ["tablet", { viewport: { width: 800, height: 1000 } }], ["phone", { viewport: { width: 360, height: 760 }, hasTouch: true, isMobile: true }]]) {
  await run(name, async () => {
    const page = await open("try", settings);
    await page.waitForSelector(".plain li img");
    await fits(page, `${name} welcome`);
    await shot(page, `${name}-welcome`);
    await page.getByRole("button", { name: "All twelve" }).click();
    await judged(page);
    for (const place of PAGES) {
      await go(page, place);
      if (place === "results") await page.waitForSelector(".first", { timeout: 60000 });
      if (place === "explore") await page.waitForSelector('[data-live="between"]');
      await page.waitForTimeout(300);
      await fits(page, `${name} ${place}`);
      await accessible(page, `${name} ${place}`);
      await shot(page, `${name}-${place}`);
    }
    await page.context().close();
  });
}

await run("keyboard alone", async () => {
  const page = await open("try");
  await page.waitForSelector(".plain li img");
  const focused = () => page.evaluate(() => document.activeElement?.textContent?.trim() ?? "");
  const tabTo = async (words) => {
    for (let i = 0; i < 60; i++) {
      await page.keyboard.press("Tab");
      if ((await focused()).startsWith(words)) return true;
    }
    return false;
  };
  await page.keyboard.press("Tab");
  expect((await focused()) === "Skip to the content", "the first stop skips the navigation");
  expect(await tabTo("All twelve"), "the phantoms are reached by Tab");
  await page.keyboard.press("Enter");
  await judged(page);
  await page.keyboard.press("End");
  expect((await page.locator("h2.name").innerText()).startsWith("phantom 12"), "keys turn over at once");
  await page.evaluate(() => document.activeElement?.blur?.());
  await page.keyboard.press("Tab");
  expect(await tabTo("About"), "the navigation is reached by Tab");
  await page.keyboard.press("Enter");
  await page.waitForTimeout(200);
  expect((await page.locator("main").innerText()).includes("Its promise"), "Enter opens the page");
  await page.context().close();
});

if (process.env.ABERRA_KEYED_URL) {
  await run("key", async () => {
    const page = await open("try", {}, process.env.ABERRA_KEYED_URL);
    await page.waitForSelector('input[type="password"]');
    await accessible(page, "key");
    await shot(page, "key");
    await page.getByLabel("API key").fill("this is not the key");
    await page.keyboard.press("Enter");
    await page.waitForSelector('[role="alert"]');
    await page.getByLabel("API key").fill(process.env.ABERRA_KEY);
    await page.keyboard.press("Enter");
    await page.waitForSelector(".plain li img");
    await page.getByRole("button", { name: "Normal", exact: true }).first().click();
    await judged(page);
    await page.reload();
    await page.waitForSelector(".plain li img");
    expect(true, "the key is kept until the tab is closed");
    await page.context().close();
  });
}

await browser.close();
for (const failure of failures) console.error(`FAILED: ${failure}`);
console.log(`app: ${checks} checks, ${failures.length} failed; screenshots in ${SHOTS}`);
process.exit(failures.length === 0 ? 0 : 1);
