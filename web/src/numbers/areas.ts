// Parts of images that are left out, in shares of the sides, so that they are the same parts of images of any size.

export interface Area {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** A corner of an area, in shares of the sides. */
type Corner = [x: number, y: number];

/** Shares have so many decimals: a pixel of a large picture. */
const DECIMALS = 4;

const rounded = (share: number) => Number(Math.min(1, Math.max(0, share)).toFixed(DECIMALS));

/** The area between two corners, as much of it as lies within the image. */
export function between([x, y]: Corner, [otherX, otherY]: Corner): Area {
  const [left, right] = [rounded(Math.min(x, otherX)), rounded(Math.max(x, otherX))];
  const [top, bottom] = [rounded(Math.min(y, otherY)), rounded(Math.max(y, otherY))];
  return { left, top, width: rounded(right - left), height: rounded(bottom - top) };
}

/** The area with one of its numbers changed: it stays within the image, and is no smaller than a hundredth. */
export function changed(area: Area, side: keyof Area, share: number): Area {
  const least = 0.01;
  const to = { ...area, [side]: rounded(Number.isFinite(share) ? share : 0) };
  const [left, top] = [Math.min(to.left, 1 - least), Math.min(to.top, 1 - least)];
  const length = (start: number, wanted: number) => rounded(Math.min(Math.max(wanted, least), 1 - start));
  return { left: rounded(left), top: rounded(top), width: length(left, to.width), height: length(top, to.height) };
}

/** The areas around one, which together with it are the whole image: what is left out where it alone is looked at. */
export function around({ left, top, width, height }: Area): Area[] {
  const [right, bottom] = [rounded(left + width), rounded(top + height)];
  const strips = [
    { left: 0, top: 0, width: 1, height: top },
    { left: 0, top: bottom, width: 1, height: rounded(1 - bottom) },
    { left: 0, top, width: left, height },
    { left: right, top, width: rounded(1 - right), height },
  ];
  return strips.filter((strip) => strip.width > 0 && strip.height > 0);
}

/** Areas as the server takes them; none is no text. */
export function inText(areas: readonly Area[]): string | undefined {
  return areas.length === 0 ? undefined : areas.map(inNumbers).join(";");
}

/** The areas of such a text. */
export function areasIn(text: string | undefined): Area[] {
  return (text?.split(";") ?? []).map((area) => {
    const [left, top, width, height] = area.split(",").map(Number) as [number, number, number, number];
    return { left, top, width, height };
  });
}

/** Left, top, width and height, as the command line takes them. */
export function inNumbers({ left, top, width, height }: Area): string {
  return [left, top, width, height].join(",");
}
