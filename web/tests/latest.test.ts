// One question at a time, the latest wins.
import { expect, it } from "vitest";
import { Latest } from "../src/numbers/latest";

it("asks one at a time and skips what was overtaken", async () => {
  const asked: number[] = [];
  const answered: number[] = [];
  const open: (() => void)[] = [];
  const latest = new Latest<number, number>(
    (question) => new Promise((resolve) => { asked.push(question); open.push(() => resolve(10 * question)); }),
    (answer) => answered.push(answer),
    () => {},
  );
  for (const question of [1, 2, 3]) latest.put(question);
  expect(asked).toEqual([1]);
  open.shift()!();
  await new Promise((resolve) => setTimeout(resolve));
  expect([asked, answered]).toEqual([[1, 3], [10]]);
  open.shift()!();
  await new Promise((resolve) => setTimeout(resolve));
  expect(answered).toEqual([10, 30]);
});

it("goes on after a failure", async () => {
  const failures: unknown[] = [];
  const answered: number[] = [];
  const latest = new Latest<number, number>((question) => (question < 0 ? Promise.reject(question) : Promise.resolve(question)), (answer) => answered.push(answer), (error) => failures.push(error));
  latest.put(-1);
  latest.put(2);
  await new Promise((resolve) => setTimeout(resolve));
  expect([failures, answered]).toEqual([[-1], [2]]);
});
