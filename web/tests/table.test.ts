// Results as CSV and JSON, and where they came from.
import { describe, expect, it } from "vitest";
import { type Row, csv, json, provenance, withMetadata, withProvenance } from "../src/numbers/table";

const ROW: Row = { image: "a.png", score: 0.1 + 0.2, p_value: 0.05, threshold: -1.5, flagged: true, anomalous_share: 0, error: null };

describe("csv", () => {
  it("keeps every digit and ends lines as RFC 4180 says", () => {
    expect(csv([ROW])).toBe("image,score,p_value,threshold,flagged,anomalous_share,error\r\na.png,0.30000000000000004,0.05,-1.5,true,0,\r\n");
  });

  it("quotes what would break a row", () => {
    const line = csv([{ ...ROW, image: 'a "b", c\nd', score: null, error: "x" }]).split("\r\n").slice(1).join("\r\n");
    expect(line).toBe('"a ""b"", c\nd",,0.05,-1.5,true,0,x\r\n');
  });

  it("has the columns of all rows", () => {
    expect(csv([{ a: 1 }, { a: 2, b: "x" }])).toBe("a,b\r\n1,\r\n2,x\r\n");
  });

  it("leaves no formula for a spreadsheet", () => {
    for (const name of ["=1+1", "+1", "-1", "@x", "\tx"]) expect(csv([{ ...ROW, image: name }])).toContain(`\r\n'${name}`);
  });
});

describe("json", () => {
  it("comes back as it was", () => expect(JSON.parse(json([ROW]))).toEqual([ROW]));
});

describe("provenance", () => {
  const detector = { name: "first", hash: "b3:1", aberra_version: "0.1.0", threshold: 1.5, pixel_threshold: 0.2 };
  const now = new Date("2026-01-02T03:04:05Z");
  it("says from which detector, when, at which thresholds, and whose calibration gave them", () => {
    expect(provenance(detector, 1.5, 0.2, now)).toEqual({
      detector: "first", detector_hash: "b3:1", aberra_version: "0.1.0", exported_at: "2026-01-02T03:04:05.000Z", threshold: 1.5, calibrated_threshold: 1.5, threshold_moved: false,
      pixel_threshold: 0.2, calibrated_pixel_threshold: 0.2, pixel_threshold_moved: false, calibration: "the detector's own", ignored_areas: null,
    });
    expect(provenance({ ...detector, pixel_threshold: null }, 1.5, null, now)).toMatchObject({ pixel_threshold: null, pixel_threshold_moved: false });
  });
  it("says that a threshold was moved", () => {
    expect(provenance(detector, 1.6, 0.2, now)).toMatchObject({ threshold: 1.6, calibrated_threshold: 1.5, threshold_moved: true, pixel_threshold_moved: false });
    expect(provenance(detector, 1.5, 0.3, now)).toMatchObject({ threshold_moved: false, pixel_threshold: 0.3, calibrated_pixel_threshold: 0.2, pixel_threshold_moved: true });
  });
  it("says that a threshold is of a calibration on the page, and what that leaves out", () => {
    const here = { images: 20, ignore: "0,0.9,0.3,0.1" };
    expect(provenance({ ...detector, here }, 1.5, 0.2, now)).toMatchObject({ calibration: "on the page of the app, by 20 normal images given there", ignored_areas: "0,0.9,0.3,0.1" });
    expect(provenance({ ...detector, here: { ...here, ignore: undefined } }, 1.5, 0.2, now).ignored_areas).toBeNull();
  });
  it("stands in every row, and within a drawing", () => {
    const from = provenance({ ...detector, name: "a < b & c" }, 1.6, 0.2, now);
    expect(withProvenance([{ x: 1 }, { x: 2 }], from)).toEqual([{ x: 1, ...from }, { x: 2, ...from }]);
    const [, told] = /^<svg width="1"><metadata>([^<]*)<\/metadata><path\/><\/svg>$/.exec(withMetadata('<svg width="1"><path/></svg>', from)) ?? [];
    expect(JSON.parse(told!.replaceAll("&lt;", "<").replaceAll("&amp;", "&"))).toEqual(from);
  });
});
