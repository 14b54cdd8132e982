use std::process::ExitCode;

use commerce_api_application::SignUp;

use crate::cli::{CreateUser, Global};
use crate::console;
use crate::failure::Failure;
use crate::setup;

/// Makes an account of any role.
pub async fn create(global: &Global, options: &CreateUser) -> Result<ExitCode, Failure> {
    let config = setup::for_operator(global)?;
    let password = setup::password_from_stdin()?;
    let platform = setup::open(&config).await?;
    let sign_up = SignUp {
        login_id: options.login_id.clone(),
        email: options.email.clone(),
        password,
        birth_date: None,
        gender: None,
    };
    let made = platform.accounts.create_user(sign_up, options.role).await;
    platform.database.close().await;
    let profile = made?;
    console::line(&format!("{} {} is user {}.", options.role.name(), options.login_id, profile.id));
    Ok(ExitCode::SUCCESS)
}
