//! Which crate may depend on what, and what the interfaces may name.

use std::collections::BTreeSet;

use crate::workspace::is_below;
use crate::{Crate, Finding, Kind, Source};

/// What a crate must not reach, through its own normal dependencies and those of the members it depends on.
struct Rule {
    name: &'static str,
    forbidden: &'static [&'static str],
    /// The only members it may reach; `None` where the list above says it all.
    members: Option<&'static [&'static str]>,
}

/// What a domain must not reach: it decides, and does nothing.
const IMPURE: &[&str] = &[
    "tokio",
    "async-trait",
    "futures",
    "axum",
    "hyper",
    "sea-orm",
    "sqlx",
    "serde_json",
    "getrandom",
    "rand",
    "metrics",
    "tracing",
];

const RULES: &[Rule] = &[
    Rule { name: "commerce-api-domain", forbidden: IMPURE, members: Some(&[]) },
    Rule { name: "commerce-collector-domain", forbidden: IMPURE, members: Some(&[]) },
    // The two sides share nothing but events and boards. Its process, an optional feature, knows the shop (`SHOP`).
    Rule {
        name: "commerce-collector",
        forbidden: &[],
        members: Some(&[
            "commerce-batch",
            "commerce-boards",
            "commerce-bus",
            "commerce-collector-domain",
            "commerce-config",
            "commerce-contracts",
            "commerce-database",
            "commerce-http",
            "commerce-process",
            "commerce-redis",
            "commerce-resilience",
            "commerce-runtime",
            "commerce-telemetry",
        ]),
    },
    Rule {
        name: "commerce-batch",
        forbidden: &["axum", "hyper"],
        members: Some(&["commerce-database", "commerce-runtime"]),
    },
    Rule {
        name: "commerce-boards",
        forbidden: &["axum", "hyper"],
        members: Some(&["commerce-database", "commerce-redis", "commerce-resilience", "commerce-runtime"]),
    },
    Rule {
        name: "commerce-api-application",
        forbidden: &["axum", "hyper", "tower", "sea-orm", "sqlx", "getrandom", "rand", "moka"],
        members: Some(&["commerce-api-domain", "commerce-contracts"]),
    },
    Rule {
        name: "commerce-api-infrastructure",
        forbidden: &["axum", "hyper", "commerce-http", "commerce-api"],
        members: None,
    },
    // It stands for the outside world, so it must not know the shop.
    Rule {
        name: "pg-simulator",
        forbidden: &[],
        members: Some(&[
            "commerce-contracts",
            "commerce-database",
            "commerce-http",
            "commerce-resilience",
            "commerce-runtime",
            "commerce-telemetry",
            "commerce-webhook",
        ]),
    },
    // The layers around a call know neither who calls nor what.
    Rule {
        name: "commerce-resilience",
        forbidden: &["axum", "hyper", "reqwest", "sea-orm", "sqlx"],
        members: Some(&["commerce-runtime"]),
    },
    Rule {
        name: "commerce-redis",
        forbidden: &["axum", "hyper", "sea-orm", "sqlx"],
        members: Some(&["commerce-resilience", "commerce-runtime"]),
    },
    Rule {
        name: "commerce-webhook",
        forbidden: &["tokio", "axum", "hyper", "reqwest", "getrandom", "rand", "chrono"],
        members: Some(&[]),
    },
];

/// The `OpenAPI` generator describes HTTP; only these may know it.
const UTOIPA_USERS: &[&str] = &["apps/commerce-api", "apps/commerce-collector", "supports/http"];

/// What a controller must not name: it parses, calls a facade and maps the result.
const FORBIDDEN_IN_INTERFACES: &[&str] =
    &["sea_orm", "sqlx", "commerce_database", "commerce_api_infrastructure", "infrastructure"];

/// Folders that name no driver and no adapter; where the application is a crate of its own, its manifest says so.
const WITHOUT_DRIVERS: &[&str] = &[
    "apps/commerce-api/src/interfaces",
    "apps/commerce-collector/src/interfaces",
    "apps/commerce-collector/src/application",
];

/// What the collector must not know, but for the one file that makes a process of it: that shares configuration and
/// sessions with the shop's processes.
const SHOP: (&str, &str) = ("commerce-api", "commerce_api");
const COLLECTOR: &str = "commerce-collector";
const COLLECTOR_SOURCES: &str = "apps/commerce-collector/src";
const COLLECTOR_PROCESS: &str = "apps/commerce-collector/src/process.rs";

/// Reports every forbidden edge between crates.
pub fn check_crates(crates: &[Crate]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in crates {
        let reached = reach(crates, member);
        let rule = RULES.iter().find(|rule| rule.name == member.name);
        for edge in &reached {
            if let Some(reason) =
                rule.and_then(|rule| broken(rule, edge)).or_else(|| broken_by_folder(member, edge))
            {
                findings.push(Finding::new(&member.name, format!("{}: {reason}", edge.path)));
            }
        }
        findings.extend(check_own(member));
    }
    findings
}

