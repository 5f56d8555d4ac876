// What the kiosk has shown, until the page is closed: opened again, it goes on from there.
import type { Line } from "./lines";

class Kept {
  /** The detector that judged. */
  of = "";
  /** The number of the last announcement. */
  after = 0;
  /** Whether the server is being asked for what came after it. */
  asks = false;
  /** As they came. Pictures are kept of the last ones. */
  lines: Line[] = $state.raw([]);
  /** The images of this page that are among them. */
  readonly taken = new Set<number>();
}

export const kept = new Kept();
