//! A family, a measurement and a scorer that nothing else knows go through training, the detector file, scoring, evaluation,
//! explanation, wire and report by what they say of themselves, with a map and without one.

use crate::detector::Part;
use crate::evaluate::Evaluation;
use crate::explain::{EvidenceRanks, find_normals, heat_map_png, sheet_png, story_png};
use crate::export::ExportOptions;
use crate::image::{Limits, decode, read};
use crate::report::{PictureFormat, ReportOptions};
use crate::score::{ScorerInput, ScorerKind};
use crate::testing::{FAMILY, Far, catalog, dataset, detector};
use crate::wire::{DetectorCard, Explanation};
use crate::{Detector, compute};

#[test]
fn what_is_not_in_the_lists_goes_through_everything() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path());
    let file = folder.path().join("it.aberra");
    let trained = detector(&dataset, true);
    trained.save(&file).unwrap();
    let detector = Detector::load_with(&file, &compute::cpu(), &catalog()).unwrap();
    assert_eq!(detector.document, trained.document);
    let anomaly = dataset.samples.iter().find(|sample| !sample.label.is_normal()).unwrap();
    let image = read(&anomaly.path, &Limits::default()).unwrap();
    let names: Vec<&str> = detector.descriptors().iter().map(|one| one.name.as_ref()).collect();
    assert_eq!(names, ["grey.distance", "image.gradient_energy", "image.standard_deviation"]);

    let story = detector.explain(&image).unwrap();
    assert_eq!(story.verdict.score, Far::score(&1.0, &sample(&detector, &story.verdict)) / usual(&detector));
    assert!(story.verdict.embedding().is_none() && story.verdict.reconstruction().is_none());
    assert!(story.nearest.is_empty() && story.evidence[0].name == "grey.distance");
    assert!(story.evidence.iter().all(|one| one.percentile.is_some()));
    assert_eq!(EvidenceRanks::of(detector.normals()).percentiles(&story.verdict.evidence).len(), 3);
    let pictures = [
        story_png(&detector, &story, &find_normals(&detector, &story.nearest, &[])).unwrap(),
        sheet_png(&[&story.verdict], detector.pixel_threshold(), 1, 2).unwrap(),
        heat_map_png(&story.verdict, detector.pixel_threshold()).unwrap(),
    ];
    assert!(pictures.iter().all(|png| decode(png, &Limits::default()).is_ok()));
    let explanation = Explanation::of(&detector, &story, 1.0);
    assert!(explanation.evidence.contains_key("grey.distance") && explanation.embedding.is_empty());
    assert_eq!(explanation.scores["far"], story.verdict.score);
    assert!(detector.read_sample(anomaly).is_ok());

    let error = detector.export(&ExportOptions::default()).unwrap_err();
    assert!(error.to_string().contains("cannot be written as a graph"), "{error}");

    let card = serde_json::to_value(DetectorCard::of(&detector, "it").unwrap()).unwrap();
    assert_eq!((&card["members"][0]["family"], &card["scorer"]), (&FAMILY.into(), &Far::NAME.into()));
    assert!(card["members"][0]["embedding_dimensions"].is_null());

    let evaluation = detector.evaluate(&dataset).unwrap();
    assert!(
        evaluation.ranking.auroc.value().is_some() && evaluation.data.own.total() == detector.normals().len()
    );
    assert!(evaluation.to_string().contains(Far::NAME), "{evaluation}");
    let header = evaluation.scores_csv().lines().next().unwrap().to_owned();
    assert!(header.contains(",score_far,") && header.contains(",grey.distance,"), "{header}");
    let file = folder.path().join("evaluation.json");
    evaluation.save(&file).unwrap();
    assert_eq!(Evaluation::load(&file).unwrap(), evaluation);

    let report = detector.report(&dataset, &evaluation, ReportOptions::default()).unwrap();
    let data = report.data();
    assert!(data.latent.reason().is_some() && data.images.iter().all(|image| image.pca.is_empty()));
    assert!(data.images.iter().all(|image| image.evidence_percentiles.contains_key("grey.distance")));
    assert_eq!(data.measurements, detector.descriptors());
    assert_eq!(data.compare.rows[0].name, Far::NAME);
    let page = report.html();
    for text in ["grey.distance", "mean difference from the mean image", FAMILY, Far::NAME] {
        assert!(page.contains(text), "{text}");
    }
    assert!(!report.figures().unwrap().is_empty());
}

#[test]
fn a_detector_without_maps_is_explained_evaluated_and_reported_by_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path());
    let (detector, with_map) = (detector(&dataset, false), detector(&dataset, true));
    let anomaly = dataset.samples.iter().find(|sample| sample.mask.is_some()).unwrap();
    let image = read(&anomaly.path, &Limits::default()).unwrap();
    let story = detector.explain(&image).unwrap();
    assert_eq!(story.verdict.score, with_map.explain(&image).unwrap().verdict.score);
    assert!(story.verdict.map.is_none() && story.anomalous_share.is_none() && story.nearest.is_empty());
    assert!(story.evidence.iter().all(|one| one.percentile.is_some()));
    for png in [story_png(&detector, &story, &[]), sheet_png(&[&story.verdict], 0.2, 1, 2)] {
        assert!(decode(&png.unwrap(), &Limits::default()).is_ok());
    }
    let error = heat_map_png(&story.verdict, 0.2).unwrap_err();
    assert!(error.to_string().contains("expected a verdict with a map"), "{error}");
    let pictures = PictureFormat::of(&detector).triple(&story.verdict, 1.0).unwrap();
    assert!(pictures.error.is_none() && pictures.reconstruction.is_none());
    let explanation = Explanation::of(&detector, &story, 1.0);
    assert_eq!(explanation.verdict.anomalous_share, None);
    assert_eq!(DetectorCard::of(&detector, "it").unwrap().pixel_threshold, None);
    assert_eq!(DetectorCard::of(&with_map, "it").unwrap().pixel_threshold, Some(with_map.pixel_threshold()));

    let evaluation = detector.evaluate(&dataset).unwrap();
    assert_eq!(evaluation.pixels.reason(), Some("the detector makes no maps"));
    assert_eq!(evaluation.ranking, with_map.evaluate(&dataset).unwrap().ranking);
    let report = detector.report(&dataset, &evaluation, ReportOptions::default()).unwrap();
    let images = &report.data().images;
    assert!(images.iter().all(|image| image.anomalous_share.is_none()));
    assert!(images.iter().filter_map(|image| image.pictures.as_ref()).all(|one| one.error.is_none()));
    assert!(images.iter().any(|image| image.pictures.is_some()));
    let figures = report.figures().unwrap();
    assert!(figures.iter().any(|(name, _)| *name == "triples"));
}

#[test]
fn a_file_of_a_family_that_is_not_in_the_list_is_refused_with_those_that_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("it.aberra");
    detector(&dataset(folder.path()), true).save(&path).unwrap();
    let error = Detector::load(&path).unwrap_err();
    assert!(error.path() == Some(&path) && error.to_string().contains("expected one of"), "{error}");
}

fn sample<'a>(detector: &'a Detector, verdict: &'a crate::Verdict) -> ScorerInput<'a> {
    ScorerInput::new(detector.descriptors(), &verdict.evidence)
}

/// The mean distance of the normals that the scorer was fitted on.
fn usual(detector: &Detector) -> f64 {
    let fit = detector.normals().iter().filter(|normal| normal.part == Part::Fit);
    fit.map(|normal| normal.evidence.0[0]).sum::<f64>() / detector.count_of(Part::Fit) as f64
}
