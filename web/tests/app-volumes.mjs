// Gives volumes to the app of a running server (ABERRA_URL) whose detector judges volumes: those of a folder (ABERRA_VOLUMES) as
// `aberra demo --volumes` writes it. Looks at them in Chromium; axe in light and dark. Fails with a message per failure.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { SHOTS, URL_, accessible, appears, browser, checks, expect, failures, fits, heading, judged, open as opened, run, shot } from "./app-page.mjs";

const FOLDER = process.env.ABERRA_VOLUMES;
if (!FOLDER) throw new Error("expected a folder of volumes in ABERRA_VOLUMES, found none");
const SLICES = 22;
/** The server holds no evaluation, which the app asks for, one file is no volume, and one request fails. */
const open = (settings = {}) => opened("", settings, URL_, /\b(404|422|500)\b/);
const file = (name) => ({ name: name.replace("/", "-"), mimeType: "application/gzip", buffer: readFileSync(join(FOLDER, name)) });
/** A pixel. */
const PICTURE = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==", "base64");
const FILES = ["cyst/000.nii.gz", "good/000.nii.gz"].map(file);
const slice = async (page) => Number((await page.locator('[data-live="slice"]').innerText()).replace(/\D/g, ""));
const give = (page, files) => page.getByLabel("Images to judge").setInputFiles(files);
const told = (page, rows) => page.waitForFunction((rows) => document.querySelectorAll("main tbody tr").length === rows && /flagged/.test(document.querySelector("h1 [role=status]")?.textContent ?? ""), rows);

for (const [name, settings] of [["light", {}], ["dark", { colorScheme: "dark" }], ["phone", { viewport: { width: 390, height: 844 }, hasTouch: true }]]) {
  await run(name, async () => {
    const page = await open(settings);
    await give(page, FILES);
    await told(page, 2);
    await fits(page, `volumes-${name}`);
    await accessible(page, `volumes-${name}`);
    await shot(page, `app-volumes-${name}`);
    await page.locator("tbody a").first().click();
    await judged(page);
    await fits(page, `volume-${name}`);
    await accessible(page, `volume-${name}`);
    await shot(page, `app-volume-${name}`);
    await page.context().close();
  });
}

await run("volumes", async () => {
  const loaded = [];
  const page = await open();
  page.on("request", (request) => loaded.push(request.url()));
  await page.reload();
  await page.waitForLoadState("networkidle");
  expect(loaded.length > 0 && !loaded.some((address) => address.includes("/volume-")), "what shows volumes is not loaded at first");
  await give(page, [...FILES, { name: "broken.nii", mimeType: "", buffer: Buffer.from("no volume") }]);
  await told(page, 3);
  expect(loaded.some((address) => address.includes("/volume-")), "it comes with the first volume");
  const rows = await page.locator("tbody tr").allInnerTexts();
  expect((await page.locator(".badge").innerText()).startsWith("Threshold of volumes"), "the bar has the threshold of volumes");
  expect(rows.slice(0, 2).every((row) => /flagged/.test(row) && row.includes(`of ${SLICES}`)), "each volume has one verdict");
  expect(/not judged/.test(rows[2]) && rows[2].includes("expected"), "a file that is no volume says why");
  await page.locator("tbody a").first().click();
  await judged(page);
  expect((await heading(page)) === "cyst-000.nii.gz", "a volume has its file's name");
  const worst = await slice(page);
  await page.locator(".viewer .view").hover();
  await page.mouse.wheel(0, worst === SLICES ? -100 : 100);
  await page.waitForTimeout(200);
  expect(Math.abs((await slice(page)) - worst) === 1, "the wheel turns slices over");
  await page.keyboard.press("Home");
  expect((await slice(page)) === 1, "and keys do");
  expect((await page.locator("main").innerText()).includes("This slice was not judged"), "a slice of air is said to be one");
  await page.getByRole("button", { name: `Worst slice, ${worst}` }).click();
  expect((await slice(page)) === worst, "the way back to the worst");
  const planes = page.locator("[data-planes]");
  await page.waitForSelector('[data-planes] canvas[data-drawn="true"]');
  const [first, second] = [await planes.nth(0).boundingBox(), await planes.nth(1).boundingBox()];
  expect((await planes.count()) === 2 && [first, second].every((box) => Math.abs(box.width / box.height / (200 / 120) - 1) < 0.05), `two planes lie across the slices, in true proportions: a head of 200 x 120 mm (${first.width} x ${first.height})`);
  await planes.nth(0).click({ position: { x: first.width / 2, y: first.height * (1 - 4.5 / SLICES) } });
  expect((await slice(page)) === 5, "a click on a plane leads to its slice");
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowUp");
  expect((await slice(page)) === 7, "and so do the arrow keys");
  await shot(page, "app-volume-planes");
  await page.keyboard.press("w");
  expect((await slice(page)) === worst, "a key leads back to the worst");
  await page.getByRole("slider", { name: "Pixel threshold" }).fill("0.0");
  const regions = page.getByRole("table").filter({ hasText: "above the pixel threshold" });
  const region = (await regions.locator("tbody tr").first().locator("td").allInnerTexts()).map((text) => Number(text.replace(/[^\d.]/g, "")));
  // A pixel of these volumes is 200 / 96 mm wide and high.
  expect((await regions.locator("thead").innerText()).includes("mm²") && Math.abs(region[1] / region[0] / (200 / 96) ** 2 - 1) < 0.02, `regions have their area in mm² (${region})`);
  await page.getByRole("button", { name: "Reset to calibrated", exact: true }).click();
  expect((await page.locator("main").innerText()).includes("exchangeable normal volumes"), "the guarantee is about volumes");
  await page.getByRole("button", { name: "Take away" }).click();
  await told(page, 2);
  await page.goBack();
  await page.waitForTimeout(200);
  expect((await heading(page)).includes("not here"), "what was taken away is said to be gone");
  await page.getByRole("link", { name: "Images" }).click();
  expect(await appears(page.getByRole("link", { name: "2 volumes" })), "the way back to the volumes");
  await page.context().close();
});

await run("single images among volumes", async () => {
  const page = await open();
  // Its name says nothing, as those of DICOM files do.
  await give(page, [FILES[0], { name: "picture", mimeType: "", buffer: PICTURE }]);
  await told(page, 1);
  const notes = await page.locator("main").innerText();
  expect(notes.includes("1 file holds a single image and is among the images"), `a single image is handed over (${notes})`);
  await page.getByRole("link", { name: "among the images" }).click();
  await page.waitForFunction(() => document.querySelector("h1")?.textContent?.startsWith("1 image"));
  await page.context().close();
});

await run("a request that failed", async () => {
  const page = await open();
  await page.route("**/volumes", (route) => route.fulfill({ status: 500, contentType: "application/problem+json", body: JSON.stringify({ status: 500, title: "Failed", detail: "it did not work" }) }));
  await give(page, [FILES[0]]);
  await page.waitForSelector('button:text("Try again")');
  await page.unroute("**/volumes");
  await page.getByRole("button", { name: "Try again" }).click();
  await told(page, 1);
  expect(/flagged/.test(await page.locator("tbody tr").innerText()), "it is made again");
  await page.context().close();
});

await browser.close();
console.log(`screenshots: ${SHOTS}`);
for (const failure of failures) console.error(`FAILED ${failure}`);
console.log(`${checks - failures.length} of ${checks} checks passed`);
process.exit(failures.length === 0 ? 0 : 1);
