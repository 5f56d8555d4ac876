// The example reports have the layout that the server describes, so that what the browser tests use is what a report holds.
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { VARIANTS, example } from "./make-example.mjs";

const { schemas } = JSON.parse(readFileSync(new URL("../src/api/openapi.json", import.meta.url), "utf8")).components;
const TYPES = {
  null: (value) => value === null,
  boolean: (value) => typeof value === "boolean",
  integer: Number.isInteger,
  number: Number.isFinite,
  string: (value) => typeof value === "string",
  array: Array.isArray,
  object: (value) => typeof value === "object" && value !== null && !Array.isArray(value),
};

/** Drawing the pictures takes a second, and far more beside other work. */
const PATIENCE_MS = 120_000;

/** A description, looked up by its reference; of several that hold at once, all properties. */
function resolved(given) {
  const schema = given.$ref === undefined ? given : schemas[given.$ref.split("/").at(-1)];
  return schema.allOf === undefined ? schema : { type: "object", properties: Object.assign({}, ...schema.allOf.map((one) => resolved(one).properties)) };
}

/** What in `value` is not as described, by its place. */
function differences(given, value, place = "") {
  const schema = resolved(given);
  if (schema.oneOf !== undefined) return schema.oneOf.map((one) => differences(one, value, place)).sort((a, b) => a.length - b.length)[0];
  const types = [schema.type ?? []].flat();
  if (types.length > 0 && !types.some((type) => TYPES[type](value))) return [`${place}: expected ${types.join(" or ")}, found ${JSON.stringify(value)?.slice(0, 60)}`];
  if (Array.isArray(value)) return value.flatMap((item, i) => differences(schema.items, item, `${place}/${i}`));
  if (value === null || typeof value !== "object") return [];
  // A map: every value is described alike.
  if (schema.properties === undefined) return Object.entries(value).flatMap(([name, one]) => differences(schema.additionalProperties ?? {}, one, `${place}/${name}`));
  return [...new Set([...Object.keys(schema.properties), ...Object.keys(value)])].flatMap((name) => {
    if (schema.properties[name] === undefined) return [`${place}/${name}: not described`];
    return name in value ? differences(schema.properties[name], value[name], `${place}/${name}`) : [`${place}/${name}: missing`];
  });
}

it.each(VARIANTS.filter((variant) => variant !== "many"))("%s is as described", (variant) => {
  expect(differences(schemas.ReportData, example(variant)).slice(0, 5)).toEqual([]);
}, PATIENCE_MS);

it("finds what differs", () => {
  const report = example("one-image");
  delete report.detector.device;
  report.images[0].mu = [1];
  report.evaluation.left_out_own = "none";
  report.images[0].evidence["vae.kl"] = "much";
  expect(differences(schemas.ReportData, report).sort()).toEqual(["/detector/device: missing", '/evaluation/left_out_own: expected integer, found "none"', '/images/0/evidence/vae.kl: expected number, found "much"', "/images/0/mu: not described"]);
}, PATIENCE_MS);
