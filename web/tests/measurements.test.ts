// Evidence by member.
import { expect, it } from "vitest";
import { byMember } from "../src/numbers/measurements";
import type { Descriptor } from "../src/report/data";

const descriptor = (name: string, direction: Descriptor["direction"], unit = ""): Descriptor => ({ name, about: `what ${name} is`, unit, direction });
const DESCRIPTORS = [descriptor("vae.peak_error", "higher-is-unusual"), descriptor("vae-2.peak_error", "higher-is-unusual"), descriptor("image.gradient_energy", "context", "intensity^2"), descriptor("vae.kl", "higher-is-unusual", "nats")];

it("groups by member, in the order of the descriptors", () => {
  const evidence = { "image.gradient_energy": 4, "vae.kl": 3, "vae-2.peak_error": 2, "vae.peak_error": 1 };
  const found = byMember(DESCRIPTORS, evidence, { "vae.kl": 98.5 });
  expect(found.map(({ member, measurements }) => [member, measurements.map((one) => [one.name, one.value, one.percentile])])).toEqual([
    ["vae", [["peak error", 1, null], ["kl", 3, 98.5]]], ["vae-2", [["peak error", 2, null]]], ["image", [["gradient energy", 4, null]]],
  ]);
  expect(found[2]!.measurements[0]).toMatchObject({ about: "what image.gradient_energy is", unit: "intensity²", unusual: false });
  expect(found[0]!.measurements[1]).toMatchObject({ unit: "nats", unusual: true });
});

it("leaves out what was not measured, and keeps what nothing describes", () => {
  expect(byMember(DESCRIPTORS, { "vae.kl": 0, "new.thing": 7 }, {})).toMatchObject([
    { member: "vae", measurements: [{ name: "kl", value: 0 }] }, { member: "new", measurements: [{ name: "thing", about: "", unusual: false }] },
  ]);
  expect(byMember(DESCRIPTORS, {}, {})).toEqual([]);
});
