// The points of the plots of the embedding space: which images go together, with a colour and a shape.
import { KIND_COLOURS, KIND_SYMBOLS, colourAt, cssColour } from "../design/scales";
import type { ImageData } from "../report/data";
import { kindsOf } from "./gallery";
import type { Colouring } from "./look";
import { ascending, quantile } from "./sorted";
import { isAnomalous } from "./verdicts";

export interface Cloud {
  name: string;
  images: ImageData[];
  /** One colour, or one an image. */
  colour: string | string[];
  /** ECharts' name of the shape. */
  symbol: string;
}

export interface Paints {
  normal: string;
  anomalous: string;
  dark: boolean;
}

/** Normals first, so that anomalies are drawn over them. */
export function clouds(images: readonly ImageData[], by: Colouring, threshold: number, paints: Paints): Cloud[] {
  const normals = images.filter((image) => image.kind === null);
  const anomalies = images.filter((image) => image.kind !== null);
  const circle = (name: string, own: ImageData[], colour: Cloud["colour"] = paints.normal): Cloud => ({ name, images: own, colour, symbol: "circle" });
  const triangle = (name: string, own: ImageData[], colour: Cloud["colour"] = paints.anomalous): Cloud => ({ name, images: own, colour, symbol: "triangle" });
  let made: Cloud[];
  if (by === "label") made = [circle("normal", normals), triangle("anomalous", anomalies)];
  else if (by === "verdict") {
    const flagged = (image: ImageData) => isAnomalous(image.score, threshold);
    made = [
      circle("not flagged", images.filter((image) => !flagged(image))),
      triangle("flagged", images.filter(flagged)),
    ];
  } else if (by === "score") {
    const scale = scoreRange(images);
    const colours = (own: ImageData[]) => own.map((image) => cssColour(colourAt("viridis", (image.score - scale.low) / (scale.high - scale.low || 1))));
    made = [circle("normal", normals, colours(normals)), triangle("anomalous", anomalies, colours(anomalies))];
  } else {
    const kinds = kindsOf(images);
    const colours = paints.dark ? KIND_COLOURS.dark : KIND_COLOURS.light;
    made = [circle("normal", normals), ...kinds.map((kind, i) => ({
      name: kind, images: anomalies.filter((image) => image.kind === kind), colour: colours[i % colours.length]!, symbol: KIND_SYMBOLS[i % KIND_SYMBOLS.length]!,
    }))];
  }
  return made.filter((cloud) => cloud.images.length > 0);
}

/** The scores that the colour scale spans: all but the outermost 2 % on either side. */
export function scoreRange(images: readonly ImageData[]): { low: number; high: number } {
  const sorted = ascending(images.map((image) => image.score));
  return { low: quantile(sorted, 0.02), high: quantile(sorted, 0.98) };
}
