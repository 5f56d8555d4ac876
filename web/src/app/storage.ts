// The images that were given, kept in this browser so that they survive a reload: IndexedDB, one record an image. Nothing leaves
// the machine by it. A browser that stores nothing keeps nothing, and the app works all the same.

export interface Kept {
  id: number;
  name: string;
  file: Blob;
  /** Where it was among the others when it was taken away; nothing while it is not. */
  at?: number;
}

const [NAME, STORE, VERSION] = ["aberra", "images", 1];

let opening: Promise<IDBDatabase | null> | undefined;

function database(): Promise<IDBDatabase | null> {
  return (opening ??= new Promise((resolve) => {
    try {
      const asked = indexedDB.open(NAME, VERSION);
      asked.onupgradeneeded = () => asked.result.createObjectStore(STORE, { keyPath: "id" });
      asked.onsuccess = () => resolve(asked.result);
      asked.onerror = () => resolve(null);
      asked.onblocked = () => resolve(null);
    } catch {
      resolve(null);
    }
  }));
}

/** Runs `work` on the store; false where nothing can be stored, or there is no room. */
async function within(mode: IDBTransactionMode, work: (store: IDBObjectStore) => void): Promise<boolean> {
  const opened = await database();
  if (opened === null) return false;
  return new Promise((resolve) => {
    try {
      const transaction = opened.transaction(STORE, mode);
      transaction.oncomplete = () => resolve(true);
      transaction.onerror = transaction.onabort = () => resolve(false);
      work(transaction.objectStore(STORE));
    } catch {
      resolve(false);
    }
  });
}

/** Keeps images; false where they could not be kept. */
export function keep(images: readonly Kept[]): Promise<boolean> {
  return within("readwrite", (store) => images.forEach((one) => store.put(one)));
}

export function drop(ids: readonly number[]): Promise<boolean> {
  return within("readwrite", (store) => ids.forEach((id) => store.delete(id)));
}

export function forget(): Promise<boolean> {
  return within("readwrite", (store) => store.clear());
}

/** What is kept, in the order in which it was given. */
export async function kept(): Promise<Kept[]> {
  let asked: IDBRequest<Kept[]> | undefined;
  const read = await within("readonly", (store) => (asked = store.getAll() as IDBRequest<Kept[]>));
  return read && asked !== undefined ? asked.result : [];
}
