use std::process::ExitCode;

use commerce_api::config::Profile;
use commerce_api_application::SignUp;
use commerce_api_application::ports::AuditEntry;
use serde_json::json;

use crate::cli::{CreateUser, Global};
use crate::console;
use crate::data_dir;
use crate::failure::Failure;
use crate::mode;
use crate::setup;

/// Makes an account of any role.
pub async fn create(global: &Global, options: &CreateUser) -> Result<ExitCode, Failure> {
    let config = setup::for_operator(global)?.api;
    // Whoever forgets the configuration of a shop is told before an account is made with other settings.
    if config.profile == Profile::Embedded {
        data_dir::refuse_file(&config.data_dir)?;
        mode::require(&config)?;
    }
    let password = setup::password_from_stdin()?;
    let platform = setup::open(&config).await?;
    let sign_up = SignUp {
        login_id: options.login_id.clone(),
        email: options.email.clone(),
        password,
        birth_date: None,
        gender: None,
    };
    let audit = AuditEntry {
        id: platform.ids.uuid(),
        actor: "cli".to_owned(),
        action: "USER_CREATED",
        target: format!("user:{}", options.login_id.to_lowercase()),
        detail: json!({ "role": options.role.name() }).to_string(),
        at: platform.clock.now(),
    };
    let made = platform.accounts.create_user(sign_up, options.role, Some(audit)).await;
    platform.database.close().await;
    let profile = made?;
    console::line(&format!("{} {} is user {}.", options.role.name(), options.login_id, profile.id));
    Ok(ExitCode::SUCCESS)
}
