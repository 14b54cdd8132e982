/// Which of `partitions` takes the records of `key`: FNV-1a, 32 bit, modulo their number. Another bus may share keys out
/// otherwise; nothing may rest on which partition it is, only on a key having one.
pub fn partition_of(key: &str, partitions: i32) -> i32 {
    let hash =
        key.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let count = u32::try_from(partitions).unwrap_or(1).max(1);
    i32::try_from(hash % count).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_partition_and_keys_are_spread() {
        let mut counts = [0; 3];
        for key in 0..3_000 {
            let partition = partition_of(&key.to_string(), 3);
            assert_eq!(partition, partition_of(&key.to_string(), 3));
            counts[usize::try_from(partition).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (900..1_100).contains(count)), "{counts:?}");
        // Published vectors of the function: 0xe40c292c and 0xbf9cf968.
        assert_eq!(partition_of("a", 1_000), 3_826_002_220_u32.rem_euclid(1_000).cast_signed());
        assert_eq!(partition_of("foobar", 1_000), 3_214_735_720_u32.rem_euclid(1_000).cast_signed());
        assert_eq!((partition_of("a", 1), partition_of("a", 0)), (0, 0));
    }
}
