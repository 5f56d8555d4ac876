//! A made-up report with something in every field, for tests.

use std::collections::BTreeMap;

use aberra_image::Region;
use aberra_models::Shape;
use aberra_models::measure::Descriptor;
use aberra_models::train::{LossRecord, SelectionCriterion};

use crate::detector::PartSize;
use crate::evaluate::{Leaked, Metric};
use crate::wire::*;

/// Two images, a normal one and an anomalous one.
pub(crate) fn report() -> ReportData {
    let interval = Metric::Known(Interval { value: 0.8, low: 0.7, high: 0.9 });
    let size = PartSize { images: 2, groups: 2 };
    let image = |id: usize| ImageData {
        id,
        name: format!("folder/{id}.png"),
        kind: (id == 1).then(|| "scratch".to_owned()),
        group: id,
        weight: 1.0,
        width: 64,
        height: 48,
        spacing_mm: Some([0.5, 0.5]),
        score: id as f64,
        p_value: Some(0.5),
        anomalous: id == 1,
        leaked: false,
        anomalous_share: Some(0.01),
        evidence: BTreeMap::from([("vae.kl".to_owned(), 12.5)]),
        evidence_percentiles: BTreeMap::from([("vae.kl".to_owned(), 50.0)]),
        scores: BTreeMap::from([("mse".to_owned(), 0.1)]),
        thumbnail: None,
        pca: vec![0.1, 0.2],
        nearest: vec![NearData { distance: 1.5, thumbnail: None, name: Some("normal.png".to_owned()) }],
        pictures: Some(PicturesData {
            input: "data:,".to_owned(),
            reconstruction: Some("data:,".to_owned()),
            error: Some("data:,".to_owned()),
            mask_path: None,
        }),
        window: Some(Region { top: 0, left: 0, height: 64, width: 64 }),
        content: Some(Region { top: 0, left: 0, height: 48, width: 64 }),
    };
    let row = |name: &str, what: Compared, difference: Option<Metric<Interval>>| CompareRow {
        name: name.to_owned(),
        what,
        auroc: interval.clone(),
        average_precision: interval.clone(),
        recall_at_5_fpr: Metric::Known(0.5),
        difference,
        roc: PlainRoc { fpr: vec![0.0, 1.0], tpr: vec![0.5, 1.0] },
    };
    let loss = |reconstruction: f64, kl: f64| LossRecord {
        total: reconstruction + kl,
        terms: BTreeMap::from([("reconstruction".to_owned(), reconstruction), ("kl".to_owned(), kl)]),
    };
    let epoch = |epoch: usize| EpochData {
        epoch,
        train: loss(90.0 / epoch as f64, 10.0 / epoch as f64),
        held_out: loss(95.0 / epoch as f64, 15.0 / epoch as f64),
        learning_rate: 0.001,
        figures: BTreeMap::from([("beta".to_owned(), 1.0)]),
        standardized_shift: Some(epoch as f64),
        best: epoch == 3,
        images_per_s: Some(900.0),
    };
    ReportData {
        version: VERSION,
        aberra_version: "0".to_owned(),
        made_at_secs: None,
        summary: vec!["In words.".to_owned()],
        warnings: Vec::new(),
        measurements: vec![Descriptor::unusual(
            "vae.kl",
            "nats",
            "KL divergence of the posterior from the prior",
        )],
        detector: DetectorCard {
            name: "first".to_owned(),
            hash: None,
            aberra_version: "0".to_owned(),
            made_from: "photos".to_owned(),
            scorer: "mse".to_owned(),
            scorers: vec![ScorerCard { name: "mse".to_owned(), about: "squared error".to_owned() }],
            evidence_weights: Vec::new(),
            input: Shape::square(64, 1),
            pictures_show: None,
            tiles: None,
            members: vec![MemberCard {
                name: "vae".to_owned(),
                family: "vae".to_owned(),
                preset: Some("small".to_owned()),
                precision: Some("f32".to_owned()),
                embedding_dimensions: Some(2),
                parameters: 10,
                best_epoch: 3,
                standardized_shift: Some(2.5),
            }],
            parameters: 10,
            device: Some("cpu".to_owned()),
            pixel_threshold: Some(0.5),
            train: size,
            fit: size,
            calibration: size,
            threshold: 0.5,
            calibration_scores: vec![0.1, 0.5],
            promise: PromiseCard {
                text: "at most half".to_owned(),
                false_alarm_rate: Some(0.5),
                confidence: None,
            },
            volumes: None,
            settings_toml: "seed = 0".to_owned(),
        },
        evaluation: EvaluationData {
            data_name: "photos".to_owned(),
            figures: DetectionFigures {
                kinds: vec![KindData {
                    kind: "scratch".to_owned(),
                    images: 1,
                    groups: 1,
                    flagged: 1,
                    auroc: interval.clone(),
                    average_precision: interval.clone(),
                    recall: Metric::Known(1.0),
                }],
                roc: RocData {
                    fpr: vec![0.0, 0.5, 1.0],
                    tpr: vec![0.4, 0.8, 1.0],
                    tpr_low: vec![0.2, 0.6, 1.0],
                    tpr_high: vec![0.6, 0.9, 1.0],
                },
                pr: PrecisionRecallData {
                    recall: vec![0.5, 1.0],
                    precision: vec![1.0, 0.7],
                    precision_low: vec![0.8, 0.5],
                    precision_high: vec![1.0, 0.8],
                },
                ..figures(size, &interval)
            },
            unusable: 0,
            left_out_own: 0,
            left_out_beside_own: 0,
            left_out_unmarked: 0,
            left_aside: Some(0),
            leaked: Leaked::default(),
            bootstrap: BootstrapData { draws: 2_000, level: 0.95 },
            shortcuts: vec![ShortcutData { name: "format".to_owned(), auroc: 0.6 }],
            pixels: Metric::Known(PixelData {
                auroc: Metric::Known(0.9),
                average_precision: Metric::Known(0.4),
                average_precision_of_chance: 0.02,
                pro: Metric::Known(0.5),
                dice_at_threshold: Metric::Known(0.3),
                intervals: Some(PixelIntervalData {
                    auroc: [0.5, 1.0],
                    average_precision: [0.25, 0.75],
                    pro: [0.0, 1.0],
                    dice_at_threshold: [0.0, 0.5],
                }),
                images_with_mask: 1,
            }),
            volumes: Some(VolumesData {
                normals: 1,
                anomalies: 1,
                auroc: interval.clone(),
                average_precision: interval.clone(),
                average_precision_of_chance: Metric::Known(0.5),
                recall: interval.clone(),
                realised_false_alarm_rate: interval.clone(),
                left_out_own: 0,
                unusable: 0,
            }),
            without_leaked: Some(figures(size, &interval)),
        },
        training: Metric::Known(vec![TrainingData {
            member: "vae".to_owned(),
            epochs: (1..=4).map(epoch).collect(),
            best_epoch: 3,
            criterion: SelectionCriterion::HeldOutLoss,
            snapshots: SnapshotsData {
                inputs: vec!["data:,".to_owned()],
                epochs: vec![SnapshotData { epoch: 3, reconstructions: vec!["data:,".to_owned()] }],
            },
        }]),
        images: vec![image(0), image(1)],
        images_in_all: 2,
        volumes: vec![VolumeData {
            name: "scan.nii.gz".to_owned(),
            kind: Some("scratch".to_owned()),
            group: 0,
            leaked: false,
            score: 1.0,
            p_value: Some(0.5),
            anomalous: Some(true),
            top: 1,
            worst: 2,
            slices: vec![Some(0), Some(1), None],
            slice_spacing_mm: Some(2.0),
        }],
        thumbnails: Some(Thumbnails { sheet: "data:,".to_owned(), side_px: 48, columns: 1 }),
        latent: Metric::Known(LatentData {
            explained: vec![0.7, 0.3],
            components: 2,
            calibration: vec![vec![0.0, 0.1], vec![0.1, 0.0], vec![-0.1, 0.2]],
            ellipse: Some(EllipseData {
                mean: [0.0, 0.1],
                covariance: [[0.01, 0.0], [0.0, 0.01]],
                chi_square: 5.99,
            }),
            kl_per_dimension: vec![2.0, 0.1],
            traversals: vec![TraversalData {
                name: "component 1".to_owned(),
                positions: vec![0.0],
                pictures: vec!["data:,".to_owned()],
            }],
            prior_samples: vec!["data:,".to_owned()],
        }),
        compare: CompareData {
            note: None,
            average_precision_of_chance: Metric::Known(0.5),
            rows: vec![
                row("mse", Compared::Scorer, None),
                row("second", Compared::Detector, Some(interval.clone())),
            ],
        },
        pixel_threshold: 0.5,
        error_scale_max: 1.0,
    }
}

/// Figures without curves and kinds.
fn figures(size: PartSize, interval: &Metric<Interval>) -> DetectionFigures {
    DetectionFigures {
        normals: size,
        anomalies: size,
        auroc: interval.clone(),
        average_precision: interval.clone(),
        average_precision_of_chance: Metric::Known(0.5),
        realised_false_alarm_rate: interval.clone(),
        recall: interval.clone(),
        kinds: Vec::new(),
        roc: RocData::default(),
        pr: PrecisionRecallData::default(),
    }
}
