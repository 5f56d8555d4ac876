// Evidence by member.
import { expect, it } from "vitest";
import { byMember, evidenceRows } from "../src/numbers/measurements";
import type { Descriptor } from "../src/report/data";

const descriptor = (name: string, direction: Descriptor["direction"], unit = ""): Descriptor => ({ name, about: `what ${name} is`, unit, direction });
const DESCRIPTORS = [descriptor("vae.peak_error", "higher-is-unusual"), descriptor("vae-2.peak_error", "higher-is-unusual"), descriptor("image.gradient_energy", "context", "intensity^2"), descriptor("vae.kl", "higher-is-unusual", "nats")];

it("groups by member, in the order of the descriptors", () => {
  const evidence = { "image.gradient_energy": 4, "vae.kl": 3, "vae-2.peak_error": 2, "vae.peak_error": 1 };
  const found = byMember(DESCRIPTORS, evidence, { "vae.kl": 98.5 });
  expect(found.map(({ member, measurements }) => [member, measurements.map((one) => [one.title, one.value, one.percentile])])).toEqual([
    ["vae", [["What vae.peak_error is", 1, null], ["What vae.kl is", 3, 98.5]]], ["vae-2", [["What vae-2.peak_error is", 2, null]]], ["image", [["What image.gradient_energy is", 4, null]]],
  ]);
  expect(found[2]!.measurements[0]).toMatchObject({ name: "image.gradient_energy", unit: "intensity²", unusual: false });
  expect(found[0]!.measurements[1]).toMatchObject({ unit: "nats", unusual: true });
});

it("leaves out what was not measured, and keeps what nothing describes", () => {
  expect(byMember(DESCRIPTORS, { "vae.kl": 0, "new.thing": 7 }, {})).toMatchObject([
    { member: "vae", measurements: [{ name: "vae.kl", value: 0 }] }, { member: "new", measurements: [{ title: "Thing", name: "new.thing", unusual: false }] },
  ]);
  expect(byMember(DESCRIPTORS, {}, {})).toEqual([]);
});

it("goes out as a table, each measurement with its place among the calibration normals and its weight", () => {
  const members = byMember(DESCRIPTORS, { "vae.kl": 3, "image.gradient_energy": 4 }, { "vae.kl": 98.5 });
  expect(evidenceRows("a.png", members, new Map([["vae.kl", 0.3]]))).toEqual([
    { image: "a.png", measurement: "image.gradient_energy", in_words: "What image.gradient_energy is", value: 4, unit: "intensity²", percentile_among_calibration_normals: null, weight_in_the_score: null },
    { image: "a.png", measurement: "vae.kl", in_words: "What vae.kl is", value: 3, unit: "nats", percentile_among_calibration_normals: 98.5, weight_in_the_score: 0.3 },
  ]);
});
