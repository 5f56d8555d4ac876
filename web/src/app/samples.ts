// Which of the built-in pictures fit a detector.

/** Whether a detector was made from phantoms, by the name of its data set: what `aberra demo` writes is called so. Built-in
 *  pictures are phantoms, and say nothing about a detector of other things. */
export function madeFromPhantoms(madeFrom: string): boolean {
  return /phantom/i.test(madeFrom);
}
