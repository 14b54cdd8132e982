use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use commerce_api_application::ports::{TokenHash, TokenSource};
use sha2::{Digest, Sha256};

use super::fill_random;

/// Session tokens: 32 random bytes as 43 characters of base64url. What is stored is the SHA-256 of the bytes, which
/// needs no salt: nobody can guess 256 random bits.
#[derive(Debug, Clone, Copy, Default)]
pub struct RandomTokens;

fn hash_of(bytes: &[u8; 32]) -> TokenHash {
    TokenHash(Sha256::digest(bytes).into())
}

impl TokenSource for RandomTokens {
    fn issue(&self) -> (String, TokenHash) {
        let mut bytes = [0; 32];
        fill_random(&mut bytes);
        (URL_SAFE_NO_PAD.encode(bytes), hash_of(&bytes))
    }

    fn hash(&self, token: &str) -> Option<TokenHash> {
        let mut bytes = [0; 32];
        // The length is checked first: a shorter text would decode into a part of the buffer.
        let is_token = token.len() == 43 && URL_SAFE_NO_PAD.decode_slice(token, &mut bytes).ok() == Some(32);
        is_token.then(|| hash_of(&bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_hash() {
        let (token, hash) = RandomTokens.issue();
        let (other, other_hash) = RandomTokens.issue();
        assert_eq!(token.len(), 43);
        assert_ne!((&token, hash), (&other, other_hash));
        assert_eq!(RandomTokens.hash(&token), Some(hash));
        assert_eq!(RandomTokens.hash(&other), Some(other_hash));
    }

    #[test]
    fn the_hash_is_sha_256_of_the_bytes() {
        // The first half of SHA-256 of 32 zero bytes.
        let expected = 0x6668_7aad_f862_bd77_6c8f_c18b_8e9f_8e20_u128.to_be_bytes();
        let TokenHash(hash) = RandomTokens.hash(&"A".repeat(43)).unwrap();
        assert_eq!(hash[..16], expected);
    }

    #[test]
    fn other_texts_are_no_tokens() {
        let token = "A".repeat(43);
        let others = [
            String::new(),
            token[..42].to_owned(),
            format!("{token}A"),
            format!("{token}="),
            format!("{}+", &token[..42]),
            format!("{}/", &token[..42]),
            format!(" {}", &token[..42]),
            // The last character carries only four bits: a second spelling of the same bytes.
            format!("{}B", &token[..42]),
            format!("{}é", &token[..41]),
        ];
        for other in others {
            assert_eq!(RandomTokens.hash(&other), None, "{other:?}");
        }
    }
}
