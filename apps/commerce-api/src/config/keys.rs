use std::fmt;

use commerce_config::{ConfigError, Secret, secrets};

use super::{Config, Profile};

/// Names in the secrets of a demonstration's data directory.
const FINGERPRINT: &str = "fingerprint_key";
const VAULT: &str = "vault_key";
const WEBHOOK: &str = "webhook_secret";

const HOW_KEY: &str = "make a key with `openssl rand -hex 32`";
const HOW_WEBHOOK: &str = "it is what the gateway shows you for its callbacks, `whsec_` and base64 (or set \
                           `gateway.signature` to false where it signs none)";

/// The keys of one installation.
#[derive(Clone)]
pub struct Keys {
    /// Of the fingerprints of request bodies.
    pub fingerprint: [u8; 32],
    /// Under which card numbers are sealed.
    pub vault: [u8; 32],
    /// Under which they still open.
    pub vault_former: Vec<[u8; 32]>,
    /// Of the signatures of callbacks; each is good. Empty where callbacks are not signed.
    pub webhook: Vec<commerce_webhook::Secret>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(hidden)")
    }
}

impl Keys {
    /// Keys of nobody, for work that needs none.
    pub fn throwaway(mut fresh: impl FnMut() -> [u8; 32]) -> Self {
        Self { fingerprint: fresh(), vault: fresh(), vault_former: Vec::new(), webhook: Vec::new() }
    }
}

impl Config {
    /// The configured keys; in an embedded demonstration those that are not configured come from its data directory, where they
    /// are made of `fresh` at the first start.
    pub fn keys(&self, fresh: impl FnMut() -> [u8; 32]) -> Result<Keys, ConfigError> {
        self.require_own_secrets()?;
        let secrets = &self.secrets;
        let own =
            (key(secrets.fingerprint_key.as_ref()), key(secrets.vault_key.as_ref()), self.webhook_secrets());
        let (fingerprint, vault, webhook) = match own {
            (Some(fingerprint), Some(vault), Some(webhook)) => (fingerprint, vault, webhook),
            (fingerprint, vault, webhook) => {
                let made = secrets::load_or_create(&self.data_dir, [FINGERPRINT, VAULT, WEBHOOK], fresh)?;
                let webhook = webhook.unwrap_or_else(|| vec![commerce_webhook::Secret::new(&made[2])]);
                (fingerprint.unwrap_or(made[0]), vault.unwrap_or(made[1]), webhook)
            }
        };
        let vault_former = key(secrets.vault_key_former.as_ref()).into_iter().collect();
        Ok(Keys { fingerprint, vault, vault_former, webhook })
    }

    /// The configured secrets of callbacks; none of them where callbacks are not signed.
    fn webhook_secrets(&self) -> Option<Vec<commerce_webhook::Secret>> {
        if !self.gateway.signature {
            return Some(Vec::new());
        }
        let texts = self.gateway.webhook_secrets.as_ref()?;
        // Each was checked to be one.
        Some(texts.iter().filter_map(|text| text.expose().parse().ok()).collect())
    }

    /// Refuses a shop that is no demonstration, or runs on servers, and lacks a secret of its own.
    pub fn require_own_secrets(&self) -> Result<(), ConfigError> {
        let because = match (self.why_no_demo(), self.profile) {
            (Some(because), _) => format!("this is no demonstration, because {because}"),
            (None, Profile::Servers) => {
                "every process of the profile servers must have the same one, which none can make for the others"
                    .to_owned()
            }
            (None, Profile::Embedded) => return Ok(()),
        };
        let needed = [
            (self.secrets.fingerprint_key.is_none(), "secrets.fingerprint_key", HOW_KEY),
            (self.secrets.vault_key.is_none(), "secrets.vault_key", HOW_KEY),
            (
                self.gateway.signature && self.gateway.webhook_secrets.is_none(),
                "gateway.webhook_secrets",
                HOW_WEBHOOK,
            ),
        ];
        match needed.into_iter().find(|(missing, ..)| *missing) {
            Some((_, key, how)) => Err(ConfigError::SecretNeeded { key, because, how }),
            None => Ok(()),
        }
    }
}

fn key(secret: Option<&Secret>) -> Option<[u8; 32]> {
    secrets::key_of_hex(secret?.expose())
}
