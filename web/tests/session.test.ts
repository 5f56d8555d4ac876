// What a report's session makes of images that are slices of volumes.
import { expect, it } from "vitest";
import type { ReportData } from "../src/report/data";
import { Session } from "../src/report/session.svelte";

const image = (id: number, name: string, weight = 1) => ({ id, name, weight, kind: "cyst", score: id, leaked: false, thumbnail: null, pictures: null, nearest: [] });
const report = (volumes: object[]) => ({
  images: [image(0, "a.nii, page 3"), image(1, "series/IM7.dcm"), image(2, "b.png"), image(3, "a.nii, page 4", 0)],
  volumes, evaluation: { without_leaked: null, leaked: { normals: 0, anomalies: 0 } }, thumbnails: null,
  detector: { name: "d", hash: "session", threshold: 1, pixel_threshold: null },
}) as unknown as ReportData;

it("calls slices by their number in their volume, and leads to it", () => {
  const session = new Session(report([{ name: "a.nii", slices: [null, null, 0, 3] }, { name: "series/", slices: [1] }]));
  expect(session.report.images.map((one) => session.nameOf(one))).toEqual(["a.nii, slice 3", "series/IM7.dcm, slice 1", "b.png", "a.nii, slice 4"]);
  expect([session.sliceOf(0), session.sliceOf(2)]).toEqual([{ name: "a.nii", href: "#volume/0", slice: 3 }, null]);
  expect(session.group).toBe("volume or patient");
  expect(new Session(report([])).group).toBe("near-duplicate group");
});

it("counts no slice that is in no figure, and still shows it", () => {
  const session = new Session(report([{ name: "a.nii", slices: [null, null, 0, 3] }]));
  expect(session.items.map((item) => item.id)).toEqual([0, 1, 2]);
  expect([session.scores.anomalies.length, session.byId.has(3)]).toEqual([3, true]);
});

it("has figures that follow a threshold that is moved, and the evaluation's at the calibrated one", () => {
  const normals = [4, 5].map((id) => ({ ...image(id, `${id}.png`), kind: null, group: id }));
  const anomalies = [6, 7, 8].map((id) => ({ ...image(id, `${id}.png`), group: id }));
  const known = (value: number) => ({ value, low: 0, high: 1 });
  const session = new Session({
    ...report([]), images: [...normals, ...anomalies], detector: { name: "d", hash: "follows", threshold: 1, pixel_threshold: null },
    evaluation: { without_leaked: null, bootstrap: { level: 0.95 }, recall: known(0.123), realised_false_alarm_rate: known(0.456), kinds: [{ kind: "cyst", flagged: 3, recall: 1 }] },
  } as unknown as ReportData);
  const read = () => [session.atThreshold.recall, session.atThreshold.falseAlarms].map((figure) => (figure as { value: number }).value);
  expect(read()).toEqual([0.123, 0.456]);
  expect(session.kinds[0]).toMatchObject({ images: 3, flagged: 3, recall: { value: 1, high: 1 } });
  session.threshold = 6.5;
  expect(read()).toEqual([2 / 3, 0]);
  expect(session.kinds[0]).toMatchObject({ images: 3, flagged: 2, recall: { value: 2 / 3 } });
  session.reset();
  expect(read()).toEqual([0.123, 0.456]);
});
