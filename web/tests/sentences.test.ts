// Sentences: each with facts for which it holds, and with facts for which it would be false.
import { describe, expect, it } from "vitest";
import type { Evaluation } from "../src/api/client";
import { reasons } from "../src/numbers/reasons";
import { calibratedHere, chosenEpoch, costOfErrors, falseAlarms, guarantee, headline, inCounts, inEllipse, knownToFind, looks, lowestCost, movedFrom, nearDuplicates, notes, ofChance, ofKinds, ofServed, ofVolumes, ranges, ranking, sized, speed, testedOn, trainedOn, unstatedPrevalence, which, withoutHistory, withoutKinds } from "../src/numbers/sentences";
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
    expect(trainedOn({ ...card, here: { images: 20 } })).toContain("threshold calibrated on 20 normal images given on this page.");
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
    expect(headline(images.slice(0, 2), 2)).toBe("The detector flags 1 of 2 normal images by mistake. How many anomalies it finds is not known: these images hold none.");
    expect(headline(images.slice(2), 2)).toBe("The detector finds 2 of 3 anomalous images. How often it is wrong about normal images is not known: these images hold none.");
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
    const said = (value: number, low: number, high: number, promised: number | null) => plain(falseAlarms(interval(value, low, high), promised, false));
    expect(said(0.03, 0.01, 0.06, 0.05)).toBe("At most 5 % false alarms are guaranteed; 3.0 % of the normal images were flagged (1.0 % to 6.0 %), which keeps it.");
    expect(said(0.06, 0.03, 0.1, 0.05)).toContain("above it, within what chance explains");
    expect(said(0.1, 0.07, 0.14, 0.05)).toContain("more than the guarantee allows");
    expect(said(0.03, 0.01, 0.06, null)).toBe("3.0 % of the normal images were flagged (1.0 % to 6.0 %); the threshold guarantees no rate.");
    expect(falseAlarms({ unavailable: "no normals" }, 0.05, false)).toBe("");
  });
  it("are not held against it where the threshold was moved", () => {
    const said = plain(falseAlarms(interval(0.2, 0.1, 0.3), 0.05, true));
    expect(said).toBe("20.0 % of the normal images were flagged at the moved threshold (10.0 % to 30.0 %). The guarantee of at most 5 % belongs to the calibrated one.");
    expect(falseAlarms(interval(0.2, 0.1, 0.3), null, true)).toContain("No rate is guaranteed");
    expect(falseAlarms({ unavailable: "no normals" }, 0.05, true)).toBe("");
  });
});

describe("a moved threshold", () => {
  it("is said to be one, and where it was moved from", () => {
    expect(movedFrom(1.5, 2.25)).toBe("At a threshold that was moved from 1.500 to 2.250.");
    expect([which(true), plain(guarantee(true, "at most 5 % false alarms"))]).toEqual(["moved threshold", "The guarantee belongs to the calibrated threshold."]);
  });
  it("is not said to be one where it is the calibrated one", () => {
    expect(movedFrom(1.5, 1.5)).toBe("");
    expect([which(false), guarantee(false, "at most 5 % false alarms")]).toEqual(["calibrated threshold", "At most 5 % false alarms."]);
  });
});

describe("a calibration on this page", () => {
  const here = { images: 20, ignore: "0,0,1,0.1;0,0.9,1,0.1", served: { threshold: 1.5 } };
  it("is told apart from the detector as it is served", () => {
    expect(ofServed(1.5, 20)).toBe("This evaluation is of the detector as it is served, at its own calibrated threshold, 1.500; the calibration on 20 normal images by which this page judges images was never evaluated.");
    expect(calibratedHere(here)).toBe("Calibrated on this page, until it is closed, on 20 normal images, without 2 areas of each. As it is served, the detector has the threshold 1.50000.");
  });
  it("leaves out no areas that were not drawn", () => expect(calibratedHere({ ...here, images: 1, ignore: undefined })).toContain("on 1 normal image. As"));
});

