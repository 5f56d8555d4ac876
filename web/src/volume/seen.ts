// A volume as its viewer shows it, wherever it comes from: a report, whose slices are images of the test set, or an answer of the
// server. Slices are numbered from 0 here, and from 1 where people read them.
import { counted } from "../numbers/format";
import type { Schemas } from "../report/data";
import type { Explained } from "../viewer/explained";

/** A slice; null where it shows nothing but air, or could not be read. */
export type SeenSlice = { image: Explained; /** Address of its own page. */ href: string | null } | null;

export interface SeenVolume {
  name: string;
  /** null for normal; undefined where it is not known. */
  kind: string | null | undefined;
  score: number;
  p_value: number | null;
  /** null without a threshold of volumes. */
  anomalous: boolean | null;
  /** Slices whose scores make that of the volume. */
  top: number;
  /** The slice with the largest score. */
  worst: number;
  slices: SeenSlice[];
  /** Millimetres from slice to slice, where that is known. */
  slice_spacing_mm: number | null;
  /** What else to know, in sentences. */
  notes: string[];
}

type Answer = Schemas["VolumeResult"];

/** A volume of the server's answer; null where it could not be judged. */
export function fromAnswer({ name, volume, slices }: Answer): SeenVolume | null {
  if (volume == null) return null;
  const out = volume.slices - volume.scores.filter((score) => score !== null).length - volume.unreadable;
  const notes = [
    out > 0 ? `${out} of its ${counted(volume.slices, "slice")} ${out === 1 ? "shows nothing but air and is" : "show nothing but air and are"} left out.` : "",
    volume.unreadable > 0 ? `${volume.unreadable} of its slices could not be read.` : "",
    slices.some((slice) => slice != null && slice.pictures == null) ? "It has more slices than the server sends pictures of." : "",
  ];
  return {
    name, kind: undefined, score: volume.score, p_value: volume.p_value ?? null, anomalous: volume.anomalous ?? null, top: volume.top, worst: volume.worst.slice - 1,
    slices: slices.map((slice, i): SeenSlice => (slice == null ? null : {
      href: null,
      image: {
        ...slice.verdict, p_value: slice.verdict.p_value ?? null, anomalous_share: slice.verdict.anomalous_share ?? null, name: `${name}, slice ${i + 1}`, kind: undefined,
        pictures: slice.pictures ?? null, whole: null, draw: null, window: slice.window, content: slice.content, ignored: [], evidence: {}, percentiles: {}, scores: {}, nearest: [], notes: slice.verdict.remarks,
      },
    })),
    slice_spacing_mm: volume.slice_spacing_mm ?? null, notes: notes.filter(Boolean),
  };
}

/** The slice that `by` slices on from `at`, among `count`. */
export function stepped(at: number, by: number, count: number): number {
  return Math.min(count - 1, Math.max(0, at + by));
}

/** The slice that a turn of the wheel leads to: what is left of a step that was not made is kept. Trackpads send many small turns. */
export class Wheel {
  private left = 0;
  /** Steps for a turn of so many pixels, or lines. */
  turn(delta: number, inLines: boolean): number {
    const STEP_PX = 40;
    this.left += inLines ? Math.sign(delta) * STEP_PX : Math.max(-STEP_PX, Math.min(STEP_PX, delta));
    const steps = Math.trunc(this.left / STEP_PX) || 0;
    this.left -= steps * STEP_PX;
    return steps;
  }
}

/** Runs of neighbours that have a score, as points of a line each. */
export function runs(scores: readonly (number | null)[]): { slice: number; score: number }[][] {
  const found: { slice: number; score: number }[][] = [];
  let open = false;
  scores.forEach((score, slice) => {
    if (score === null) open = false;
    else if (open) found.at(-1)!.push({ slice, score });
    else {
      found.push([{ slice, score }]);
      open = true;
    }
  });
  return found;
}
