// Which files hold volumes or slices of one, by their names and their first bytes: the server looks into them.

/** NIfTI, and DICOM under its usual names: a suffix of its own, none, or the numbers of an identifier. */
const OF_VOLUMES = /(\.nii(\.gz)?|\.dcm|\.dicom|\.ima|\.\d+|^[^.]*)$/i;
const MAY_HAVE_PAGES = /\.(tiff?|gif)$/i;

/** Whether a file may hold a volume, or a slice of one. The server says which of them are single images after all. */
export async function isOfVolumes({ name, file }: { name: string; file: Blob }): Promise<boolean> {
  const own = name.split("/").at(-1) ?? "";
  return OF_VOLUMES.test(own) || (MAY_HAVE_PAGES.test(own) && (await hasPages(file)));
}

/** Whether a TIFF lists more than one image; of a GIF only the server knows. */
async function hasPages(file: Blob): Promise<boolean> {
  const bytes = async (from: number, count: number) => new DataView(await file.slice(from, from + count).arrayBuffer());
  try {
    const head = await bytes(0, 16);
    const order = head.getUint16(0);
    const little = order === 0x4949;
    if (!little && order !== 0x4d4d) return true;
    // BigTIFF has longer numbers and entries.
    const big = head.getUint16(2, little) === 43;
    const place = (view: DataView, at: number) => (big ? Number(view.getBigUint64(at, little)) : view.getUint32(at, little));
    const first = place(head, big ? 8 : 4);
    const entries = big ? place(await bytes(first, 8), 0) : (await bytes(first, 2)).getUint16(0, little);
    const end = first + (big ? 8 + 20 * entries : 2 + 12 * entries);
    return place(await bytes(end, 8), 0) !== 0;
  } catch {
    return false;
  }
}
