// Sentences: each with facts for which it holds, and with facts for which it would be false.
import { describe, expect, it } from "vitest";
import type { Evaluation } from "../src/api/client";
import { reasons } from "../src/numbers/reasons";
import { chosenEpoch, falseAlarms, headline, knownToFind, looks, ofVolumes, ranking, sized, trainedOn } from "../src/numbers/sentences";
import type { Descriptor, EpochData, ReportData, TrainingData } from "../src/report/data";

const plain = (text: string) => text.replaceAll("\u00a0", " ");
const interval = (value: number, low: number, high: number) => ({ value, low, high });
const image = (score: number, kind: string | null, leaked = false, weight = 1) => ({ score, kind, leaked, weight });

describe("what a detector was made from", () => {
  const card = { train: { images: 463, groups: 228 }, fit: { images: 39, groups: 39 }, calibration: { images: 99, groups: 60 }, made_from: "tiles" };
  it("names images and groups", () => {
    expect(trainedOn(card)).toBe("Trained on 463 normal images (228 groups) of tiles; scorer fitted on 39, threshold calibrated on 99.");
  });
  it("does not speak of what there is not", () => {
    expect(trainedOn({ ...card, fit: { images: 0, groups: 0 }, calibration: { images: 0, groups: 0 } })).toBe("Trained on 463 normal images (228 groups) of tiles; no scorer was fitted, threshold given by hand.");
    expect([sized({ images: 1, groups: 1 }), sized({ images: 3, groups: 1 })]).toEqual(["1 image", "3 images (1 group)"]);
  });
});

describe("the headline", () => {
  const images = [image(1, null), image(3, null), image(2, "crack"), image(4, "crack"), image(5, "hole")];
  it("counts what lies above the threshold that is looked at", () => {
    expect(headline(images, 2)).toBe("The detector finds 2 of 3 anomalous images and flags 1 of 2 normal images by mistake.");
    expect(headline(images, 4.5)).toBe("The detector finds 1 of 3 anomalous images and flags 0 of 2 normal images by mistake.");
  });
  it("says what a test set cannot show", () => {
    expect(headline(images.slice(0, 2), 2)).toBe("The detector flags 1 of 2 normal images by mistake. How many anomalies it finds is not known: the test set holds none.");
    expect(headline(images.slice(2), 2)).toBe("The detector finds 2 of 3 anomalous images. How often it is wrong about normal images is not known: the test set holds none.");
    expect(headline([], 2)).toBe("No image was scored.");
  });
});

describe("volumes on the overview", () => {
  const none = { unavailable: "no anomalous volumes" };
  it("have the figures that are known", () => {
    const figures = { auroc: interval(0.75, 0.5, 1), recall: interval(0.5, 0.1, 0.9), realised_false_alarm_rate: interval(0, 0, 0.3) };
    expect(plain(ofVolumes(figures))).toBe("This page counts single slices. Of volumes as a whole: AUROC 0.750, anomalies found 50.0 %, false alarms 0 %.");
    expect(plain(ofVolumes({ ...figures, auroc: none, recall: none }))).toBe("This page counts single slices. Of volumes as a whole: false alarms 0 %.");
    expect(ofVolumes({ auroc: none, recall: none, realised_false_alarm_rate: none })).toBe("This page counts single slices.");
  });
});

describe("AUROC in words", () => {
  it("says whether it may be chance", () => {
    expect(ranking(interval(0.8, 0.7, 0.9))).toBe("In 80 of 100 pairs of an anomalous and a normal image the anomalous one scores higher (AUROC 0.800, 0.700 to 0.900).");
    expect(ranking(interval(0.55, 0.5, 0.6))).toContain("The interval holds 0.5, which is chance.");
    expect(ranking(interval(0.3, 0.2, 0.49))).toContain("worse than chance");
    expect(ranking({ unavailable: "no anomalies" })).toBe("");
  });
});

describe("false alarms beside the guarantee", () => {
  it("are within it, above it by chance, or above it", () => {
    expect(plain(falseAlarms(interval(0.03, 0.01, 0.06), 0.05))).toBe("At most 5 % false alarms are guaranteed; 3.0 % of the normal images were flagged (1.0 % to 6.0 %), which keeps it.");
    expect(falseAlarms(interval(0.06, 0.03, 0.1), 0.05)).toContain("above it, within what chance explains");
    expect(falseAlarms(interval(0.1, 0.07, 0.14), 0.05)).toContain("more than the guarantee allows");
    expect(plain(falseAlarms(interval(0.03, 0.01, 0.06), null))).toBe("3.0 % of the normal images were flagged (1.0 % to 6.0 %); the threshold guarantees no rate.");
    expect(falseAlarms({ unavailable: "no normals" }, 0.05)).toBe("");
  });
});

