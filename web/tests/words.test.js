// Words for names: every name of the library has some.
import { readFileSync, readdirSync } from "node:fs";
import { expect, it } from "vitest";
import { shortcut, shortcutRows, trained } from "../src/numbers/words";

const CRATES = new URL("../../crates/", import.meta.url);

/** What a pattern finds in the Rust files of a folder. */
function found(folder, pattern) {
  const files = readdirSync(new URL(folder, CRATES), { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".rs"));
  return files.flatMap((name) => [...readFileSync(new URL(folder + name, CRATES), "utf8").matchAll(pattern)].map((match) => match[1]));
}

it("has words for every term of a loss and every figure of a family", () => {
  const FAMILIES = "aberra-models/src/families/";
  const names = [...found(FAMILIES, /Term \{\s*name: "(\w+)"/g), ...found(FAMILIES, /\("(\w+)"\.to_owned\(\), /g), ...found(FAMILIES, /\("(\w+)", self\.(?:mse|l1|ssim|ms_ssim)\)/g), ...found(FAMILIES, /const PERCEPTUAL: &str = "(\w+)"/g)];
  expect(names).toEqual(expect.arrayContaining(["kl", "beta", "dead_codes", "mse", "commitment", "perceptual"]));
  // That one is a word.
  expect(names.filter((name) => trained(name) === name && name !== "reconstruction")).toEqual([]);
  expect(trained("new_one")).toBe("new one");
});

it("has words for every shortcut, with the value that was compared", () => {
  const [named] = readFileSync(new URL("aberra/src/dataset/shortcut.rs", CRATES), "utf8").match(/pub fn name\(self\)[^}]*\}/);
  const names = [...named.matchAll(/=> "([^"]+)"/g)].map((match) => match[1]);
  expect(names).toEqual(expect.arrayContaining(["dark fraction", "colour mode"]));
  expect(names.filter((name) => shortcut(name).title === name)).toEqual([]);
  expect(["size 64 x 48", "colour mode grey", "model of the device A x B", "dark fraction"].map((name) => shortcut(name).title)).toEqual(["size: 64 × 48 pixels", "colour mode: grey", "model of the device: A x B", "share of dark pixels"]);
  expect(shortcut("odd_one")).toEqual({ title: "odd one", about: "" });
});

it("writes shortcuts with their names and in words", () => {
  expect(shortcutRows([{ name: "pixel count", auroc: 0.8 }, { name: "odd_one", auroc: 0.5 }])).toEqual([{ property: "pixel count", in_words: "number of pixels; width times height", auroc: 0.8 }, { property: "odd_one", in_words: "odd one", auroc: 0.5 }]);
});