/// Reports interface code that names a driver or an adapter, and code of the collector that names the shop.
pub fn check_interfaces(sources: &[Source]) -> Vec<Finding> {
    let interfaces = sources.iter().filter(|s| WITHOUT_DRIVERS.iter().any(|dir| is_below(&s.path, dir)));
    let mut findings = Vec::new();
    for source in interfaces {
        for token in &source.tokens {
            if let Some(name) = token.ident().filter(|name| FORBIDDEN_IN_INTERFACES.contains(name)) {
                let message = format!("interfaces must not name `{name}`; call a facade of the application");
                findings.push(Finding::at(&source.path, token.line, message));
            }
        }
    }
    let collector =
        sources.iter().filter(|s| is_below(&s.path, COLLECTOR_SOURCES) && s.path != COLLECTOR_PROCESS);
    for source in collector {
        let named = source.tokens.iter().filter(|token| token.ident() == Some(SHOP.1));
        findings.extend(named.map(|token| {
            let message = format!("only {COLLECTOR_PROCESS} may name the shop");
            Finding::at(&source.path, token.line, message)
        }));
    }
    findings
}

/// A dependency reached from a member, with the way to it.
struct Edge {
    name: String,
    path: String,
    /// The folder, if it is a member.
    dir: Option<String>,
}

/// Everything declared by the member and by the members it reaches. What an outside crate needs for itself is
/// its own affair.
fn reach(crates: &[Crate], from: &Crate) -> Vec<Edge> {
    let mut edges = Vec::new();
    let mut seen = BTreeSet::new();
    let mut open = vec![(from, from.name.clone())];
    while let Some((member, path)) = open.pop() {
        for dependency in member.dependencies.iter().filter(|d| d.kind != Kind::Dev) {
            let of_the_process = member.name == COLLECTOR && dependency.name == SHOP.0 && dependency.optional;
            if of_the_process || !seen.insert(dependency.name.clone()) {
                continue;
            }
            let path = format!("{path} -> {}", dependency.name);
            let next = crates.iter().find(|c| !dependency.external && c.name == dependency.name);
            let dir = next.map(|c| c.dir.clone());
            edges.push(Edge { name: dependency.name.clone(), path: path.clone(), dir });
            open.extend(next.map(|c| (c, path)));
        }
    }
    edges
}

fn broken(rule: &Rule, edge: &Edge) -> Option<String> {
    if rule.forbidden.contains(&edge.name.as_str()) {
        return Some("forbidden in this layer".into());
    }
    let members = rule.members?;
    let stranger = edge.dir.is_some() && !members.contains(&edge.name.as_str());
    stranger.then(|| format!("of the workspace it may only depend on {members:?}"))
}

fn broken_by_folder(member: &Crate, edge: &Edge) -> Option<String> {
    let plumbing = is_below(&member.dir, "modules") || is_below(&member.dir, "supports");
    let app = edge.dir.as_deref().is_some_and(|dir| is_below(dir, "apps"));
    (plumbing && app).then(|| "modules and supports must not know an app".into())
}

