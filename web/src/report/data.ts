// What a report holds: the JSON that `aberra report` embeds and that the server answers. Its types are generated from the
// server's description, where the library (crates/aberra/src/wire/report.rs) explains every field.
//
// Numbers are raw: scores in the scorer's units, losses per image. A number that cannot be computed is
// `{unavailable: reason}`, never 0. Every field is there: null where it has no value.
import type { components } from "../api/schema";

export type Schemas = components["schemas"];

/** A number, or why there is none. */
export type Figure<T = number> = T | { unavailable: string };

export type DetectorCard = Schemas["DetectorCard"];
export type MemberCard = Schemas["MemberCard"];
export type Shape = Schemas["Shape"];
export type EvaluationData = Schemas["EvaluationData"];
export type DetectionFigures = Schemas["DetectionFigures"];
export type PartSize = Schemas["PartSize"];
export type Descriptor = Schemas["Descriptor"];
export type Interval = Schemas["Interval"];
export type ReportData = Schemas["ReportData"];
export type TrainingData = Schemas["TrainingData"];
export type EpochData = Schemas["EpochData"];
export type VolumeData = Schemas["VolumeData"];
export type VolumesData = Schemas["VolumesData"];
export type ImageData = Schemas["ImageData"];
export type PicturesData = Schemas["PicturesData"];
export type LatentData = Schemas["LatentData"];
