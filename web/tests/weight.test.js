// The weight of the built app: what a browser loads before the first answer, and with the charts that follow at once.
import { readFileSync, readdirSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { expect, it } from "vitest";

const FOLDER = new URL("../dist/app/", import.meta.url);
const MOST_AT_ONCE = 80_000;
const MOST_WITHOUT_3D = 300_000;

// The server holds the files packed as small as gzip makes them.
const weight = (name) => gzipSync(readFileSync(new URL(name, FOLDER)), { level: 9 }).length;
const files = readdirSync(new URL("assets/", FOLDER)).map((name) => `assets/${name}`);
const page = readFileSync(new URL("index.html", FOLDER), "utf8");
const first = files.filter((name) => page.includes(`/${name}"`));
const sum = (names) => names.reduce((all, name) => all + weight(name), 0);

it("opens with little", () => {
  expect(first.length).toBe(2);
  expect(weight("index.html") + sum(first)).toBeLessThanOrEqual(MOST_AT_ONCE);
});

it("is light without the 3-D plot, which comes when it is opened", () => {
  const rest = files.filter((name) => !name.includes("plotly"));
  expect(rest.length).toBe(files.length - 1);
  expect(weight("index.html") + sum(rest)).toBeLessThanOrEqual(MOST_WITHOUT_3D);
});
