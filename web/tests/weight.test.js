// The weight of the built app: what a browser loads before the first answer, with the charts that follow at once, and what comes only
// when somebody opens a volume, calibrates, explores the embedding space, opens the kiosk or looks at the 3-D plot.
import { readFileSync, readdirSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { expect, it } from "vitest";

const FOLDER = new URL("../dist/app/", import.meta.url);
const MOST_AT_ONCE = 80_000;
/** Everything but the 3-D plot, what shows volumes, what calibrates, what explores and the kiosk: all that somebody loads who never opens any of them. */
const MOST_WITHOUT_3D = 300_000;
const MOST_OF_VOLUMES = 16_000;
const MOST_OF_CALIBRATING = 4_000;
const MOST_OF_THE_KIOSK = 4_000;
const MOST_OF_EXPLORING = 8_000;

// The server holds the files packed as small as gzip makes them.
const weight = (name) => gzipSync(readFileSync(new URL(name, FOLDER)), { level: 9 }).length;
const files = readdirSync(new URL("assets/", FOLDER)).map((name) => `assets/${name}`);
const page = readFileSync(new URL("index.html", FOLDER), "utf8");
const first = files.filter((name) => page.includes(`/${name}"`));
const sum = (names) => names.reduce((all, name) => all + weight(name), 0);
const plot = files.filter((name) => /plotly|EmbeddingSpace3d/.test(name));
const ofVolumes = files.filter((name) => name.startsWith("assets/volume-"));
const ofCalibrating = files.filter((name) => name.startsWith("assets/calibrating-"));
const ofKiosk = files.filter((name) => name.startsWith("assets/kiosk-"));
const ofExploring = files.filter((name) => name.startsWith("assets/exploring-"));

/** The files that a script loads with itself, theirs included; what it loads later is no part of them. */
function withImports(name, found = new Set()) {
  if (found.has(name)) return found;
  found.add(name);
  const script = name.endsWith(".js") ? readFileSync(new URL(name, FOLDER), "utf8") : "";
  for (const [, imported] of script.matchAll(/(?:from|import)\s*["']\.\/([^"']+)["']/g)) withImports(`assets/${imported}`, found);
  return found;
}

it("opens with little", () => {
  expect(first.length).toBe(2);
  expect(weight("index.html") + sum(first)).toBeLessThanOrEqual(MOST_AT_ONCE);
});

it("is light without the 3-D plot, volumes, calibrating, exploring and the kiosk, which come when they are opened", () => {
  // The plot, and what draws with it.
  expect(plot.length).toBe(2);
  const rest = files.filter((name) => ![...plot, ...ofVolumes, ...ofCalibrating, ...ofKiosk, ...ofExploring].includes(name));
  expect(weight("index.html") + sum(rest)).toBeLessThanOrEqual(MOST_WITHOUT_3D);
});

it("loads nothing of volumes, calibrating, exploring, the kiosk or the 3-D plot with anything else, and little with each", () => {
  expect(ofVolumes.length).toBeGreaterThan(0);
  expect(ofCalibrating.length).toBeGreaterThan(0);
  expect(sum(ofCalibrating)).toBeLessThanOrEqual(MOST_OF_CALIBRATING);
  expect(ofKiosk.length).toBeGreaterThan(0);
  expect(sum(ofKiosk)).toBeLessThanOrEqual(MOST_OF_THE_KIOSK);
  expect(ofExploring.length).toBeGreaterThan(0);
  expect(sum(ofExploring)).toBeLessThanOrEqual(MOST_OF_EXPLORING);
  expect(sum(ofVolumes)).toBeLessThanOrEqual(MOST_OF_VOLUMES);
  const later = [...ofVolumes, ...ofCalibrating, ...ofKiosk, ...ofExploring, ...plot];
  for (const name of files.filter((one) => !later.includes(one))) {
    expect([name, [...withImports(name)].filter((one) => later.includes(one))]).toEqual([name, []]);
  }
  // Imports are found: volumes are shown by the viewer of images.
  expect(ofVolumes.flatMap((name) => [...withImports(name)]).some((name) => name.includes("OneImage"))).toBe(true);
});
