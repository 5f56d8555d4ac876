// What an address says of how a page is looked at.
import { describe, expect, it } from "vitest";
import { EVERYTHING } from "../src/numbers/gallery";
import { PLOT, lookedAtFirst, ofGallery, ofPlot, queryOf, readGallery, readPlot, withLook } from "../src/numbers/look";
import type { ReportData } from "../src/report/data";
import { Session } from "../src/report/session.svelte";

describe("a gallery's address", () => {
  it("says nothing of what is as it opens", () => {
    expect(ofGallery(lookedAtFirst("given"), "given")).toEqual([]);
    expect(ofGallery(lookedAtFirst("given"), "highest")).toEqual([["order", "given"]]);
    expect(readGallery(queryOf("#images?threshold=2"), "highest")).toBeNull();
  });
  it("comes back as it was", () => {
    const looked = { filter: { ...EVERYTHING, label: "kind:blow hole & crack", outcome: "missed", verdict: "not flagged", name: "50% =é", order: "nearest" }, layout: "table" } as const;
    const hash = withLook("#images?order=name&other=1", ofGallery(looked, "highest"));
    expect(hash).not.toContain("other");
    expect(readGallery(queryOf(hash), "highest")).toEqual(looked);
  });
  it("passes over words that mean nothing", () => {
    expect(readGallery(queryOf("#images?outcome=x&verdict=__proto__&order=&layout=list"), "highest")).toEqual(lookedAtFirst("highest"));
  });
});

describe("a plot's address", () => {
  it("comes back as it was", () => {
    const plot = { solid: true, by: "score", first: 2, second: 0 } as const;
    expect(ofPlot(PLOT)).toEqual([]);
    expect(readPlot(queryOf(withLook("#embedding", ofPlot(plot))), 5)).toEqual(plot);
  });
  it("names no component twice, and none that is not there", () => {
    expect(readPlot(queryOf("#embedding?across=2"), 5)).toEqual(PLOT);
    expect(readPlot(queryOf("#embedding?across=3&up=9"), 5)).toEqual({ ...PLOT, first: 2 });
    expect(readPlot(queryOf("#embedding?across=1.5&up=x&plot=3d"), 1)).toEqual(PLOT);
    expect(readPlot(queryOf("#embedding"), 5)).toBeNull();
  });
});

describe("a report's session", () => {
  const report = { images: [{ id: 3, name: "a.png", weight: 1, kind: null, score: 1, leaked: false, thumbnail: null, pictures: null, nearest: [] }], volumes: [], latent: { components: 3 }, evaluation: { without_leaked: null, leaked: {} }, thumbnails: null, detector: { name: "d", hash: "look", threshold: 1, pixel_threshold: null } } as unknown as ReportData;
  it("takes from an address how a view is looked at, and keeps it where an address says nothing", () => {
    const session = new Session(report, "evaluate/");
    session.goTo("#evaluate/images?outcome=missed&layout=table&copies=counted");
    expect([session.gallery.filter.outcome, session.gallery.layout, session.clean]).toEqual(["missed", "table", false]);
    session.goTo("#evaluate/image/3");
    expect([session.opened, session.gallery.filter.outcome]).toEqual([3, "missed"]);
    expect(session.look).toEqual([["copies", "counted"], ["outcome", "missed"], ["layout", "table"]]);
    session.goTo("#evaluate/embedding?plot=3d&colour=kind");
    expect(session.look).toEqual([["copies", "counted"], ["plot", "3d"], ["colour", "kind"]]);
    session.goTo("#evaluate/localisation");
    expect(session.look).toEqual([["copies", "counted"]]);
  });
});
