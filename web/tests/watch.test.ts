// The folder that a kiosk watches: files are given out once they are whole.
import { describe, expect, it } from "vitest";
import { type FolderHandle, type Seen, firstLook, newFiles, whyNotWatching } from "../src/kiosk/watch";

type Held = Record<string, { content: string; time: number } | "locked">;

/** A folder as it is now. */
function folder(held: Held): FolderHandle {
  return {
    name: "line",
    async *values() {
      yield { kind: "directory" as const, name: "old", getFile: () => Promise.reject(new Error("no file")) };
      for (const [name, file] of Object.entries(held)) {
        yield { kind: "file" as const, name, getFile: async () => {
          if (file === "locked") throw new DOMException("locked", "NotReadableError");
          return new File([file.content], name, { lastModified: file.time });
        } };
      }
    },
  };
}
const names = async (held: Held, seen: Seen) => (await newFiles(folder(held), seen)).map((one) => one.name);

describe("a watched folder", () => {
  it("gives out a file once, when it stayed the same from one look to the next", async () => {
    const seen: Seen = new Map();
    const looks: [Held, string[]][] = [
      [{ "b.png": { content: "hal", time: 1 }, ".hidden": { content: "x", time: 1 } }, []],
      [{ "b.png": { content: "half", time: 2 } }, []],
      [{ "b.png": { content: "half", time: 3 }, "a.png": { content: "a", time: 3 } }, []],
      [{ "b.png": { content: "half", time: 3 }, "a.png": { content: "a", time: 3 } }, ["a.png", "b.png"]],
      [{ "b.png": { content: "half", time: 3 }, "a.png": { content: "a", time: 3 } }, []],
    ];
    for (const [held, expected] of looks) expect(await names(held, seen)).toEqual(expected);
  });
  it("gives out again what changes after it was given out, such as one that was half-written and failed", async () => {
    const seen: Seen = new Map();
    const [half, whole] = [{ "a.png": { content: "half", time: 1 } }, { "a.png": { content: "half and half", time: 9 } }];
    expect([await names(half, seen), await names(half, seen), await names(half, seen)]).toEqual([[], ["a.png"], []]);
    expect([await names(whole, seen), await names(whole, seen), await names(whole, seen)]).toEqual([[], ["a.png"], []]);
  });
  it("waits for what is empty or locked, and gives out the others", async () => {
    const seen: Seen = new Map();
    const held: Held = { "empty.png": { content: "", time: 1 }, "locked.png": "locked", "a.png": { content: "a", time: 1 } };
    expect([await names(held, seen), await names(held, seen)]).toEqual([[], ["a.png"]]);
    const later: Held = { "empty.png": { content: "e", time: 1 }, "locked.png": { content: "l", time: 1 } };
    expect([await names(later, seen), await names(later, seen)]).toEqual([[], ["empty.png", "locked.png"]]);
  });
  it("gives out nothing that lay there at first, unless it changes or comes again", async () => {
    const held: Held = { "a.png": { content: "a", time: 1 }, "b.png": { content: "b", time: 1 } };
    const seen = await firstLook(folder(held));
    expect([await names(held, seen), await names({ "b.png": { content: "bb", time: 2 } }, seen)]).toEqual([[], []]);
    expect(await names({ ...held, "b.png": { content: "bb", time: 2 } }, seen)).toEqual(["b.png"]);
    expect(await names({ ...held, "b.png": { content: "bb", time: 2 } }, seen)).toEqual(["a.png"]);
  });
});

it("says why a page cannot watch a folder", () => {
  const picker = () => undefined;
  expect(whyNotWatching({ isSecureContext: true, showDirectoryPicker: picker })).toBe("");
  expect(whyNotWatching({ isSecureContext: true })).toContain("Chrome and Edge");
  expect(whyNotWatching({ isSecureContext: false })).toContain("HTTPS");
});
