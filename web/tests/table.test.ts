// Results as CSV and JSON, and where they came from.
import { describe, expect, it } from "vitest";
import { type Row, csv, json, provenance } from "../src/numbers/table";

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
  const detector = { name: "first", hash: "b3:1", aberra_version: "0.1.0", threshold: 1.5 };
  const now = new Date("2026-01-02T03:04:05Z");
  it("says from which detector, when, and at which threshold", () => {
    expect(provenance(detector, 1.5, now)).toEqual({ detector: "first", detector_hash: "b3:1", aberra_version: "0.1.0", exported_at: "2026-01-02T03:04:05.000Z", threshold: 1.5, calibrated_threshold: 1.5, threshold_moved: false });
  });
  it("says that a threshold was moved", () => {
    expect(provenance(detector, 1.6, now)).toMatchObject({ threshold: 1.6, calibrated_threshold: 1.5, threshold_moved: true });
  });
});
