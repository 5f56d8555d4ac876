// Sentences about a detector and its evaluation. Each is made from the facts that it states, and each has a test with facts for
// which it would be false (tests/sentences.test.ts).
import type { Evaluation } from "../api/client";
import type { DetectorCard, Figure, ImageData, Interval, PartSize, TrainingData, VolumesData } from "../report/data";
import { count, counted, decimals, known, percent, setRate, significant } from "./format";
import { spaced } from "./measurements";
import { isAnomalous } from "./verdicts";

/** "463 normal images (228 groups)"; groups only where they are fewer. */
export function sized({ images, groups }: PartSize, what = "image"): string {
  return `${counted(images, what)}${groups < images ? ` (${counted(groups, "group")})` : ""}`;
}

/** What was used for what. */
export function trainedOn({ train, fit, calibration, made_from }: Pick<DetectorCard, "train" | "fit" | "calibration" | "made_from">): string {
  const fitted = fit.images === 0 ? "no scorer was fitted" : `scorer fitted on ${count(fit.images)}`;
  const drawn = calibration.images === 0 ? "threshold given by hand" : `threshold calibrated on ${count(calibration.images)}`;
  return `Trained on ${sized(train, "normal image")} of ${made_from}; ${fitted}, ${drawn}.`;
}

/** The first sentence of an overview: what was found and what was flagged by mistake, at a threshold, in counts of images. */
export function headline(images: readonly Pick<ImageData, "score" | "kind">[], threshold: number): string {
  const anomalies = images.filter((image) => image.kind !== null);
  const normals = images.filter((image) => image.kind === null);
  const flagged = (some: typeof anomalies) => some.filter((image) => isAnomalous(image.score, threshold)).length;
  const found = anomalies.length === 0 ? "" : `finds ${count(flagged(anomalies))} of ${counted(anomalies.length, "anomalous image")}`;
  const alarms = normals.length === 0 ? "" : `flags ${count(flagged(normals))} of ${counted(normals.length, "normal image")} by mistake`;
  const both = [found, alarms].filter((part) => part !== "");
  if (both.length === 0) return "No image was scored.";
  const missing = anomalies.length === 0 ? " How many anomalies it finds is not known: the test set holds none." : normals.length === 0 ? " How often it is wrong about normal images is not known: the test set holds none." : "";
  return `The detector ${both.join(" and ")}.${missing}`;
}

/** How volumes came out, each judged as a whole, as far as that is known. */
export function ofVolumes({ auroc, recall, realised_false_alarm_rate: alarms }: Pick<VolumesData, "auroc" | "recall" | "realised_false_alarm_rate">): string {
  const figures = [["AUROC", auroc, decimals], ["anomalies found", recall, percent], ["false alarms", alarms, percent]] as const;
  const said = figures.flatMap(([title, figure, format]) => (known<Interval>(figure) ? [`${title} ${format(figure.value)}`] : []));
  return `This page counts single slices.${said.length === 0 ? "" : ` Of volumes as a whole: ${said.join(", ")}.`}`;
}

/** What AUROC says of pairs of images; empty where it is not known. */
export function ranking(auroc: Figure<Interval>): string {
  if (!known<Interval>(auroc)) return "";
  const says = auroc.low > 0.5 ? "" : auroc.high < 0.5 ? " That is worse than chance." : " The interval holds 0.5, which is chance.";
  return `In ${(100 * auroc.value).toFixed(0)} of 100 pairs of an anomalous and a normal image the anomalous one scores higher (AUROC ${decimals(auroc.value)}, ${decimals(auroc.low)} to ${decimals(auroc.high)}).${says}`;
}

/** What was guaranteed about false alarms beside what was measured; empty without normals. */
export function falseAlarms(realised: Figure<Interval>, promised: number | null): string {
  if (!known<Interval>(realised)) return "";
  const measured = `${percent(realised.value)} of the normal images were flagged (${percent(realised.low)} to ${percent(realised.high)})`;
  if (promised === null) return `${measured}; the threshold guarantees no rate.`;
  const kept = realised.low > promised ? "more than the guarantee allows: these normals differ from those of the calibration" : realised.value > promised ? "above it, within what chance explains" : "which keeps it";
  return `At most ${setRate(promised)} false alarms are guaranteed; ${measured}, ${kept}.`;
}

