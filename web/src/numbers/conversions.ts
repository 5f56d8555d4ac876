// What is done to a file before the network sees it, in words.

export interface Converted {
  /** Of the file. */
  width: number;
  height: number;
  /** Of the network input. */
  input: { width: number; height: number; channels: number };
  /** The pixels of the network input that show the image; null where that is not known. */
  window: { width: number; height: number } | null;
  /** The part of the file that they show. */
  content: { left: number; top: number; width: number; height: number } | null;
  /** Whether the file's picture has colours; null where the browser cannot say. */
  colour: boolean | null;
  /** Bits of a value in the file, where that is known. */
  bits: number | null;
}

/** Sentences; none for what was not changed. */
export function conversions({ width, height, input, window, content, colour, bits }: Converted): string[] {
  const said: string[] = [];
  const cropped = content !== null && (content.width !== width || content.height !== height);
  if (cropped) said.push(`Cropped to the foreground: ${content.width} × ${content.height} of ${width} × ${height} pixels.`);
  // Where it is not known which pixels show what, nothing is said of their sizes.
  const [from, to] = content === null || window === null ? [input, input] : [content, window];
  if (from.width !== to.width || from.height !== to.height) {
    const factor = from.width / to.width;
    const by = factor >= 1 ? `${factor.toPrecision(2)} times smaller` : `${(1 / factor).toPrecision(2)} times larger`;
    said.push(`Resized from ${from.width} × ${from.height} to ${to.width} × ${to.height} pixels (${by})${factor > 2 ? `: what is smaller than ${Math.round(factor)} pixels may vanish` : ""}.`);
  }
  if (window !== null && (window.width !== input.width || window.height !== input.height)) said.push(`Padded to ${input.width} × ${input.height}.`);
  if (colour === true && input.channels === 1) said.push("Colour to grey.");
  if (colour === false && input.channels === 3) said.push("Grey to three equal channels.");
  if (bits !== null && bits > 8) said.push(`The file has ${bits} bits a value; the picture above shows 8 of them, the network sees all.`);
  return said;
}

/** Bits of a value of a PNG, by its header; null for other files. */
export function bitsOfPng(bytes: Uint8Array): number | null {
  const signature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
  return bytes.length > 24 && signature.every((byte, i) => bytes[i] === byte) ? bytes[24]! : null;
}
