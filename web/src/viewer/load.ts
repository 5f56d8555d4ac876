// Pictures for the viewer: a file as the browser decodes it, at its own resolution; pictures of the server; maps as numbers.
import { bitsOfPng } from "../numbers/conversions";
import type { MapGrid } from "../numbers/regions";

export interface LoadedFile {
  full: ImageBitmap;
  /** Smaller, to draw from while the whole is in view; the same where the file is small. */
  preview: ImageBitmap;
  /** Whether some pixel is not grey. */
  colour: boolean;
  /** Of a value in the file, where that is known. */
  bits: number | null;
}

const PREVIEW_PX = 2048;
const SAMPLE_PX = 64;

/** Decodes a file; null where this browser cannot. */
export async function loadFile(file: Blob): Promise<LoadedFile | null> {
  try {
    const full = await createImageBitmap(file);
    const side = Math.max(full.width, full.height);
    const shrunk = (most: number) => createImageBitmap(full, { resizeWidth: Math.max(1, Math.round((full.width * most) / side)), resizeHeight: Math.max(1, Math.round((full.height * most) / side)), resizeQuality: "medium" });
    const preview = side > PREVIEW_PX ? await shrunk(PREVIEW_PX) : full;
    const sample = pixelsOf(await shrunk(Math.min(side, SAMPLE_PX)));
    const bits = bitsOfPng(new Uint8Array(await file.slice(0, 32).arrayBuffer()));
    return { full, preview, colour: hasColour(sample.data), bits };
  } catch {
    return null;
  }
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
