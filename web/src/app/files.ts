// Files from a drop, a paste or a picker; folders are opened.

export interface Given {
  name: string;
  file: Blob;
}

/** Most images in one go. */
export const MOST = 500;

/** The files of a drop: folders are opened, hidden files passed over. */
export async function dropped(data: DataTransfer): Promise<Given[]> {
  const entries = [...data.items].map((item) => item.webkitGetAsEntry?.() ?? null).filter((entry) => entry !== null);
  if (entries.length === 0) return given(data.files);
  const found: Given[] = [];
  for (const entry of entries) await walk(entry, found);
  return found;
}

/** The files of a picker or a paste. */
export function given(files: Iterable<File>): Given[] {
  return [...files].map((file) => ({ name: file.webkitRelativePath || file.name, file }));
}

async function walk(entry: FileSystemEntry, found: Given[]): Promise<void> {
  if (found.length > MOST || entry.name.startsWith(".")) return;
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    found.push({ name: entry.fullPath.replace(/^\//, ""), file });
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return;
    for (const one of some) await walk(one, found);
  }
}
