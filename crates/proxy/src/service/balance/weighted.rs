//! Turns and draws by weight.

/// Longest sequence of turns; weights that would need a longer one are scaled down, but never to 0.
const MAX_SEQUENCE: u64 = 4_096;

/// One round of turns: each target as often as its weight says, spread as evenly as nginx's smooth weighted round-robin
/// does. At every step each target gains its weight, the richest has the turn and pays the sum of all weights.
pub(super) fn smooth_sequence(weights: &[u32]) -> Box<[u32]> {
    let weights = reduced(weights);
    let sum: i64 = weights.iter().sum();
    if weights.iter().all(|weight| *weight <= 1) {
        // The same result without the quadratic work, for the most common case.
        let turns = weights.iter().zip(0..).filter(|(weight, _)| **weight == 1);
        return turns.map(|(_, target)| target).collect();
    }
    let mut credits = vec![0i64; weights.len()];
    let mut turns = Vec::new();
    for _ in 0..sum {
        let mut richest: Option<(u32, i64)> = None;
        for ((credit, weight), target) in credits.iter_mut().zip(&weights).zip(0..) {
            *credit += weight;
            if *weight > 0 && richest.is_none_or(|(_, most)| *credit > most) {
                richest = Some((target, *credit));
            }
        }
        let Some((target, _)) = richest else { break };
        if let Some(credit) = credits.get_mut(target as usize) {
            *credit -= sum;
        }
        turns.push(target);
    }
    turns.into()
}

/// The smallest whole weights with the same ratios, or nearly so if their sum would be too large.
fn reduced(weights: &[u32]) -> Vec<i64> {
    let divisor = u64::from(weights.iter().copied().fold(0, gcd).max(1));
    let sum: u64 = weights.iter().map(|weight| u64::from(*weight) / divisor).sum();
    let scale = |weight: u64| match (weight, sum) {
        (0, _) => 0,
        (weight, sum) if sum <= MAX_SEQUENCE => weight,
        // At most 2^32 targets of 2^32 each: the product fits in 128 bits.
        (weight, sum) => {
            let rounded = (u128::from(weight) * u128::from(MAX_SEQUENCE) + u128::from(sum / 2)) / u128::from(sum);
            u64::try_from(rounded).unwrap_or(MAX_SEQUENCE).max(1)
        }
    };
    weights.iter().map(|weight| i64::try_from(scale(u64::from(*weight) / divisor)).unwrap_or(1)).collect()
}

fn gcd(one: u32, other: u32) -> u32 {
    if other == 0 { one } else { gcd(other, one % other) }
}

/// Draws targets at random by weight.
#[derive(Debug)]
pub(super) struct Sampler {
    /// The sum of the weights up to and with each target.
    sums: Box<[u64]>,
}

impl Sampler {
    pub(super) fn new(weights: &[u32]) -> Self {
        let mut sum = 0;
        let sums = weights.iter().map(|weight| {
            sum += u64::from(*weight);
            sum
        });
        Sampler { sums: sums.collect() }
    }

    /// `None` if there are no targets.
    pub(super) fn draw(&self) -> Option<usize> {
        let total = *self.sums.last()?;
        if total == 0 {
            return None;
        }
        let point = fastrand::u64(..total);
        Some(self.sums.partition_point(|sum| *sum <= point))
    }
}
