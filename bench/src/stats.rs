//! The little statistics that a noisy machine needs: medians and how far the rounds lie apart.

/// The median; the mean of the middle two for an even count. `None` of nothing.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(*sorted.get(middle - 1)?, upper))
}

/// The distance of the extremes as a share of the median, in percent.
pub(crate) fn spread_percent(values: &[f64]) -> Option<f64> {
    let middle = median(values).filter(|middle| *middle != 0.0)?;
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    Some((high - low) / middle * 100.0)
}

/// The median of the ratios of each round. Rounds of a pair ran next to each other, so drift of the machine cancels.
pub(crate) fn paired_ratio(over: &[f64], under: &[f64]) -> Option<f64> {
    let ratios: Vec<f64> =
        over.iter().zip(under).filter(|(_, under)| **under > 0.0).map(|(over, under)| over / under).collect();
    median(&ratios)
}

/// The value below which `share` (0 to 1) of the sorted values lie.
pub(crate) fn percentile(sorted: &[u64], share: f64) -> u64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index within the slice")]
    let index = (sorted.len() as f64 * share) as usize;
    sorted.get(index.min(sorted.len().saturating_sub(1))).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_odd_even_and_none() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn spread_is_relative_to_the_median() {
        assert_eq!(spread_percent(&[9.0, 10.0, 12.0]), Some(30.0));
        assert_eq!(spread_percent(&[]), None);
        assert_eq!(spread_percent(&[0.0]), None);
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        // The machine was twice as slow in the last round: the ratio of each pair still holds.
        assert_eq!(paired_ratio(&[5.0, 5.0, 10.0], &[10.0, 10.0, 20.0]), Some(0.5));
        assert_eq!(paired_ratio(&[5.0], &[0.0]), None);
    }

    #[test]
    fn percentiles_stay_within_the_values() {
        let values: Vec<u64> = (1..=100).collect();
        assert_eq!(percentile(&values, 0.5), 51);
        assert_eq!(percentile(&values, 1.0), 100);
        assert_eq!(percentile(&[], 0.99), 0);
    }
}