describe("what a detector is known to find", () => {
  const done = (images: object[]): Evaluation => ({ state: "done", report: { images, evaluation: { data_name: "castings" } } as ReportData });
  it("is said at the threshold that is looked at, without near-duplicates", () => {
    const evaluation = done([image(1, null), image(2, "hole"), image(4, "hole"), image(9, "hole", true)]);
    expect(knownToFind(evaluation, 3)).toBe("Finds 1 of 2 anomalies in its evaluation on castings.");
    expect(knownToFind(evaluation, 1)).toBe("Finds 2 of 2 anomalies in its evaluation on castings.");
    // Slices that show nothing of their volume's anomaly are in no figure.
    expect(knownToFind(done([image(2, "crack"), image(1, "crack", false, 0)]), 1)).toBe("Finds 1 of 1 anomalies in its evaluation on castings.");
  });
  it("is said by kind where kinds differ", () => {
    const holes = Array.from({ length: 10 }, () => image(1, "blow_hole"));
    const cracks = Array.from({ length: 10 }, (_, i) => image(i < 9 ? 5 : 1, "crack"));
    expect(knownToFind(done([...holes, ...cracks]), 3)).toBe("Finds 9 of 20 anomalies in its evaluation on castings; fewest of blow hole (0 of 10), crack (9 of 10).");
    const alike = [...holes.map((one, i) => ({ ...one, score: i < 9 ? 5 : 1 })), ...cracks];
    expect(knownToFind(done(alike), 3)).toBe("Finds 18 of 20 anomalies in its evaluation on castings.");
  });
  it("is not known without an evaluation, or without anomalies in it", () => {
    expect(knownToFind({ state: "none", detail: "", hint: null }, 1)).toContain("Never evaluated");
    expect(knownToFind({ state: "running", done: 1, of: 2 }, 1)).toContain("not known yet");
    expect(knownToFind(done([image(1, null)]), 1)).toContain("holds no anomalies");
    expect(knownToFind(undefined, 1)).toBe("");
  });
});

describe("the epoch whose weights were taken", () => {
  const epoch = (number: number, total: number, shift: number | null = null): EpochData => ({ epoch: number, train: { total, terms: {} }, held_out: { total, terms: {} }, learning_rate: 0.1, figures: {}, standardized_shift: shift, best: false, images_per_s: null });
  const history = (criterion: TrainingData["criterion"], epochs: EpochData[], best = 2) => chosenEpoch({ criterion, epochs, best_epoch: best });
  it("had the lowest loss, where that is so", () => {
    expect(history("held-out-loss", [epoch(1, 5), epoch(2, 3), epoch(3, 4)])).toBe("The weights are those of epoch 2 of 3 epochs, chosen by the loss on held-out normals, lowest there of all epochs that were measured: 3.000.");
  });
  it("is not said to have it where another epoch's was lower", () => {
    const said = history("held-out-loss", [epoch(1, 5), epoch(2, 3), epoch(3, 2)]);
    expect(said).not.toContain("lowest");
    expect(said).toContain("Epoch 3 had a lower one, 2.000, but was not compared");
  });
  it("names the criterion that chose", () => {
    const said = history("synthetic", [epoch(1, 1, null), epoch(2, 3, 1.5), epoch(3, 1, 1.2)]);
    expect(said).toContain("synthetic anomalies");
    expect(said).toContain("highest there of all epochs that were measured: 1.500");
    expect(said).not.toContain("by the loss on held-out normals");
    expect(history("last", [epoch(1, 1), epoch(2, 3)])).toBe("The weights are those of epoch 2 of 2 epochs, chosen by its place: the last epoch is always taken.");
    expect(history("synthetic", [epoch(1, 1), epoch(2, 3)])).toContain("was not recorded");
  });
});

describe("looks at a test set", () => {
  it("are counted where there is a choice", () => {
    expect(looks(9)).toContain("9 are measured on the same test images");
    expect(looks(1)).toBe("");
  });
});

describe("why a score is where it is", () => {
  const described = (name: string, about: string, direction: Descriptor["direction"] = "higher-is-unusual"): Descriptor => ({ name, about, unit: "", direction });
  const measurements = [described("vae.peak_error", "peak of the error"), described("features.patch", "distance of a patch to its nearest training patch"), described("image.energy", "complexity", "context")];
  const facts = { measurements, weights: [], flagged: true, share: 0.02 };
  it("names the evidence beyond the calibration normals", () => {
    expect(reasons({ ...facts, percentiles: { "vae.peak_error": 40, "features.patch": 100, "image.energy": 100 } }).map(plain)).toEqual(["1 of 2 measurements lies above 95 % of the calibration normals: distance of a patch to its nearest training patch (above all)."]);
  });
  it("leaves out what does not count in the score", () => {
    const [first] = reasons({ ...facts, weights: [{ measurement: "vae.peak_error", weight: 1 }], percentiles: { "vae.peak_error": 40, "features.patch": 100 } });
    expect(first).toContain("The one measurement that counts in the score does not lie above");
    expect(first).not.toContain("patch");
  });
  it("says of a flagged image with a dark map that no place stands out", () => {
    expect(reasons({ ...facts, share: 0, percentiles: { "features.patch": 99.2 } })[1]).toContain("No pixel of the map lies above the pixel threshold");
    expect(reasons({ ...facts, share: null, percentiles: { "features.patch": 99.2 } })).toHaveLength(1);
    expect(reasons({ ...facts, share: 0.1, percentiles: { "features.patch": 99.2 } })).toHaveLength(1);
  });
  it("says of an image that is not flagged what lies above the pixel threshold all the same", () => {
    expect(plain(reasons({ ...facts, flagged: false, share: 0.01, percentiles: { "features.patch": 50 } })[1]!)).toBe("1.0 % of the pixels lie above the pixel threshold, which is not enough to flag the image.");
  });
  it("says nothing without calibration normals", () => expect(reasons({ ...facts, percentiles: {} })).toEqual([]));
});
