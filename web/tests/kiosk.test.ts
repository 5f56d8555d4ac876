import { expect, it } from "vitest";
import type { Announcement } from "../src/api/client";
import { lineOf, ownLine, rowOf, verdictOf } from "../src/kiosk/lines";
import { provenance } from "../src/numbers/table";

const VERDICT = { score: 2, threshold: 2, anomalous: false } as Announcement["verdict"];
const announced = (over: Partial<Announcement> = {}): Announcement =>
  ({ id: 1_700_000_000_000_001, source: "line 3", detector: "parts", hash: "ab", name: "a.png", error: null, verdict: VERDICT, picture: "data:", ...over });

it("judges an announced image by the threshold that its client was answered by", () => {
  expect(verdictOf(lineOf(announced()))).toBe("not flagged");
  expect(verdictOf(lineOf(announced({ verdict: { ...VERDICT!, threshold: 1.9 } })))).toBe("flagged");
  expect(verdictOf(lineOf(announced({ verdict: null, error: { detail: "no image", hint: null } })))).toBe("failed");
  expect(lineOf(announced({ name: null })).name).toBe("image without a name");
  expect(lineOf(announced()).at.toISOString()).toBe("2023-11-14T22:13:20.000Z");
});

it("writes a row of what was judged, and of what could not be", () => {
  const from = provenance({ name: "parts", hash: "ab", aberra_version: "1", threshold: 3, pixel_threshold: null }, 3, null);
  expect(rowOf(lineOf(announced()), from)).toEqual({
    time: "2023-11-14T22:13:20.000Z", source: "line 3", name: "a.png", score: 2, threshold: 2, anomalous: false, error: null,
    detector: "parts", detector_hash: "ab", aberra_version: "1", calibrated_threshold: 3, threshold_moved: true, calibration: "the detector's own", ignored_areas: null,
  });
  const item = { id: 4, name: "b.png", kind: undefined, score: null, failure: "no image", href: "", thumbnail: null, picture: null, others: [] };
  const own = ownLine(item, "kiosk x", 3, new Date(0));
  expect([own.key, rowOf(own, from).anomalous, rowOf(own, from).error, rowOf(own, from).threshold_moved, verdictOf(own)]).toEqual(["own 4", null, "no image", false, "failed"]);
});
