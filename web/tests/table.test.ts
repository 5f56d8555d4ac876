// Results as CSV and JSON.
import { describe, expect, it } from "vitest";
import { type Row, csv, json } from "../src/numbers/table";

const ROW: Row = { image: "a.png", detector: "first", score: 0.1 + 0.2, p_value: 0.05, threshold: -1.5, verdict: "anomalous", anomalous_share: 0, error: null };

describe("csv", () => {
  it("keeps every digit and ends lines as RFC 4180 says", () => {
    expect(csv([ROW])).toBe("image,detector,score,p_value,threshold,verdict,anomalous_share,error\r\na.png,first,0.30000000000000004,0.05,-1.5,anomalous,0,\r\n");
  });

  it("quotes what would break a row", () => {
    const line = csv([{ ...ROW, image: 'a "b", c\nd', score: null, error: "x" }]).split("\r\n").slice(1).join("\r\n");
    expect(line).toBe('"a ""b"", c\nd",first,,0.05,-1.5,anomalous,0,x\r\n');
  });

  it("leaves no formula for a spreadsheet", () => {
    for (const name of ["=1+1", "+1", "-1", "@x", "\tx"]) expect(csv([{ ...ROW, image: name }])).toContain(`\r\n'${name}`);
  });
});

describe("json", () => {
  it("comes back as it was", () => expect(JSON.parse(json([ROW]))).toEqual([ROW]));
});