/** What a detector is known to find at a threshold, for readers of a single verdict. */
export function knownToFind(evaluation: Evaluation | undefined, threshold: number): string {
  if (evaluation === undefined) return "";
  if (evaluation.state === "running") return "Being evaluated: how many anomalies it finds is not known yet.";
  if (evaluation.state !== "done") return "Never evaluated here: how many anomalies it finds is not known.";
  const { images, evaluation: { data_name: data } } = evaluation.report;
  const anomalies = images.filter((image) => image.kind !== null && !image.leaked && image.weight > 0);
  if (anomalies.length === 0) return `Its evaluation on ${data} holds no anomalies: how many it finds is not known.`;
  const flagged = (some: typeof anomalies) => some.filter((image) => isAnomalous(image.score, threshold)).length;
  const kinds = [...new Set(anomalies.map((image) => image.kind!))].sort();
  const rates = kinds.map((kind) => {
    const own = anomalies.filter((image) => image.kind === kind);
    return { kind, found: flagged(own), of: own.length };
  });
  const all = `Finds ${count(flagged(anomalies))} of ${count(anomalies.length)} anomalies in its evaluation on ${data}`;
  const shares = rates.map((one) => one.found / one.of);
  // Kinds matter where they are not found alike.
  if (kinds.length < 2 || Math.max(...shares) - Math.min(...shares) < 0.15) return `${all}.`;
  const worst = [...rates].sort((a, b) => a.found / a.of - b.found / b.of).slice(0, 3);
  return `${all}; fewest of ${worst.map((one) => `${spaced(one.kind)} (${count(one.found)} of ${count(one.of)})`).join(", ")}.`;
}

const CRITERIA: Record<TrainingData["criterion"], string> = {
  "held-out-loss": "the loss on held-out normals",
  synthetic: "the rise of the score when synthetic anomalies are drawn into held-out normals (standardised mean shift)",
  last: "its place: the last epoch is always taken",
};

/** Which epoch's weights were taken, what chose it, and whether another one would have been better by that criterion. */
export function chosenEpoch({ epochs, best_epoch: best, criterion }: Pick<TrainingData, "epochs" | "best_epoch" | "criterion">): string {
  const start = `The weights are those of epoch ${best} of ${counted(epochs.length, "epoch")}, chosen by ${CRITERIA[criterion]}`;
  const chosen = epochs.find((epoch) => epoch.epoch === best);
  if (criterion === "last" || chosen === undefined) return `${start}.`;
  // Higher is better.
  const value = (epoch: (typeof epochs)[number]) => (criterion === "synthetic" ? epoch.standardized_shift : -epoch.held_out.total);
  const own = value(chosen);
  if (own === null) return `${start}; its value was not recorded.`;
  const others = epochs.filter((epoch) => epoch.epoch !== best && (value(epoch) ?? -Infinity) > own);
  const shown = significant(criterion === "synthetic" ? own : -own, 4);
  const what = criterion === "synthetic" ? "highest" : "lowest";
  if (others.length === 0) return `${start}, ${what} there of all epochs that were measured: ${shown}.`;
  const top = others.reduce((a, b) => (value(b)! > value(a)! ? b : a));
  return `${start}: ${shown}. Epoch ${top.epoch} had ${criterion === "synthetic" ? "a higher value" : "a lower one"}, ${significant(criterion === "synthetic" ? value(top)! : -value(top)!, 4)}, but was not compared: the criterion is looked at in intervals, and not while the loss is still changing its form.`;
}

/** How many scorers or detectors are compared on one test set, and what choosing among them means. */
export function looks(rows: number): string {
  return rows < 2 ? "" : `${count(rows)} are measured on the same test images. To choose the best of them here is to choose on the test set: the figure of the one chosen is then too good, and only new images can tell by how much.`;
}
