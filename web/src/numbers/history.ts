// The curves of a training history: the loss and each of its terms, and whatever else a family tracks, by its name.
import type { EpochData, TrainingData } from "../report/data";
import { trained } from "./words";

export interface Curve {
  title: string;
  series: Series[];
}

export interface Series {
  name: string;
  /** One an epoch; null where it was not recorded. */
  values: (number | null)[];
  /** Drawn dashed and quietly. */
  quiet: boolean;
}

/** The total loss and each term, on training images and on held-out normals. */
export function lossCurves(epochs: readonly EpochData[]): Curve[] {
  const both = (title: string, of: (loss: EpochData["train"]) => number | undefined): Curve => ({
    title,
    series: [
      { name: "training", values: epochs.map((one) => of(one.train) ?? null), quiet: true },
      { name: "held-out normals", values: epochs.map((one) => of(one.held_out) ?? null), quiet: false },
    ],
  });
  const terms = namesOf(epochs.flatMap((one) => [one.train.terms, one.held_out.terms]));
  return [both("Total loss", (loss) => loss.total), ...terms.map((term) => both(`Loss term: ${trained(term)}`, (loss) => loss.terms[term]))];
}

/** The criterion that chose the epoch, where it is none of the losses. */
export function criterionCurve({ criterion, epochs }: Pick<TrainingData, "criterion" | "epochs">): Curve | null {
  const values = epochs.map((one) => one.standardized_shift);
  return criterion !== "synthetic" || values.every((value) => value === null) ? null : { title: "What chose the epoch: standardised mean shift on synthetic anomalies", series: [{ name: "standardised mean shift", values, quiet: false }] };
}

/** The learning rate, and each figure of the family. */
export function figureCurves(epochs: readonly EpochData[]): Curve[] {
  const one = (title: string, of: (epoch: EpochData) => number | undefined): Curve => ({
    title, series: [{ name: title.toLowerCase(), values: epochs.map((epoch) => of(epoch) ?? null), quiet: false }],
  });
  const figures = namesOf(epochs.map((epoch) => epoch.figures));
  return [one("Learning rate", (epoch) => epoch.learning_rate), ...figures.map((name) => one(capital(trained(name)), (epoch) => epoch.figures[name]))];
}

/** The median of the speeds that were recorded, in images a second; null where none was. */
export function medianSpeed(epochs: readonly EpochData[]): number | null {
  const speeds = epochs.flatMap((one) => one.images_per_s ?? []).sort((a, b) => a - b);
  return speeds[speeds.length >> 1] ?? null;
}

function namesOf(records: readonly Record<string, number>[]): string[] {
  return [...new Set(records.flatMap((record) => Object.keys(record)))];
}

function capital(words: string): string {
  return words.slice(0, 1).toUpperCase() + words.slice(1);
}
