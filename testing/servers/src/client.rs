use crate::process::run;
use crate::{Cache, Server, ServerError, ServerKind};

impl Server {
    /// Has `MySQL`'s or `MariaDB`'s own client run statements as root, whom a server that was started here asks for no
    /// password.
    pub async fn run_sql(&self, cache: &Cache, statements: &str) -> Result<String, ServerError> {
        let kind = self.kind();
        let mut command = match kind {
            ServerKind::MySql => {
                let programs =
                    cache.programs("mysql", "sid", &["mysql-server-core", "mysql-client-core"]).await?;
                programs.command("usr/bin/mysql")
            }
            _ => return Err(ServerError::NotOurs { kind }),
        };
        let (host, port) = self.address().rsplit_once(':').unwrap_or((self.address(), "3306"));
        command.args(["--no-defaults", "--protocol=tcp", "--user=root", "--host", host, "--port", port]);
        run(command.args(["--batch", "--execute", statements])).await
    }
}
