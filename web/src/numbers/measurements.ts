// What was measured on one image, by member, in the order of the detector's measurements. A measurement's full name is
// `member.measurement`; those of the image itself stand under `image`.
import type { Descriptor, DetectorCard } from "../report/data";
import type { Row } from "./table";

export interface Measured {
  /** What it measures, in one phrase: its title. */
  title: string;
  /** Its full name, as files and programs have it. */
  name: string;
  unit: string;
  /** Whether a large value says that the image is unusual; where not, it describes the image. */
  unusual: boolean;
  value: number;
  /** Among the calibration normals, 0 to 100. */
  percentile: number | null;
}

export interface MemberEvidence {
  member: string;
  measurements: Measured[];
}

/** Evidence by member. A measurement without a descriptor comes last. */
export function byMember(descriptors: readonly Descriptor[], evidence: Readonly<Record<string, number>>, percentiles: Readonly<Record<string, number>>): MemberEvidence[] {
  const described = new Set(descriptors.map((one) => one.name));
  const others = Object.keys(evidence).filter((name) => !described.has(name));
  const all = [...descriptors, ...others.map((name): Descriptor => ({ name, about: "", unit: "", direction: "context" }))];
  const members = new Map<string, Measured[]>();
  for (const { name: fullName, about, unit, direction } of all) {
    const value = evidence[fullName];
    if (value === undefined) continue;
    const dot = fullName.indexOf(".");
    const member = dot < 0 ? "" : fullName.slice(0, dot);
    const measured = { title: titleOf({ name: fullName, about }), name: fullName, unit: raised(unit), unusual: direction === "higher-is-unusual", value, percentile: percentiles[fullName] ?? null };
    members.set(member, [...(members.get(member) ?? []), measured]);
  }
  return [...members].map(([member, measurements]) => ({ member, measurements }));
}

/** Evidence as a table. `counts`: how much each measurement counts in the score, by its full name. */
export function evidenceRows(image: string, members: readonly MemberEvidence[], counts: ReadonlyMap<string, number>): Row[] {
  return members.flatMap(({ measurements }) => measurements.map(({ name, title, unit, value, percentile }) =>
    ({ image, measurement: name, in_words: title, value, unit, percentile_among_calibration_normals: percentile, weight_in_the_score: counts.get(name) ?? null })));
}

/** What a measurement is called: what it measures, with a capital letter; its name as words where nothing describes it. */
export function titleOf({ name, about }: { name: string; about: string }): string {
  const words = phraseOf({ name, about });
  return words.slice(0, 1).toUpperCase() + words.slice(1);
}

/** The same within a sentence. */
export function phraseOf({ name, about }: { name: string; about: string }): string {
  return about === "" ? spaced(name.slice(name.indexOf(".") + 1)) : about;
}

/** What a scorer of a detector measures; empty where it has none of that name. */
export function aboutScorer({ scorers }: Pick<DetectorCard, "scorers">, name: string): string {
  return scorers.find((one) => one.name === name)?.about ?? "";
}

/** A name as words: `peak_error` is "peak error". */
export function spaced(name: string): string {
  return name.replaceAll("_", " ");
}

function raised(unit: string): string {
  return unit.replaceAll("^2", "²").replaceAll("^3", "³");
}
