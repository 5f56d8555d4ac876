// Words for the names that terms of a loss and shortcuts have in files. A test holds them beside the library's lists
// (tests/words.test.js); a name that is new is shown with spaces between its words.
import { spaced } from "./measurements";
import type { Row } from "./table";

interface Named {
  title: string;
  /** More of it, in one phrase; empty where the title says it. */
  about: string;
}

const TRAINING: Record<string, string> = {
  beta: "weight of the KL divergence, β",
  commitment: "commitment to codes",
  cross_entropy: "cross-entropy",
  dead_codes: "codes without use",
  kl: "KL divergence",
  l1: "absolute error",
  ms_ssim: "multi-scale structural dissimilarity",
  mse: "squared error",
  perceptual: "perceptual distance",
  perplexity: "perplexity of the codes",
  reconstruction: "reconstruction",
  ssim: "structural dissimilarity",
};

/** A term of a loss, or what else a family tracks while it trains. */
export function trained(name: string): string {
  return TRAINING[name] ?? spaced(name);
}

/** Properties of files and frames; those with "…" are followed by the value that was compared with all others. */
const SHORTCUTS: Record<string, [title: string, about: string]> = {
  "aspect (width / height)": ["width over height", ""],
  "bytes per pixel": ["size of the file for each pixel", "bytes over pixels: how strongly the file is compressed, or how much there is to compress"],
  "colour mode": ["colour mode: …", "how the file stores colours, this mode against all others"],
  "dark fraction": ["share of dark pixels", "pixels darker than 4 % of full scale: how much of the frame is background"],
  "field strength": ["field strength: …", "of the scanner, this one against all others"],
  "manufacturer": ["manufacturer: …", "of the device, this one against all others"],
  "mean": ["mean brightness", "of all pixels"],
  "modality": ["modality: …", "of the scan, this one against all others"],
  "model of the device": ["model of the device: …", "this one against all others"],
  "pixel count": ["number of pixels", "width times height"],
  "protocol": ["protocol: …", "of the scan, this one against all others"],
  "size": ["size: … pixels", "width and height, this size against all others"],
  "standard deviation": ["contrast", "standard deviation of the brightness of all pixels"],
};

/** A shortcut by its property and value, as the evaluation names it. */
export function shortcut(name: string): Named {
  const property = Object.keys(SHORTCUTS).find((property) => name === property || name.startsWith(`${property} `));
  if (property === undefined) return { title: spaced(name), about: "" };
  const [title, about] = SHORTCUTS[property]!;
  const value = name.slice(property.length + 1);
  return { title: title.replace("…", property === "size" ? value.replace(" x ", " × ") : value), about };
}

/** Shortcuts as a table. */
export function shortcutRows(shortcuts: readonly { name: string; auroc: number }[]): Row[] {
  return shortcuts.map(({ name, auroc }) => ({ property: name, in_words: [shortcut(name).title, shortcut(name).about].filter(Boolean).join("; "), auroc }));
}
