// Colour scales that are perceptually uniform and safe for colour-blind eyes: viridis (van der Walt and Smith 2015),
// cividis (Nunez and others 2018), and a diverging one from blue over a neutral middle to vermilion.

export type Rgb = [number, number, number];
export type ScaleName = "viridis" | "cividis" | "diverging";

const STOPS: Record<ScaleName, string[]> = {
  viridis: ["440154", "481a6c", "472f7d", "414487", "39568c", "31688e", "2a788e", "23888e", "1f988b", "22a884", "35b779", "54c568", "7ad151", "a5db36", "d2e21b", "fde725"],
  cividis: ["00224e", "002f6f", "1b3b6d", "35466b", "49526b", "5a5d6d", "6a6970", "7a7573", "898177", "9a8d78", "ac9a76", "bea871", "d1b66a", "e4c55e", "f6d54d", "fee838"],
  diverging: ["123a6b", "2a5d9c", "5b8bc0", "9ab6d8", "d9dfe6", "f0d9cb", "eda983", "dd7440", "c24a00", "8a2f00"],
};

const CONTROL = Object.fromEntries(
  Object.entries(STOPS).map(([name, stops]) => [name, stops.map((hex) => [0, 2, 4].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)) as Rgb)]),
) as Record<ScaleName, Rgb[]>;

/** The colour at `share`, 0 to 1; what lies outside takes the end's colour. */
export function colourAt(name: ScaleName, share: number): Rgb {
  const stops = CONTROL[name];
  const at = Math.min(1, Math.max(0, share)) * (stops.length - 1);
  const below = Math.min(stops.length - 2, Math.floor(at));
  const [a, b] = [stops[below]!, stops[below + 1]!];
  return [0, 1, 2].map((k) => Math.round(a[k]! + (at - below) * (b[k]! - a[k]!))) as Rgb;
}

export function cssColour([red, green, blue]: Rgb): string {
  return `rgb(${red}, ${green}, ${blue})`;
}

/** A CSS gradient of the scale. */
export function cssGradient(name: ScaleName, direction = "to right"): string {
  const stops = Array.from({ length: 17 }, (_, i) => cssColour(colourAt(name, i / 16)));
  return `linear-gradient(${direction}, ${stops.join(", ")})`;
}

/** Colours for kinds (Okabe and Ito 2008), darkened where a light page needs it; each goes with a shape. */
export const KIND_COLOURS = {
  light: ["#c24a00", "#8a4f86", "#00795a", "#8a6d00", "#0070a8", "#a3395f", "#5c6b00", "#6b5a4b"],
  dark: ["#ff9056", "#d9a3cf", "#3fc49c", "#e8c547", "#6cc0ee", "#f08bb0", "#b9cc4a", "#c9b7a3"],
};

/** ECharts' names of shapes for kinds, in the same order. */
export const KIND_SYMBOLS = ["triangle", "diamond", "rect", "pin", "arrow", "roundRect", "triangle", "diamond"];
