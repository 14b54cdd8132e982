//! Card numbers under AES-256-GCM, for as long as they are needed once more.

use std::fmt;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use commerce_api_application::ports::{CardCipher, CardNumber, DoesNotOpen, SealedCard};
use commerce_runtime::fill_random;
use sha2::{Digest, Sha256};

/// The form that [`AesCardCipher`] writes: this byte, the name of the key, the nonce, then the sealed number with its tag.
const FORM: u8 = 1;
const NAME_BYTES: usize = 4;
const NONCE_BYTES: usize = 12;
const HEAD_BYTES: usize = 1 + NAME_BYTES;

/// Seals under one key and opens under that and the former ones, so that a key can be replaced while numbers that were
/// sealed under it still wait. A random nonce of 96 bits is good for 2^32 numbers a key.
pub struct AesCardCipher {
    /// The first one seals.
    keys: Vec<NamedKey>,
}

struct NamedKey {
    /// Tells which key a number was sealed under, and nothing of the key.
    name: [u8; NAME_BYTES],
    cipher: Aes256Gcm,
}

impl NamedKey {
    fn new(key: &[u8; 32]) -> Self {
        let digest = Sha256::new().chain_update(b"commerce card vault").chain_update(key).finalize();
        let mut name = [0; NAME_BYTES];
        name.copy_from_slice(&digest[..NAME_BYTES]);
        Self { name, cipher: Aes256Gcm::new(key.into()) }
    }

    fn head(&self) -> [u8; HEAD_BYTES] {
        let mut head = [FORM; HEAD_BYTES];
        head[1..].copy_from_slice(&self.name);
        head
    }
}

impl fmt::Debug for AesCardCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AesCardCipher(keys hidden)")
    }
}

impl AesCardCipher {
    /// Seals under `key`; opens under it and `former`.
    pub fn new(key: &[u8; 32], former: &[[u8; 32]]) -> Self {
        Self { keys: std::iter::once(key).chain(former).map(NamedKey::new).collect() }
    }
}

impl CardCipher for AesCardCipher {
    fn seal(&self, card: &CardNumber) -> SealedCard {
        let mut nonce = [0; NONCE_BYTES];
        fill_random(&mut nonce);
        let key = &self.keys[0];
        let head = key.head();
        let number = Payload { msg: card.expose().as_bytes(), aad: &head };
        // It fails only for texts of many gigabytes; what were sealed then would not open.
        let sealed = key.cipher.encrypt(&Nonce::from(nonce), number).unwrap_or_default();
        SealedCard([&head[..], &nonce, &sealed].concat())
    }

    fn open(&self, sealed: &SealedCard) -> Result<CardNumber, DoesNotOpen> {
        let (head, rest) = sealed.0.split_at_checked(HEAD_BYTES).ok_or(DoesNotOpen)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(DoesNotOpen)?;
        let key = self.keys.iter().find(|key| key.head() == head).ok_or(DoesNotOpen)?;
        let number = Payload { msg: sealed, aad: head };
        let number = key.cipher.decrypt(&Nonce::from(*nonce), number).map_err(|_| DoesNotOpen)?;
        String::from_utf8(number).map(CardNumber::new).map_err(|_| DoesNotOpen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card() -> CardNumber {
        CardNumber::new("1234-5678-9814-1451".to_owned())
    }

    #[test]
    fn what_was_sealed_opens_again_and_looks_different_each_time() {
        let cipher = AesCardCipher::new(&[7; 32], &[]);
        let (one, two) = (cipher.seal(&card()), cipher.seal(&card()));
        assert_ne!(one, two);
        assert_eq!(cipher.open(&one), Ok(card()));
        assert_eq!(cipher.open(&two), Ok(card()));
        for sealed in [one, two] {
            assert!(!String::from_utf8_lossy(&sealed.0).contains("1451"));
        }
    }

    #[test]
    fn another_key_or_a_changed_byte_does_not_open() {
        let cipher = AesCardCipher::new(&[7; 32], &[]);
        let sealed = cipher.seal(&card());
        assert_eq!(AesCardCipher::new(&[8; 32], &[]).open(&sealed), Err(DoesNotOpen));
        for index in 0..sealed.0.len() {
            let mut changed = sealed.clone();
            changed.0[index] ^= 1;
            assert_eq!(cipher.open(&changed), Err(DoesNotOpen), "byte {index}");
            assert_eq!(
                cipher.open(&SealedCard(sealed.0[..index].to_vec())),
                Err(DoesNotOpen),
                "{index} bytes"
            );
        }
    }

    #[test]
    fn a_former_key_opens_and_does_not_seal() {
        let (old, new) = ([7; 32], [8; 32]);
        let sealed = AesCardCipher::new(&old, &[]).seal(&card());
        let rotated = AesCardCipher::new(&new, &[old]);
        assert_eq!(rotated.open(&sealed), Ok(card()));
        let resealed = rotated.seal(&card());
        assert_eq!(AesCardCipher::new(&new, &[]).open(&resealed), Ok(card()));
        assert_eq!(AesCardCipher::new(&old, &[]).open(&resealed), Err(DoesNotOpen));
    }

    #[test]
    fn the_key_is_not_shown() {
        assert_eq!(format!("{:?}", AesCardCipher::new(&[7; 32], &[])), "AesCardCipher(keys hidden)");
    }
}
