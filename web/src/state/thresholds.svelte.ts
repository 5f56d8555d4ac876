// The thresholds that a reader looks with: one store for the whole page. A threshold stays where it was moved until it is
// reset, and the store knows the calibrated one beside it.
import { SvelteMap } from "svelte/reactivity";
import { type From, type Provenance, provenance } from "../numbers/table";

/** What owns thresholds: a detector, as reports and the server describe it. */
export interface Owner {
  name: string;
  hash: string | null;
  threshold: number;
  pixel_threshold: number | null;
  /** There where it was calibrated on this page: a threshold that is moved there is not that of its own calibration. */
  here?: object;
}

const STORED = "aberra-thresholds";

export class Thresholds {
  private readonly scores = new SvelteMap<string, number>();
  private readonly pixels = new SvelteMap<string, number>();
  private remembers = false;

  score(owner: Owner): number {
    return this.scores.get(keyOf(owner)) ?? owner.threshold;
  }

  pixel(owner: Owner): number {
    return this.pixels.get(keyOf(owner)) ?? owner.pixel_threshold ?? 0;
  }

  /** Whether the threshold is another than the calibrated one. */
  moved(owner: Owner): boolean {
    return this.score(owner) !== owner.threshold;
  }

  pixelMoved(owner: Owner): boolean {
    return this.pixel(owner) !== (owner.pixel_threshold ?? 0);
  }

  move(owner: Owner, value: number): void {
    this.put(this.scores, owner, value, owner.threshold);
  }

  movePixel(owner: Owner, value: number): void {
    this.put(this.pixels, owner, value, owner.pixel_threshold ?? 0);
  }

  reset(owner: Owner): void {
    this.move(owner, owner.threshold);
  }

  resetPixel(owner: Owner): void {
    this.movePixel(owner, owner.pixel_threshold ?? 0);
  }

  /** From now on moved thresholds survive a reload, in this browser's storage. */
  remember(): void {
    this.remembers = true;
    try {
      const kept = JSON.parse(localStorage.getItem(STORED) ?? "{}") as { scores?: Record<string, number>; pixels?: Record<string, number> };
      for (const [from, into] of [[kept.scores, this.scores], [kept.pixels, this.pixels]] as const) {
        for (const [key, value] of Object.entries(from ?? {})) if (Number.isFinite(value)) into.set(key, value);
      }
    } catch {
      // A page that may store nothing forgets; what is kept and cannot be read is forgotten too.
    }
  }

  private put(values: SvelteMap<string, number>, owner: Owner, value: number, own: number): void {
    if (value === own) values.delete(keyOf(owner));
    else values.set(keyOf(owner), value);
    if (!this.remembers) return;
    try {
      localStorage.setItem(STORED, JSON.stringify({ scores: Object.fromEntries(this.scores), pixels: Object.fromEntries(this.pixels) }));
    } catch {
      // As above.
    }
  }
}

function keyOf({ name, hash, here }: Owner): string {
  return `${hash ?? name}${here === undefined ? "" : " calibrated here"}`;
}

/** The page's one store. */
export const thresholds = new Thresholds();

/** Where what a detector says is from, at the thresholds that are looked at. */
export function provenanceOf(detector: From): Provenance {
  return provenance(detector, thresholds.score(detector), detector.pixel_threshold === null ? null : thresholds.pixel(detector));
}