fn check_own(member: &Crate) -> Vec<Finding> {
    let mut findings = Vec::new();
    for dependency in &member.dependencies {
        let utoipa = dependency.name == "utoipa" || dependency.name.starts_with("utoipa-");
        if utoipa && !UTOIPA_USERS.contains(&member.dir.as_str()) {
            let message = format!("{} is for {UTOIPA_USERS:?} only", dependency.name);
            findings.push(Finding::new(&member.name, message));
        }
        let clock =
            dependency.default_features || dependency.features.iter().any(|f| f == "clock" || f == "now");
        let domain = member.dir.ends_with("/domain") && dependency.kind != Kind::Dev;
        if domain && dependency.name == "chrono" && clock {
            let message = "chrono with its clock: time comes into the domain as an argument";
            findings.push(Finding::new(&member.name, message));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::samples::{dependency, member};

    fn messages(crates: &[Crate]) -> Vec<String> {
        check_crates(crates).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_driver_in_the_domain_is_reported() {
        for driver in [
            "tokio",
            "async-trait",
            "axum",
            "sea-orm",
            "sqlx",
            "serde_json",
            "getrandom",
            "metrics",
            "tracing",
        ] {
            let found =
                messages(&[member("commerce-api-domain", "apps/commerce-api/domain", &["uuid", driver])]);
            assert_eq!(found.len(), 1, "{driver}: {found:?}");
            assert!(found[0].contains(driver), "{found:?}");
        }
    }

    #[test]
    fn a_member_in_the_domain_is_reported() {
        let contracts = member("commerce-contracts", "modules/contracts", &[]);
        let domain = member("commerce-api-domain", "apps/commerce-api/domain", &["commerce-contracts"]);
        assert_eq!(messages(&[contracts, domain]).len(), 1);
    }

    #[test]
    fn chrono_is_for_the_domain_only_without_its_clock() {
        let mut domain = member("commerce-api-domain", "apps/commerce-api/domain", &["chrono"]);
        assert!(messages(std::slice::from_ref(&domain)).is_empty());
        domain.dependencies[0].features = vec!["clock".into()];
        assert_eq!(messages(std::slice::from_ref(&domain)).len(), 1);
        domain.dependencies[0] = dependency("chrono", true);
        domain.dependencies[0].default_features = true;
        assert_eq!(messages(&[domain]).len(), 1);
    }

    #[test]
    fn the_application_is_reported_for_a_driver_behind_a_member() {
        let contracts = member("commerce-contracts", "modules/contracts", &["sqlx"]);
        let application =
            member("commerce-api-application", "apps/commerce-api/application", &["commerce-contracts"]);
        let found = messages(&[contracts, application]);
        assert_eq!(
            found,
            [
                "commerce-api-application: commerce-api-application -> commerce-contracts -> sqlx: forbidden in this layer"
            ]
        );
    }

    #[test]
    fn the_application_is_reported_for_a_member_that_it_may_not_know() {
        let database = member("commerce-database", "modules/database", &[]);
        let application =
            member("commerce-api-application", "apps/commerce-api/application", &["commerce-database"]);
        assert_eq!(messages(&[database, application]).len(), 1);
    }

    #[test]
    fn the_infrastructure_is_reported_for_http() {
        for http in ["axum", "hyper", "commerce-http", "commerce-api"] {
            let infrastructure =
                member("commerce-api-infrastructure", "apps/commerce-api/infrastructure", &[http]);
            assert_eq!(messages(&[infrastructure]).len(), 1, "{http}");
        }
    }

    #[test]
    fn a_simulator_that_knows_the_shop_is_reported() {
        let shop = member("commerce-api", "apps/commerce-api", &[]);
        let simulator = member("pg-simulator", "apps/pg-simulator", &["commerce-api"]);
        assert_eq!(messages(&[shop, simulator]).len(), 1);
    }

    #[test]
    fn a_collector_that_knows_the_shop_is_reported_but_for_its_process() {
        let shop = member("commerce-api", "apps/commerce-api", &[]);
        let mut collector = member(COLLECTOR, "apps/commerce-collector", &["commerce-api"]);
        assert_eq!(messages(&[shop.clone(), collector.clone()]).len(), 1);
        collector.dependencies[0].optional = true;
        assert!(messages(&[shop, collector]).is_empty());

        let text = "use commerce_api::config::Config;\n";
        let process = Source::parse(COLLECTOR_PROCESS, text).unwrap();
        let inside = Source::parse("apps/commerce-collector/src/running.rs", text).unwrap();
        let found = check_interfaces(&[process, inside]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].place, "apps/commerce-collector/src/running.rs:1");
    }

    #[test]
    fn plumbing_that_knows_an_app_is_reported() {
        let app = member("commerce-api", "apps/commerce-api", &[]);
        for dir in ["modules/database", "supports/http"] {
            let plumbing = member("commerce-x", dir, &["commerce-api"]);
            assert_eq!(messages(&[app.clone(), plumbing]).len(), 1, "{dir}");
        }
    }

    #[test]
    fn utoipa_outside_the_http_side_is_reported() {
        let allowed = member("commerce-api", "apps/commerce-api", &["utoipa", "utoipa-axum"]);
        let stranger = member("commerce-contracts", "modules/contracts", &["utoipa"]);
        assert_eq!(messages(&[allowed, stranger]).len(), 1);
    }

    #[test]
    fn a_dev_dependency_is_no_edge() {
        let mut domain = member("commerce-api-domain", "apps/commerce-api/domain", &["tokio"]);
        domain.dependencies[0].kind = Kind::Dev;
        assert!(messages(&[domain]).is_empty());
    }

    #[test]
    fn an_interface_that_names_a_driver_is_reported_even_in_a_macro() {
        let text = "use axum::Router;\nfn f() {\n    run!(commerce_database::Database);\n}\n";
        let inside = Source::parse("apps/commerce-api/src/interfaces/orders.rs", text).unwrap();
        let outside = Source::parse("apps/commerce-api/src/wiring.rs", text).unwrap();
        let found = check_interfaces(&[inside, outside]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].place, "apps/commerce-api/src/interfaces/orders.rs:3");
    }
}