describe("the notes of key figures", () => {
  const facts = { chance: 0.4, moved: false, promised: 0.05, once: "near-duplicate group" };
  it("say what was counted at the calibrated threshold, and what is guaranteed", () => {
    const said = notes(facts);
    expect(said.averagePrecision).toContain("dashed: 0.400, what random scores reach");
    expect(said.recall).toBe("recall at the calibrated threshold, counting one image per near-duplicate group");
    expect(plain(said.falseAlarms)).toBe("of normals at the calibrated threshold, over one image of each near-duplicate group; dashed: at most 5 % is guaranteed");
  });
  it("do not say it of a moved one, of single images, or without a guarantee", () => {
    const moved = notes({ ...facts, moved: true });
    expect(moved.recall).toContain("at the moved threshold");
    expect(plain(moved.falseAlarms)).toBe("of normals at the moved threshold, counting one image per near-duplicate group; dashed: at most 5 % is guaranteed at the calibrated one");
    expect(notes({ ...facts, once: null }).recall).toBe("recall at the calibrated threshold");
    expect(notes({ ...facts, once: null, promised: null }).falseAlarms).toBe("of normals at the calibrated threshold; no rate is guaranteed");
    expect(notes({ ...facts, chance: null }).averagePrecision).not.toContain("dashed");
  });
});

describe("what an evaluation was made on", () => {
  const nothing = { data_name: "castings", unusable: 0, left_aside: null, left_out_own: 0, left_out_beside_own: 0, left_out_unmarked: 0 };
  const sizes = { normals: { images: 10, groups: 8 }, anomalies: { images: 1, groups: 1 } };
  it("names each kind of image that is in no figure", () => {
    expect(testedOn({ ...nothing, unusable: 1, left_aside: 12, left_out_own: 3 }, sizes)).toBe("Tested on castings: 10 normal images (8 groups) and 1 anomalous image. 1 file could not be read. Left out: 3 images that the detector was made from, 12 images that the split leaves aside, neither learnt from nor tested on.");
    expect(testedOn({ ...nothing, left_out_beside_own: 2, left_out_unmarked: 1 }, sizes)).toContain("2 other slices of its volumes, 1 slice of anomalous volumes where the masks mark nothing");
  });
  it("speaks of none where there is none", () => {
    expect(testedOn(nothing, sizes)).toBe("Tested on castings: 10 normal images (8 groups) and 1 anomalous image.");
    expect(testedOn({ ...nothing, left_aside: 0 }, sizes)).not.toContain("Left out");
  });
  it("says how ranges were made", () => {
    expect(plain(ranges({ level: 0.95, draws: 2000 }, "near-duplicate group"))).toBe("Ranges are 95 % bootstrap intervals, each near-duplicate group drawn as a whole (2,000 draws); those of recall and of false alarms are exact (Clopper and Pearson), each near-duplicate group counted once.");
    expect(plain(ranges({ level: 0.9, draws: 100 }, "volume or patient"))).toMatch(/^Ranges are 90 % .* volume or patient .*100 draws/);
  });
  it("says of kinds at which threshold, and what is counted", () => {
    expect(ofKinds(false, "near-duplicate group")).toBe("At the calibrated threshold. Flagged counts images; recall and AUROC count one image per near-duplicate group.");
    expect(ofKinds(true, null)).toBe("At the moved threshold.");
  });
  it("does not say that there are no anomalies where they are left out", () => {
    expect(withoutKinds(0)).toBe("The test set holds no anomalies");
    expect(withoutKinds(3)).toContain("Without near-duplicates");
  });
  it("says whether near-duplicates count", () => {
    expect(nearDuplicates(7, true)).toBe("Figures leave out 7 near-duplicates of the detector’s own normals, which flatter.");
    expect(nearDuplicates(1, false)).toBe("Figures count 1 near-duplicate of the detector’s own normals, which flatters.");
  });
});

describe("a threshold in counts", () => {
  it("tells of the classes that there are", () => {
    expect(inCounts({ caught: 2, missed: 1, falseAlarms: 1, passed: 3 })).toBe("2 of 3 anomalies found, 1 false alarm among 4 normals");
    expect(inCounts({ caught: 0, missed: 0, falseAlarms: 0, passed: 3 })).toBe("0 false alarms among 3 normals");
    expect(inCounts({ caught: 1, missed: 0, falseAlarms: 0, passed: 0 })).toBe("1 of 1 anomalies found");
  });
});

