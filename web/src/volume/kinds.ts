// Which files hold volumes or slices of one, by their names: the server looks into them.

/** NIfTI, and DICOM under its usual names: a suffix of its own, none, or the numbers of an identifier. */
const OF_VOLUMES = /(\.nii(\.gz)?|\.dcm|\.dicom|\.ima|\.\d+|^[^.]*)$/i;

export function isOfVolumes(name: string): boolean {
  return OF_VOLUMES.test(name.split("/").at(-1) ?? "");
}
