//! Consistent hashing by Maglev's table (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer",
//! NSDI 2016, §3.4).
//!
//! Each target has its own permutation of the table's places, which follows from its address alone. In rounds, each takes
//! its next free place, heavier ones more often. The table is therefore the same whatever the order of the targets, and
//! taking one away leaves most places as they were.

/// Sizes of tables, all prime, and up to how many targets each serves. With 100 places per target, shares differ by about
/// one percent; past 655 targets the table grows no further, for the sake of memory, until it must. The steps are far
/// apart because to go from one to the next moves nearly every key.
const SIZES: [(usize, usize); 3] = [(40, 4_099), (32_768, 65_537), (usize::MAX, 1_048_583)];
/// How many places are looked at for a usable target before all targets are ranked instead.
const PROBES: usize = 32;

/// The table.
#[derive(Debug)]
pub(super) struct Maglev {
    places: Box<[u32]>,
    /// The hash of each target's address.
    seeds: Box<[u64]>,
}

/// A stable hash of 64 bits, the same on every instance and in every version: FNV-1a, then MurmurHash3's finalizer, since
/// FNV alone mixes its high bits poorly. It is not meant to resist an attacker who looks for collisions; all such a one
/// could do is to choose which target serves him.
#[must_use]
pub fn hash(bytes: &[u8]) -> u64 {
    let fnv = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
    mix(bytes.iter().fold(0xCBF2_9CE4_8422_2325, fnv))
}

/// The finalizer of MurmurHash3, a bijection in which each bit depends on all.
fn mix(mut hash: u64) -> u64 {
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    hash ^ hash >> 33
}

/// A target that fills its share of places.
struct Filler {
    target: u32,
    weight: f64,
    /// The next place of its permutation, and how far the one after is.
    next: usize,
    skip: usize,
    /// Places it may take by now, relative to the heaviest's.
    credit: f64,
}

impl Maglev {
    pub(super) fn new(addresses: &[&str], weights: &[u32]) -> Self {
        let seeds: Box<[u64]> = addresses.iter().map(|address| hash(address.as_bytes())).collect();
        let size = table_size(addresses.len());
        let mut order: Vec<(&str, u32)> = addresses.iter().copied().zip(0..).collect();
        order.sort_unstable();
        let heaviest = f64::from(weights.iter().copied().max().unwrap_or(1).max(1));
        let filler = |(_, target): (&str, u32)| {
            let seed = *seeds.get(target as usize)?;
            let weight = f64::from(*weights.get(target as usize).filter(|weight| **weight > 0)?) / heaviest;
            let next = remainder(mix(seed ^ 0x9E37_79B9_7F4A_7C15), size);
            let skip = remainder(mix(seed ^ 0xD1B5_4A32_D192_ED03), size - 1) + 1;
            Some(Filler { target, weight, next, skip, credit: 0.0 })
        };
        let fillers: Vec<Filler> = order.into_iter().filter_map(filler).collect();
        Maglev { places: fill(size, fillers), seeds }
    }

    /// The target of a key. When it may not be used, its neighbours in the table follow, which are random ones: the load
    /// of a target that fails spreads over all others.
    pub(super) fn pick(&self, key: u64, allowed: &dyn Fn(usize) -> bool) -> Option<usize> {
        if self.places.is_empty() {
            return None;
        }
        let start = remainder(mix(key), self.places.len());
        let (before, from) = self.places.split_at_checked(start)?;
        let near = from.iter().chain(before).take(PROBES).map(|target| *target as usize);
        // With few usable ones left, each key ranks them all by a hash of both (rendezvous hashing).
        near.into_iter().find(|target| allowed(*target)).or_else(|| {
            let usable = self.seeds.iter().enumerate().filter(|(target, _)| allowed(*target));
            usable.max_by_key(|(_, seed)| mix(*seed ^ key)).map(|(target, _)| target)
        })
    }
}

/// Fills the table in rounds, until no place is free.
fn fill(size: usize, mut fillers: Vec<Filler>) -> Box<[u32]> {
    const FREE: u32 = u32::MAX;
    if fillers.is_empty() {
        return Box::default();
    }
    let mut places = vec![FREE; size];
    let mut free = size;
    loop {
        for filler in &mut fillers {
            filler.credit += filler.weight;
            if filler.credit < 1.0 {
                continue;
            }
            filler.credit -= 1.0;
            // The size is prime, so that the permutation meets every place.
            while let Some(place) = places.get_mut(filler.next) {
                filler.next = (filler.next + filler.skip) % size;
                if *place == FREE {
                    *place = filler.target;
                    break;
                }
            }
            free -= 1;
            if free == 0 {
                return places.into();
            }
        }
    }
}

fn table_size(targets: usize) -> usize {
    SIZES.into_iter().find(|(most, _)| targets <= *most).map_or(1, |(_, size)| size)
}

/// The remainder of a hash, as an index.
fn remainder(hash: u64, size: usize) -> usize {
    usize::try_from(hash % (size as u64).max(1)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_prime_and_large_enough() {
        for (most, size) in SIZES {
            let divisors = (2..).take_while(|divisor| divisor * divisor <= size);
            assert!(divisors.into_iter().all(|divisor| size % divisor != 0), "{size}");
            assert!(most > 40 || size >= most * 100);
        }
    }
}
