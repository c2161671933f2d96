//! Medians and percentiles of measured values. Pure functions.

/// The middle of `values`, or the mean of the middle two. `None` without values.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *sorted.get(sorted.len() / 2 - 1)?;
    Some(f64::midpoint(lower, upper))
}

/// The smallest of `values` that at least `per_mille` in 1,000 do not exceed (nearest rank). Sorts in place.
pub(crate) fn percentile(values: &mut [u64], per_mille: usize) -> Option<u64> {
    values.sort_unstable();
    let rank = (values.len() * per_mille).div_ceil(1000).max(1);
    values.get(rank - 1).copied()
}

/// The median of `ours / theirs`, pair by pair; a pair with a side missing is left out.
///
/// Both sides of a pair ran within seconds of each other, so a machine that slows down for a while
/// moves both.
pub(crate) fn median_ratio(ours: &[Option<f64>], theirs: &[Option<f64>]) -> Option<f64> {
    let ratios: Vec<f64> =
        ours.iter().zip(theirs).filter_map(|(ours, theirs)| Some((*ours)? / (*theirs)?)).collect();
    median(&ratios)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_odd_count_is_the_middle_value() {
        assert_eq!(median(&[9.0, 1.0, 5.0]), Some(5.0));
    }

    #[test]
    fn the_median_of_an_even_count_is_the_mean_of_the_middle_two() {
        assert_eq!(median(&[4.0, 1.0, 3.0, 100.0]), Some(3.5));
    }

    #[test]
    fn nothing_has_no_median_and_no_percentile() {
        assert_eq!(median(&[]), None);
        assert_eq!(percentile(&mut [], 500), None);
    }

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let mut values: Vec<u64> = (1..=200).rev().collect();
        assert_eq!(percentile(&mut values, 500), Some(100));
        assert_eq!(percentile(&mut values, 990), Some(198));
        assert_eq!(percentile(&mut values, 1000), Some(200));
        assert_eq!(percentile(&mut [7], 10), Some(7));
    }

    #[test]
    fn ratios_are_taken_pair_by_pair() {
        let ours = [Some(10.0), Some(30.0), None, Some(8.0)];
        let theirs = [Some(5.0), Some(10.0), Some(1.0), Some(2.0)];
        assert_eq!(median_ratio(&ours, &theirs), Some(3.0));
        assert_eq!(median_ratio(&[None], &[Some(1.0)]), None);
    }
}
