//! Which images a report shows in full, and which it shows as thumbnails, where it cannot show all.

use std::cmp::Ordering;

use aberra_metrics::calibrate::is_anomalous;

/// What is known of an image before it is shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    pub(super) score: f64,
    /// By its label.
    pub(super) anomalous: bool,
}

/// Chooses at most `most` images, taking in turn the next of three lists: mistakes, the furthest from the threshold first;
/// those nearest the threshold; those with the highest scores. One flag an image.
pub(super) fn in_full(candidates: &[Candidate], threshold: f64, most: usize) -> Vec<bool> {
    let mut chosen = vec![false; candidates.len()];
    ranked(candidates, Some(threshold), most).into_iter().for_each(|index| chosen[index] = true);
    chosen
}

/// The same as numbers, in the order in which they are chosen. Without a threshold there are no mistakes, and none is near it.
pub(super) fn ranked(candidates: &[Candidate], threshold: Option<f64>, most: usize) -> Vec<usize> {
    let distance =
        |index: usize| threshold.map_or(0.0, |threshold| (candidates[index].score - threshold).abs());
    let ordered = |mut list: Vec<usize>, order: &dyn Fn(usize, usize) -> Ordering| {
        list.sort_by(|&a, &b| order(a, b).then(a.cmp(&b)));
        list
    };
    let all = || (0..candidates.len()).collect::<Vec<usize>>();
    let mistaken = |index: &usize| {
        let Candidate { score, anomalous } = candidates[*index];
        threshold.is_some_and(|threshold| is_anomalous(score, threshold) != anomalous)
    };
    let judged = || all().into_iter().filter(|_| threshold.is_some());
    let queues = [
        ordered(judged().filter(mistaken).collect(), &|a, b| distance(b).total_cmp(&distance(a))),
        ordered(judged().collect(), &|a, b| distance(a).total_cmp(&distance(b))),
        ordered(all(), &|a, b| candidates[b].score.total_cmp(&candidates[a].score)),
    ];
    let mut queues = queues.map(Vec::into_iter);
    let mut is_chosen = vec![false; candidates.len()];
    let most = most.min(candidates.len());
    let mut chosen = Vec::with_capacity(most);
    while chosen.len() < most {
        for queue in &mut queues {
            if let (Some(index), true) = (queue.find(|&index| !is_chosen[index]), chosen.len() < most) {
                is_chosen[index] = true;
                chosen.push(index);
            }
        }
    }
    chosen
}

/// Chooses at most `most` images, or as many as there `must` be: those, and others spread evenly over the scores.
pub(super) fn as_thumbnails(candidates: &[Candidate], must: &[bool], most: usize) -> Vec<bool> {
    let mut chosen = must.to_vec();
    let mut others: Vec<usize> = (0..candidates.len()).filter(|&index| !must[index]).collect();
    others.sort_by(|&a, &b| candidates[a].score.total_cmp(&candidates[b].score).then(a.cmp(&b)));
    let places = most.saturating_sub(candidates.len() - others.len()).min(others.len());
    for place in 0..places {
        chosen[others[place * others.len() / places]] = true;
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scores 0 to 99 against a threshold of 50; of those above, every third is normal: a false alarm.
    fn hundred() -> Vec<Candidate> {
        let of = |index: usize| Candidate {
            score: index as f64,
            anomalous: index > 50 && !index.is_multiple_of(3),
        };
        (0..100).map(of).collect()
    }

    fn numbers(chosen: &[bool]) -> Vec<usize> {
        (0..chosen.len()).filter(|&index| chosen[index]).collect()
    }

    #[test]
    fn mistakes_the_nearest_and_the_highest_take_turns() {
        // Mistakes from 99 down by threes; nearest 50, 49, 51; highest 98 after 99.
        assert_eq!(numbers(&in_full(&hundred(), 50.0, 6)), [49, 50, 96, 97, 98, 99]);
    }

    #[test]
    fn without_a_threshold_the_highest_are_chosen() {
        assert_eq!(ranked(&hundred(), None, 3), [99, 98, 97]);
    }

    #[test]
    fn never_more_than_asked_for_and_all_where_there_are_few() {
        for most in [0, 1, 2, 50, 99, 100, 1_000] {
            assert_eq!(numbers(&in_full(&hundred(), 50.0, most)).len(), most.min(100));
        }
        assert_eq!(in_full(&[], 0.0, 300), Vec::<bool>::new());
    }

    #[test]
    fn thumbnails_are_spread_over_the_scores() {
        let must = in_full(&hundred(), 50.0, 10);
        let chosen = as_thumbnails(&hundred(), &must, 28);
        assert_eq!(numbers(&chosen).len(), 28);
        assert!(numbers(&must).iter().all(|&index| chosen[index]));
        assert!(numbers(&chosen).windows(2).all(|pair| pair[1] - pair[0] <= 6), "{:?}", numbers(&chosen));
        assert_eq!(numbers(&as_thumbnails(&hundred(), &must, 3)), numbers(&must));
        assert_eq!(numbers(&as_thumbnails(&hundred(), &must, 1_000)).len(), 100);
    }
}
