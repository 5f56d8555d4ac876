// The volumes that were given to the app: taken away one by one, asked about again, and single images handed to the images.
import { beforeEach, expect, it, vi } from "vitest";
import type { Answer } from "../src/volume/ask";

const asked = vi.hoisted(() => ({ answers: [] as (Answer | Error)[], files: [] as string[][] }));
vi.mock("../src/volume/ask", async () => {
  const { ServerError } = await import("../src/api/client");
  return {
    ServerError,
    volumes: async (_: string, files: { name: string }[]) => {
      asked.files.push(files.map(({ name }) => name));
      const answer = asked.answers.shift()!;
      if (answer instanceof Error) throw answer;
      return answer;
    },
  };
});
const { GivenVolumes } = await import("../src/volume/given.svelte");
const { ServerError } = await import("../src/api/client");
const { workspace } = await import("../src/app/workspace.svelte");

const file = (name: string) => ({ name, file: new Blob([name]) });
const volume = (name: string) => ({ name, is_image: false, error: null, slices: [], volume: { score: 3, p_value: null, threshold: 2, anomalous: true, slices: 4, empty: 2, unreadable: 0, top: 1, worst: { slice: 3, path: name, page: 3, score: 3 }, scores: [null, 1, 3, null] } });
const failed = (name: string, is_image: boolean) => ({ name, is_image, error: { detail: "expected a volume", hint: null }, slices: [], volume: null });
const answer = (volumes: unknown[], notes: string[] = []) => ({ detector: "d", hash: "h", judged_by: null, volumes, notes }) as unknown as Answer;
const settled = () => new Promise((resolve) => setTimeout(resolve, 5));

let given: InstanceType<typeof GivenVolumes>;
beforeEach(() => {
  given = new GivenVolumes();
  workspace.detector = "d";
  workspace.needsKey = false;
  workspace.tried = [];
  asked.files = [];
});

it("takes one volume of a drop away, and the drop with the last", async () => {
  asked.answers = [answer([volume("a/"), volume("b/")])];
  given.add([file("a/1.dcm"), file("b/1.dcm")]);
  await settled();
  expect([given.rows("d").map((row) => row.name), workspace.volumes]).toEqual([["a/", "b/"], 2]);
  const address = given.rows("d")[1]!.href;
  given.remove("d", given.asked[0]!.id, 0);
  expect(given.rows("d").map((row) => [row.name, row.href])).toEqual([["b/", address]]);
  expect([given.seen("d", given.asked[0]!.id, 0), given.seen("d", given.asked[0]!.id, 1)?.name]).toEqual([null, "b/"]);
  given.remove("d", given.asked[0]!.id, 1);
  expect([given.asked.length, workspace.volumes]).toEqual([0, 0]);
});

it("says a note once, whoever it is of", async () => {
  asked.answers = [answer([volume("a.nii")], ["1 volume (a.nii), 4 slices", "1 overview is dropped"]), answer([volume("b.nii")], ["1 overview is dropped"])];
  given.add([file("a.nii"), file("b.nii")]);
  await settled();
  expect(given.notes("d")).toEqual(["1 overview is dropped"]);
});

it("hands single images to the images, once for all detectors", async () => {
  asked.answers = [answer([volume("a/"), failed("x.dcm", true), failed("broken.dcm", false)]), answer([volume("a/"), failed("broken.dcm", false)])];
  given.add([file("a/1.dcm"), file("x.dcm"), file("broken.dcm")]);
  await settled();
  expect(workspace.tried.map(({ name }) => name)).toEqual(["x.dcm"]);
  expect([given.rows("d").map((row) => row.name), given.images]).toEqual([["a/", "broken.dcm"], 1]);
  workspace.detector = "e";
  given.judge();
  await settled();
  expect(asked.files[1]).toEqual(["a/1.dcm", "broken.dcm"]);
  expect([given.rows("e").map((row) => row.name), workspace.tried.length]).toEqual([["a/", "broken.dcm"], 1]);
  asked.answers = [answer([failed("y.tif", true)])];
  given.clear();
  given.add([file("y.tif")]);
  await settled();
  expect([given.asked.length, workspace.tried.map(({ name }) => name)]).toEqual([0, ["x.dcm", "y.tif"]]);
});

it("asks again what failed for want of an answer, and for a key where one is missing", async () => {
  asked.answers = [new ServerError(503, "The server is busy"), answer([volume("a.nii")])];
  given.add([file("a.nii")]);
  await settled();
  expect([given.rows("d")[0]!.state, given.failed("d")]).toEqual(["failed", true]);
  given.again();
  await settled();
  expect([given.rows("d")[0]!.state, given.failed("d")]).toEqual(["flagged", false]);
  asked.answers = [new ServerError(401, "A key is missing"), answer([volume("b.nii")])];
  given.add([file("b.nii")]);
  await settled();
  expect([given.rows("d")[1]!.state, workspace.needsKey]).toEqual(["waiting", true]);
  given.judge();
  await settled();
  expect(given.rows("d")[1]!.state).toBe("flagged");
});
