// Pictures for the viewer: a file as the browser decodes it, or as the server draws it, at its own resolution; pictures of the server;
// maps as numbers.
import { bitsOfPng } from "../numbers/conversions";
import type { MapGrid } from "../numbers/regions";
import type { Whole } from "./explained";

export interface LoadedFile {
  full: ImageBitmap;
  /** Smaller, to draw from while the whole is in view; the same where the file is small. */
  preview: ImageBitmap;
  /** Whether some pixel is not grey. */
  colour: boolean;
  /** Of a value in the file, where that is known. */
  bits: number | null;
  /** Whether the server has drawn it. */
  drawn: boolean;
}

const PREVIEW_PX = 2048;
const SAMPLE_PX = 64;

/** Decodes a file; null where this browser cannot. */
export async function loadFile(file: Blob): Promise<LoadedFile | null> {
  try {
    const full = await createImageBitmap(file);
    const preview = await shrunk(full, PREVIEW_PX);
    const small = await shrunk(preview, SAMPLE_PX);
    const sample = pixelsOf(small);
    if (small !== preview) small.close();
    const bits = bitsOfPng(new Uint8Array(await file.slice(0, 32).arrayBuffer()));
    return { full, preview, colour: hasColour(sample.data), bits, drawn: false };
  } catch {
    return null;
  }
}

/** A file at its own resolution: as this browser decodes it, if that has the size that the server found, or as the server draws it (another
 *  page or turn, a format that browsers do not show); null where neither is to be had. */
export async function loadWhole(whole: Whole | null, size: { width: number; height: number }, draw: (() => Promise<Blob | null>) | null): Promise<LoadedFile | null> {
  const fits = (loaded: LoadedFile | null): LoadedFile | null => {
    if (loaded === null || (loaded.full.width === size.width && loaded.full.height === size.height)) return loaded;
    release(loaded);
    return null;
  };
  if (whole === null) return null;
  const own = fits(await loadFile(whole.file));
  if (own !== null && !whole.drawn) return own;
  const picture = own !== null || draw === null ? null : await draw().catch(() => null);
  const drawn = own ?? (picture === null ? null : fits(await loadFile(picture)));
  return drawn === null ? null : { ...drawn, bits: null, drawn: true };
}

/** A picture whose longer side has at most so many pixels; the picture itself if it has. By halves, each pixel the mean of four: better
 *  filters keep smaller copies of what they shrink in memory, as long as that is there. */
async function shrunk(picture: ImageBitmap, most: number): Promise<ImageBitmap> {
  let now = picture;
  for (let side = sideOf(now); side > most; side = sideOf(now)) {
    const share = Math.max(0.5, most / side);
    const next = await createImageBitmap(now, { resizeWidth: Math.max(1, Math.round(now.width * share)), resizeHeight: Math.max(1, Math.round(now.height * share)), resizeQuality: "low" });
    if (now !== picture) now.close();
    now = next;
  }
  return now;
}

function sideOf({ width, height }: ImageBitmap): number {
  return Math.max(width, height);
}

export function release({ full, preview }: LoadedFile): void {
  full.close();
  preview.close();
}

/** A picture by its address. */
export async function loadPicture(address: string): Promise<HTMLImageElement> {
  const image = new Image();
  image.src = address;
  await image.decode();
  return image;
}

/** The grey values of a map. */
export async function loadMap(address: string): Promise<MapGrid> {
  const { data, width, height } = pixelsOf(await loadPicture(address));
  return { grey: Uint8Array.from({ length: width * height }, (_, i) => data[4 * i]!), width, height };
}

/** Red, green, blue and alpha of one pixel. */
export function pixelAt(source: CanvasImageSource, x: number, y: number): Uint8ClampedArray {
  const canvas = new OffscreenCanvas(1, 1);
  const context = canvas.getContext("2d")!;
  context.drawImage(source, x, y, 1, 1, 0, 0, 1, 1);
  return context.getImageData(0, 0, 1, 1).data;
}

export function hasColour(data: ArrayLike<number>): boolean {
  // JPEG rounds grey to almost grey.
  const SLACK = 6;
  for (let i = 0; i < data.length; i += 4) {
    const [red, green, blue] = [data[i]!, data[i + 1]!, data[i + 2]!];
    if (Math.max(red, green, blue) - Math.min(red, green, blue) > SLACK) return true;
  }
  return false;
}

function pixelsOf(source: ImageBitmap | HTMLImageElement): ImageData {
  const [width, height] = source instanceof HTMLImageElement ? [source.naturalWidth, source.naturalHeight] : [source.width, source.height];
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true })!;
  context.drawImage(source, 0, 0);
  return context.getImageData(0, 0, width, height);
}
