// Addresses, thresholds, labels from folders, samples: what the app keeps.
import { describe, expect, it } from "vitest";
import { readRoute, withQuery } from "../src/app/route";
import { madeFromPhantoms } from "../src/app/samples";
import { labelsFromFolders } from "../src/numbers/gallery";
import { Thresholds } from "../src/state/thresholds.svelte";

describe("addresses", () => {
  it("say the place, the detector and the thresholds", () => {
    expect(readRoute("#evaluate/image/12?detector=a%20b&threshold=1.5&pixels=0.2")).toEqual({ path: ["evaluate", "image", "12"], detector: "a b", threshold: 1.5, pixels: 0.2, query: "detector=a%20b&threshold=1.5&pixels=0.2" });
    expect(readRoute("")).toEqual({ path: [], detector: null, threshold: null, pixels: null, query: "" });
    expect(readRoute("#a?threshold=x&pixels=%20")).toMatchObject({ threshold: null, pixels: null });
    expect(readRoute("#%E0%A4%A")).toMatchObject({ path: ["%E0%A4%A"] });
  });
  it("come back as they were", () => {
    const to = withQuery("#inspect/3?detector=old", { detector: "détecteur&1", threshold: -2.5, pixels: 0 });
    expect(readRoute(to)).toMatchObject({ path: ["inspect", "3"], detector: "détecteur&1", threshold: -2.5, pixels: 0 });
    expect(withQuery("#inspect?detector=x&threshold=1&pixels=2", { detector: null, threshold: null, pixels: null })).toBe("#inspect");
  });
});

describe("the store of thresholds", () => {
  const owner = { name: "first", hash: "b3:1", threshold: 2, pixel_threshold: 0.5 };
  it("has the calibrated ones until they are moved, for each detector by its hash", () => {
    const store = new Thresholds();
    store.move(owner, 3);
    expect([store.score(owner), store.moved(owner), store.score({ ...owner, name: "renamed" })]).toEqual([3, true, 3]);
    expect([store.score({ ...owner, hash: "b3:2" }), store.moved({ ...owner, hash: "b3:2" })]).toEqual([2, false]);
    store.reset(owner);
    expect([store.score(owner), store.moved(owner)]).toEqual([2, false]);
  });
  it("keeps those of a calibration on this page apart from the detector's own", () => {
    const store = new Thresholds();
    const here = { ...owner, threshold: 4, here: {} };
    store.move(here, 5);
    store.movePixel(here, 0.9);
    expect([store.score(owner), store.moved(owner), store.pixelMoved(owner), store.score(here)]).toEqual([2, false, false, 5]);
  });
  it("does not call a threshold moved that was put back by hand", () => {
    const store = new Thresholds();
    store.move(owner, 3);
    store.move(owner, 2);
    expect(store.moved(owner)).toBe(false);
  });
  it("keeps pixel thresholds apart", () => {
    const store = new Thresholds();
    store.movePixel(owner, 0.7);
    expect([store.pixel(owner), store.pixelMoved(owner), store.moved(owner)]).toEqual([0.7, true, false]);
    expect(store.pixel({ ...owner, hash: "x", pixel_threshold: null })).toBe(0);
  });
});

describe("labels from folders", () => {
  it("are taken where a folder has a usual name for normal images", () => {
    expect(labelsFromFolders(["test/good/1.png", "test/blow_hole/2.png", "3.png"])).toEqual([null, "blow_hole", undefined]);
    expect(labelsFromFolders(["No_Tumor/1.png", "glioma/2.png"])).toEqual([null, "glioma"]);
  });
  it("are none where no folder says what is normal", () => expect(labelsFromFolders(["a/1.png", "b/2.png"])).toEqual([undefined, undefined]));
});

describe("built-in pictures", () => {
  it("are offered to detectors of phantoms alone", () => expect([madeFromPhantoms("phantoms"), madeFromPhantoms("tiles/train")]).toEqual([true, false]));
});
