//! A perfect hash: each of the known keys has a place of its own, so that a lookup reads one place and no other.
//!
//! Hash and displace (Belazzougui, Botelho and Dietzfelbinger, 2009): keys fall into buckets of four on average, and each
//! bucket has a number, the displacement, with which the hashes of all its keys lead to free places. The displacements
//! are all that is kept, half a byte for each key, and stay in the nearest cache for thousands of keys.

use super::path_tree::{to_u32, to_usize};

const KEYS_PER_BUCKET: usize = 4;

/// Where keys have their places.
#[derive(Debug)]
pub(super) struct Perfect {
    displacements: Vec<u16>,
    places: u32,
}

impl Perfect {
    /// Finds places for keys; `None` for the few that get none: those with the key of another.
    pub(super) fn build(keys: &[u64]) -> (Self, Vec<Option<u32>>) {
        // A fifth of the places stays free, which makes the last buckets quick to place.
        let places = keys.len() + keys.len() / 4 + 1;
        let count = keys.len() / KEYS_PER_BUCKET + 1;
        let mut perfect = Perfect { displacements: vec![0; count], places: to_u32(places) };
        let mut buckets: Vec<(usize, Vec<usize>)> = (0..count).map(|bucket| (bucket, Vec::new())).collect();
        for (nth, key) in keys.iter().enumerate() {
            if let Some((_, bucket)) = buckets.get_mut(perfect.bucket(*key)) {
                bucket.push(nth);
            }
        }
        buckets.sort_by_key(|(_, members)| std::cmp::Reverse(members.len()));
        let mut taken = vec![false; places];
        let mut found = vec![None; keys.len()];
        for (bucket, members) in buckets {
            let member_keys: Vec<u64> = members.iter().filter_map(|nth| keys.get(*nth).copied()).collect();
            let Some(displacement) = perfect.displace(&member_keys, &mut taken) else { continue };
            if let Some(place) = perfect.displacements.get_mut(bucket) {
                *place = displacement;
            }
            for (nth, key) in members.into_iter().zip(member_keys) {
                if let Some(place) = found.get_mut(nth) {
                    *place = Some(perfect.displaced(key, displacement));
                }
            }
        }
        (perfect, found)
    }

    /// How many places there are.
    pub(super) fn places(&self) -> u32 {
        self.places
    }

    /// Bytes this takes.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.displacements.capacity() * size_of::<u16>()
    }

    /// The place of a key; that of another for a key that is not known.
    pub(super) fn place(&self, key: u64) -> u32 {
        self.displaced(key, self.displacements.get(self.bucket(key)).copied().unwrap_or(0))
    }

    /// A displacement with which all keys of a bucket come to free places, which are then taken.
    fn displace(&self, keys: &[u64], taken: &mut [bool]) -> Option<u16> {
        let mut tried: Vec<usize> = Vec::with_capacity(keys.len());
        for displacement in 0..=u16::MAX {
            tried.clear();
            for key in keys {
                let place = to_usize(self.displaced(*key, displacement));
                match taken.get_mut(place) {
                    Some(taken) if !*taken => *taken = true,
                    _ => break,
                }
                tried.push(place);
            }
            if tried.len() == keys.len() {
                return Some(displacement);
            }
            for place in &tried {
                if let Some(taken) = taken.get_mut(*place) {
                    *taken = false;
                }
            }
        }
        None
    }

    fn bucket(&self, key: u64) -> usize {
        to_usize(scale(key, to_u32(self.displacements.len())))
    }

    fn displaced(&self, key: u64, displacement: u16) -> u32 {
        scale(mix(key ^ u64::from(displacement).wrapping_mul(0xD6E8_FEB8_6659_FD93)), self.places)
    }
}

/// Mixes all bits into all bits.
pub(super) fn mix(key: u64) -> u64 {
    let (low, high) = key.carrying_mul(0x9E37_79B9_7F4A_7C15, 0);
    low ^ high
}

/// Brings the high half of a hash under a limit.
fn scale(hash: u64, limit: u32) -> u32 {
    u32::try_from(((hash >> 32) * u64::from(limit)) >> 32).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_place() {
        for count in [0, 1, 2, 9, 1_000, 50_000] {
            let keys: Vec<u64> = (0..count).map(|nth: u64| mix(mix(nth ^ 0x1234_5678_9ABC_DEF0))).collect();
            let (perfect, places) = Perfect::build(&keys);
            let mut seen = vec![false; to_usize(perfect.places())];
            for (key, place) in keys.iter().zip(places) {
                let place = place.expect("no two keys are the same");
                assert_eq!(perfect.place(*key), place);
                assert!(!std::mem::replace(&mut seen[to_usize(place)], true), "{place} is taken twice");
            }
        }
    }

    #[test]
    fn the_same_key_twice_has_no_place() {
        let (_, places) = Perfect::build(&[7, 7]);
        assert!(places.contains(&None));
    }
}
