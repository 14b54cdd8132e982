use std::fmt;

use commerce_api_application::ports::{Fingerprint, Fingerprinter};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// HMAC-SHA-256 under the installation's key.
#[derive(Clone)]
pub struct HmacFingerprinter {
    keyed: Hmac<Sha256>,
}

impl fmt::Debug for HmacFingerprinter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HmacFingerprinter(key hidden)")
    }
}

impl HmacFingerprinter {
    /// Fingerprints under `key`.
    pub fn new(key: &[u8; 32]) -> Self {
        // HMAC pads a shorter key with zeros to the hash's block of 64 bytes.
        let mut block = [0; 64];
        block[..32].copy_from_slice(key);
        Self { keyed: Hmac::new(&block.into()) }
    }
}

impl Fingerprinter for HmacFingerprinter {
    fn fingerprint(&self, canonical: &[u8]) -> Fingerprint {
        let mut mac = self.keyed.clone();
        mac.update(canonical);
        Fingerprint(mac.finalize().into_bytes().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_hmac_sha_256() {
        // RFC 4231, test case 1: 20 bytes of 0x0b, padded with zeros as HMAC itself does.
        let mut key = [0; 32];
        key[..20].fill(0x0b);
        let expected = [
            0xb034_4c61_d8db_3853_5ca8_afce_af0b_f12b_u128.to_be_bytes(),
            0x881d_c200_c983_3da7_26e9_376c_2e32_cff7_u128.to_be_bytes(),
        ];
        assert_eq!(HmacFingerprinter::new(&key).fingerprint(b"Hi There").0[..], *expected.as_flattened());
    }

    #[test]
    fn key_and_body_both_count_and_the_key_is_not_shown() {
        let one = HmacFingerprinter::new(&[1; 32]);
        let two = HmacFingerprinter::new(&[2; 32]);
        assert_eq!(one.fingerprint(b"a"), one.fingerprint(b"a"));
        assert_ne!(one.fingerprint(b"a"), one.fingerprint(b"b"));
        assert_ne!(one.fingerprint(b"a"), two.fingerprint(b"a"));
        assert_eq!(format!("{one:?}"), "HmacFingerprinter(key hidden)");
    }
}
