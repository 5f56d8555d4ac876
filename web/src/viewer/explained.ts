// One image with everything that is known of it, wherever it comes from: what the view of one image shows.
import type { Area } from "../numbers/areas";
import type { Box } from "../numbers/regions";
import type { Descriptor, DetectorCard, PicturesData } from "../report/data";

/** A file, or a picture of it that the server has drawn at its own resolution. */
export interface Whole {
  file: Blob;
  drawn: boolean;
}

export interface Explained {
  name: string;
  /** null for normal; undefined where it is not known. */
  kind: string | null | undefined;
  score: number;
  p_value: number | null;
  anomalous_share: number | null;
  /** Of the file. */
  width: number;
  height: number;
  /** Millimetres from row to row and from column to column, where the file says. */
  spacing_mm: number[] | null;
  pictures: PicturesData | null;
  /** The file itself, or a picture of it, where the page has it. */
  whole: Whole | null;
  /** Asks for a picture of it at its own resolution, for files that this browser does not show; null where nobody can be asked. */
  draw: (() => Promise<Blob | null>) | null;
  /** The pixels of the network input that show the image, and the part of the file that they show; null where not known. */
  window: Box | null;
  content: Box | null;
  /** Parts of it that the verdict leaves out. */
  ignored: Area[];
  evidence: Record<string, number>;
  percentiles: Record<string, number>;
  scores: Record<string, number>;
  nearest: { distance: number; name: string | null; thumbnail?: number | null; picture?: string | null }[];
  /** What else to know, in sentences. */
  notes: string[];
}

/** The detector that judged it. */
export interface Judge {
  detector: DetectorCard;
  measurements: Descriptor[];
  /** The map value that is white in pictures of maps. */
  errorMax: number;
  /** What it is known to find. */
  finds: string;
}
