// Sentences about a detector and its evaluation. Each is made from the facts that it states, and each has a test with facts for
// which it would be false (tests/sentences.test.ts).
import type { Evaluation } from "../api/client";
import type { DetectorCard, EvaluationData, Figure, ImageData, Interval, PartSize, TrainingData, VolumesData } from "../report/data";
import { count, counted, decimals, known, percent, sentence, setRate, significant } from "./format";
import { exact } from "./interval";
import { spaced } from "./measurements";
import { type Confusion, type Costs, type Rates, costPerThousand, isAnomalous } from "./verdicts";

/** "463 normal images (228 groups)"; groups only where they are fewer. */
export function sized({ images, groups }: PartSize, what = "image"): string {
  return `${counted(images, what)}${groups < images ? ` (${counted(groups, "group")})` : ""}`;
}

/** What was used for what. */
export function trainedOn({ train, fit, calibration, made_from, here }: Pick<DetectorCard, "train" | "fit" | "calibration" | "made_from"> & { here?: { images: number } }): string {
  const fitted = fit.images === 0 ? "no scorer was fitted" : `scorer fitted on ${count(fit.images)}`;
  const drawn = here !== undefined ? `threshold calibrated on ${counted(here.images, "normal image")} given on this page` : calibration.images === 0 ? "threshold given by hand" : `threshold calibrated on ${count(calibration.images)}`;
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
  const missing = anomalies.length === 0 ? " How many anomalies it finds is not known: these images hold none." : normals.length === 0 ? " How often it is wrong about normal images is not known: these images hold none." : "";
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

/** What was guaranteed about false alarms beside what was measured at the threshold that is looked at; empty without normals. */
export function falseAlarms(realised: Figure<Interval>, promised: number | null, moved: boolean): string {
  if (!known<Interval>(realised)) return "";
  const measured = `${percent(realised.value)} of the normal images were flagged${moved ? " at the moved threshold" : ""} (${percent(realised.low)} to ${percent(realised.high)})`;
  if (moved) return `${measured}. ${promised === null ? "No rate is guaranteed, there or at the calibrated one." : `The guarantee of at most ${setRate(promised)} belongs to the calibrated one.`}`;
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
  return rows < 2 ? "" : `${count(rows)} scorers and detectors are measured on the same test images. To choose the best of them here is to choose on the test set: the figure of the one chosen is then too good, and only new images can tell by how much.`;
}

/** Which calibration an evaluation is of, where this page judges images by another. */
export function ofServed(threshold: number, images: number): string {
  return `This evaluation is of the detector as it is served, at its own calibrated threshold, ${significant(threshold, 4)}; the calibration on ${counted(images, "normal image")} by which this page judges images was never evaluated.`;
}

/** How a detector was calibrated on this page, and what it is as it is served. */
export function calibratedHere({ images, ignore, served }: { images: number; ignore: string | undefined; served: { threshold: number } }): string {
  const areas = ignore?.split(";").length ?? 0;
  return `Calibrated on this page, until it is closed, on ${counted(images, "normal image")}${areas === 0 ? "" : `, without ${counted(areas, "area")} of each`}. As it is served, the detector has the threshold ${significant(served.threshold, 6)}.`;
}

/** Where a threshold was moved from; empty where it is the calibrated one. */
export function movedFrom(calibrated: number, threshold: number): string {
  return threshold === calibrated ? "" : `At a threshold that was moved from ${significant(calibrated, 4)} to ${significant(threshold, 4)}.`;
}

/** Whose threshold it is. */
export function which(moved: boolean): string {
  return moved ? "moved threshold" : "calibrated threshold";
}

/** What a threshold guarantees: the detector's promise is that of its calibrated one. */
export function guarantee(moved: boolean, promise: string): string {
  return moved ? "The guarantee belongs to the calibrated threshold." : sentence(promise);
}

/** What the key figures are. `once`: what images share whose group counts once; null where no group has several images. */
export function notes({ chance, moved, promised, once }: { chance: number | null; moved: boolean; promised: number | null; once: string | null }): Record<"auroc" | "averagePrecision" | "recall" | "falseAlarms", string> {
  // The evaluation draws one image of a group, as the calibration does; at a moved threshold the images of a group share its weight.
  const grouped = once === null ? "" : moved ? `, counting one image per ${once}` : `, over one image of each ${once}`;
  const promise = promised === null ? "no rate is guaranteed" : `dashed: at most ${setRate(promised)} is guaranteed${moved ? " at the calibrated one" : ""}`;
  return {
    auroc: "chance that an anomaly scores above a normal image; dashed: 0.5, chance",
    averagePrecision: `precision averaged over recall${chance === null ? "" : `; dashed: ${decimals(chance)}, what random scores reach on this test set`}`,
    recall: `recall at the ${which(moved)}${once === null ? "" : `, counting one image per ${once}`}`,
    falseAlarms: `of normals at the ${which(moved)}${grouped}; ${promise}`,
  };
}

/** What an evaluation was made on, and what of the data is in none of its figures. */
export function testedOn({ data_name: data, unusable, left_aside: aside, left_out_own: own, left_out_beside_own: beside, left_out_unmarked: unmarked }: Pick<EvaluationData, "data_name" | "unusable" | "left_aside" | "left_out_own" | "left_out_beside_own" | "left_out_unmarked">, { normals, anomalies }: { normals: PartSize; anomalies: PartSize }): string {
  const out = [
    [own, "image", "that the detector was made from"],
    [beside, "other slice", "of its volumes"],
    [unmarked, "slice", "of anomalous volumes where the masks mark nothing (they count for volumes and pixels)"],
    [aside ?? 0, "image", "that the split leaves aside, neither learnt from nor tested on"],
  ] as const;
  const left = out.filter(([images]) => images > 0).map(([images, what, why]) => `${counted(images, what)} ${why}`).join(", ");
  return `Tested on ${data}: ${sized(normals, "normal image")} and ${sized(anomalies, "anomalous image")}.${unusable > 0 ? ` ${counted(unusable, "file")} could not be read.` : ""}${left === "" ? "" : ` Left out: ${left}.`}`;
}

/** What the ranges behind figures are. */
export function ranges({ level, draws }: EvaluationData["bootstrap"], group: string): string {
  return `Ranges are ${setRate(level)} bootstrap intervals, each ${group} drawn as a whole (${count(draws)} draws); those of recall and of false alarms are exact (Clopper and Pearson), each ${group} counted once.`;
}

/** What is counted of each kind. */
export function ofKinds(moved: boolean, once: string | null): string {
  return `At the ${which(moved)}.${once === null ? "" : ` Flagged counts images; recall and AUROC count one image per ${once}.`}`;
}

/** Why there are no kinds: the test set has no anomalies, or none that counts. */
export function withoutKinds(anomalies: number): string {
  return anomalies === 0 ? "The test set holds no anomalies" : "Without near-duplicates of the detector’s own normals no anomalies are left";
}

/** Whether near-duplicates of the detector's own normals count. */
export function nearDuplicates(leaked: number, clean: boolean): string {
  return `Figures ${clean ? "leave out" : "count"} ${counted(leaked, "near-duplicate")} of the detector’s own normals, which ${leaked === 1 ? "flatters" : "flatter"}.`;
}

/** What a threshold does to the images, for who does not see the chart. */
export function inCounts({ caught, missed, falseAlarms, passed }: Confusion): string {
  const [anomalies, normals] = [caught + missed, falseAlarms + passed];
  return [
    anomalies > 0 ? `${count(caught)} of ${count(anomalies)} anomalies found` : "",
    normals > 0 ? `${counted(falseAlarms, "false alarm")} among ${counted(normals, "normal")}` : "",
  ].filter(Boolean).join(", ");
}

/** What errors cost, of images of which so many are anomalies as the reader says; empty where a rate that counts is not known. */
export function costOfErrors(found: Pick<Rates, "recall" | "falseAlarmRate">, costs: Costs): string {
  const cost = costPerThousand(found, costs);
  if (cost === null || costs.prevalence === null) return "";
  const [missed, alarms] = [1000 * costs.prevalence * (1 - (found.recall ?? 1)), 1000 * (1 - costs.prevalence) * (found.falseAlarmRate ?? 0)];
  return `Of 1,000 such images ${significant(missed, 3)} anomalies would be missed and ${significant(alarms, 3)} false alarms raised: a cost of ${significant(cost, 4)}.`;
}

/** The threshold of lowest cost, and what it is to have chosen it on the test set. */
export function lowestCost({ threshold, cost }: { threshold: number; cost: number }): string {
  return `The lowest cost on this test set is ${significant(cost, 4)}, at the threshold ${significant(threshold, 4)}. It was chosen on these images: expect a higher cost on others.`;
}

/** Why the reader is to say how common anomalies are; `prevalence`: in the test set. */
export function unstatedPrevalence(prevalence: number): string {
  return `State how common anomalies are where the detector will be used: costs hang on it.${prevalence > 0 ? ` This test set has ${percent(prevalence)}, which says nothing about your images.` : ""}`;
}

/** What random scores reach on the images that are compared on; empty where that is not known. */
export function ofChance(averagePrecision: Figure): string {
  return known(averagePrecision) ? `Random scores would reach an average precision of ${decimals(averagePrecision)} on these images.` : "";
}

/** Whether the calibration normals may be one Gaussian cluster, by how many of them an ellipse holds that would hold a share of it. */
export function inEllipse(inside: number, drawn: number, level = 0.95): string {
  const { low, high } = exact(inside, drawn);
  const says = low > level ? "more than chance explains: they are not one" : high < level ? "fewer than chance explains: they are not one" : "which chance explains: they may be one";
  return `The dashed ellipse would hold ${setRate(level)} of the calibration normals if they were one Gaussian cluster; it holds ${percent(inside)} of the ${count(drawn)} drawn (${percent(low)} to ${percent(high)}), ${says}.`;
}

/** How fast training ran; empty where no time was taken. */
export function speed(imagesPerSecond: number | null): string {
  return imagesPerSecond === null ? "" : `Training ran at ${significant(imagesPerSecond, 3)} images per second (median).`;
}

/** What is known of a training without its history. */
export function withoutHistory({ members, train }: Pick<DetectorCard, "train"> & { members: readonly { name: string; best_epoch: number }[] }): string {
  const trained = members.filter((one) => one.best_epoch > 0).map((one) => `${one.name} of epoch ${one.best_epoch}`);
  const weights = trained.length === 0 ? "No member was trained in epochs" : `The weights are those of the chosen ${trained.length === 1 ? "epoch" : "epochs"} (${trained.join(", ")})`;
  return `${weights}; made from ${counted(train.images, "image")} in ${counted(train.groups, "group")}. All settings are on the overview.`;
}
