// Drives a real session with the app of a running server (ABERRA_URL) and writes it down as pictures, 0000.png and on, into
// the folder that is given: the README's clip is made from them. Each name is followed by how long it is shown, in hundredths
// of a second: 0003-120.png.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { launch } from "./open-report.mjs";

const [url, folder] = [process.env.ABERRA_URL, process.argv[2]];
if (!url || !folder) throw new Error("expected ABERRA_URL and a folder, as in: ABERRA_URL=http://127.0.0.1:8765 node tests/clip.mjs frames/");
mkdirSync(folder, { recursive: true });

const browser = await launch();
const page = await browser.newPage({ viewport: { width: 960, height: 640 }, colorScheme: "light", reducedMotion: "reduce" });
let frames = 0;
const frame = async (hundredths) => {
  await page.screenshot({ path: join(folder, `${String(frames).padStart(4, "0")}-${hundredths}.png`) });
  frames += 1;
};
const settle = (milliseconds = 250) => page.waitForTimeout(milliseconds);
const scrollTo = async (y) => {
  await page.evaluate((to) => window.scrollTo(0, to), y);
  await settle(100);
};
/** Moves the pointer's slider in steps and takes a picture of each. */
const slide = async (slider, key, steps, presses) => {
  for (let step = 0; step < steps; step++) {
    for (let i = 0; i < presses; i++) await slider.press(key);
    await settle(140);
    await frame(12);
  }
};

await page.goto(url);
await page.waitForSelector(".plain li img");
await settle(500);
await frame(160);
await page.getByRole("button", { name: "All twelve" }).click();
await page.waitForFunction(() => /flagged/.test(document.querySelector("h1 [role=status]")?.textContent ?? ""));
await settle(1200);
await frame(120);
await page.locator(".gallery a").nth(1).click();
await page.waitForSelector('.viewer canvas[data-drawn="true"]');
await settle(600);
await frame(120);
for (let turn = 0; turn < 3; turn++) {
  await page.keyboard.press("ArrowRight");
  await settle(500);
  await frame(70);
}
await frame(60);
const threshold = page.getByRole("slider", { name: "Threshold", exact: true });
await threshold.scrollIntoViewIfNeeded();
await scrollTo(await page.evaluate(() => document.querySelector("#threshold-title").getBoundingClientRect().top + window.scrollY - 24));
await frame(60);
await threshold.focus();
await slide(threshold, "ArrowLeft", 10, 3);
await frame(110);
await page.getByRole("button", { name: /^Reset to/ }).first().click();
await frame(60);
await page.getByRole("link", { name: "Evaluate" }).click();
await page.waitForSelector(".first", { timeout: 60000 });
await settle(400);
await frame(140);
for (const name of ["Threshold", "Images", "Embedding space"]) {
  await page.getByRole("navigation", { name: "Evaluation" }).getByRole("link", { name }).click();
  await scrollTo(0);
  await settle(600);
  await frame(130);
}
await browser.close();
console.log(`${frames} pictures in ${folder}`);