describe("the cost of errors", () => {
  const costs = { miss: 10, falseAlarm: 1, prevalence: 0.02 };
  it("counts both kinds of error of 1,000 images", () => {
    expect(plain(costOfErrors({ recall: 0.75, falseAlarmRate: 0.05 }, costs))).toBe("Of 1,000 such images 5.00 anomalies would be missed and 49.0 false alarms raised: a cost of 99.00.");
    expect(plain(costOfErrors({ recall: null, falseAlarmRate: 0.05 }, { ...costs, prevalence: 0 }))).toContain("0 anomalies would be missed and 50.0 false alarms");
  });
  it("is not known without a rate that counts, nor of images of which nobody says how many are anomalies", () => {
    expect(costOfErrors({ recall: null, falseAlarmRate: 0.05 }, costs)).toBe("");
    expect(costOfErrors({ recall: 0.75, falseAlarmRate: 0.05 }, { ...costs, prevalence: null })).toBe("");
    expect(unstatedPrevalence(0)).toBe("State how common anomalies are where the detector will be used: costs hang on it.");
    expect(plain(unstatedPrevalence(0.4))).toContain("This test set has 40.0 %, which says nothing about your images.");
  });
  it("is higher on images on which the threshold was not chosen", () => expect(lowestCost({ threshold: 1.25, cost: 80 })).toBe("The lowest cost on this test set is 80.00, at the threshold 1.250. It was chosen on these images: expect a higher cost on others."));
});

describe("chance", () => {
  it("has an average precision where there are both classes", () => {
    expect(ofChance(0.4)).toBe("Random scores would reach an average precision of 0.400 on these images.");
    expect(ofChance({ unavailable: "no anomalies" })).toBe("");
  });
  it("explains 35 of 39 normals within an ellipse for 95 %, not 20 of 39, and not all of 400", () => {
    expect(plain(inEllipse(35 / 39, 39))).toBe("The dashed ellipse would hold 95 % of the calibration normals if they were one Gaussian cluster; it holds 89.7 % of the 39 drawn (75.8 % to 97.1 %), which chance explains: they may be one.");
    expect(inEllipse(20 / 39, 39)).toContain("fewer than chance explains: they are not one");
    expect(inEllipse(1, 400)).toContain("more than chance explains: they are not one");
    // The same share of more normals is no accident.
    expect(inEllipse(35 / 39, 390)).toContain("they are not one");
  });
});

describe("a training", () => {
  it("has a speed where time was taken", () => {
    expect(speed(931.4)).toBe("Training ran at 931 images per second (median).");
    expect(speed(null)).toBe("");
  });
  it("without its history names the epochs that were chosen, where there were any", () => {
    const train = { images: 640, groups: 500 };
    const member = (name: string, best_epoch: number) => ({ name, best_epoch });
    expect(withoutHistory({ train, members: [member("vae", 46), member("features", 0)] })).toBe("The weights are those of the chosen epoch (vae of epoch 46); made from 640 images in 500 groups. All settings are on the overview.");
    expect(withoutHistory({ train, members: [member("vae", 46), member("b", 3)] })).toContain("the chosen epochs (vae of epoch 46, b of epoch 3)");
    expect(withoutHistory({ train, members: [member("features", 0)] })).toMatch(/^No member was trained in epochs;/);
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
    expect(looks(9)).toContain("9 scorers and detectors are measured on the same test images");
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
  it("rounds down what lies below the line, so that no sentence contradicts itself", () => {
    const highest = (percentile: number) => plain(reasons({ ...facts, percentiles: { "vae.peak_error": 40, "features.patch": percentile } })[0]!);
    expect(highest(94.87)).toContain("lies above 94 %.");
    expect(highest(95)).toContain("lies above 94 %.");
    expect(highest(60)).toContain("lies above 60 %.");
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
