//! Reads Prometheus' text form back, for the actuator's `metrics` endpoint.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

/// One metric with all its series.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Family {
    name: String,
    kind: String,
    help: Option<String>,
    samples: Vec<Sample>,
}

#[derive(Debug, PartialEq)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// The metrics of a text, by name. Lines that are none are passed over.
pub(crate) fn parse(text: &str) -> BTreeMap<String, Family> {
    let mut families = BTreeMap::<String, Family>::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            family(&mut families, name).help = Some(help.replace("\\n", "\n").replace("\\\\", "\\"));
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            kind.clone_into(&mut family(&mut families, name).kind);
            name.clone_into(&mut current);
        } else if let Some(sample) = sample(line)
            && let Some(family) = families.get_mut(&current)
        {
            family.samples.push(sample);
        }
    }
    families
}

/// The family of a name as Prometheus or Micrometer (`http.server.requests`) writes it.
pub(crate) fn find<'a>(families: &'a BTreeMap<String, Family>, name: &str) -> Option<&'a Family> {
    let plain = name.replace('.', "_");
    ["", "_seconds", "_bytes", "_total"].iter().find_map(|suffix| families.get(&format!("{plain}{suffix}")))
}

impl Family {
    /// The metric as Spring Boot shows it, summed over the series that have all of `tags`; `None` when there
    /// is no such series.
    pub(crate) fn to_actuator(&self, shown_as: &str, tags: &[(&str, &str)]) -> Option<Value> {
        let matches = |sample: &&Sample| {
            tags.iter().all(|(tag, value)| sample.labels.get(*tag).is_some_and(|found| found == value))
        };
        let series: Vec<&Sample> = self.samples.iter().filter(matches).collect();
        if series.is_empty() {
            return None;
        }
        Some(json!({
            "name": shown_as,
            "description": self.help,
            "baseUnit": self.base_unit(),
            "measurements": self.measurements(&series),
            "availableTags": available_tags(&series, tags),
        }))
    }

    fn is_distribution(&self) -> bool {
        matches!(self.kind.as_str(), "histogram" | "summary")
    }

    fn base_unit(&self) -> Option<&'static str> {
        let name = self.name.trim_end_matches("_total");
        ["seconds", "bytes"].into_iter().find(|unit| name.ends_with(unit))
    }

    fn measurements(&self, series: &[&Sample]) -> Vec<Value> {
        let sum = |suffix: &str| -> f64 {
            let wanted = |sample: &&&Sample| sample.name.strip_prefix(&self.name) == Some(suffix);
            series.iter().filter(wanted).map(|sample| sample.value).sum()
        };
        let measured: Vec<(&str, f64)> = if self.is_distribution() {
            let total = if self.base_unit() == Some("seconds") { "TOTAL_TIME" } else { "TOTAL" };
            vec![("COUNT", sum("_count")), (total, sum("_sum"))]
        } else if self.kind == "counter" {
            vec![("COUNT", sum(""))]
        } else {
            vec![("VALUE", sum(""))]
        };
        measured
            .into_iter()
            .map(|(statistic, value)| json!({"statistic": statistic, "value": value}))
            .collect()
    }
}

/// The tags that can narrow the answer further.
fn available_tags(series: &[&Sample], taken: &[(&str, &str)]) -> Vec<Value> {
    let mut tags = BTreeMap::<&str, BTreeSet<&str>>::new();
    for (tag, value) in series.iter().flat_map(|sample| &sample.labels) {
        let of_buckets = tag == "le" || tag == "quantile";
        if !of_buckets && taken.iter().all(|(name, _)| name != tag) {
            tags.entry(tag).or_default().insert(value);
        }
    }
    tags.into_iter().map(|(tag, values)| json!({"tag": tag, "values": values})).collect()
}

fn family<'a>(families: &'a mut BTreeMap<String, Family>, name: &str) -> &'a mut Family {
    families.entry(name.to_owned()).or_insert_with(|| Family { name: name.to_owned(), ..Family::default() })
}

/// `name{label="value",...} 1.5`
fn sample(line: &str) -> Option<Sample> {
    let name_ends = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(name_ends);
    if name.is_empty() || name.starts_with('#') {
        return None;
    }
    let (labels, value) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (BTreeMap::new(), rest),
    };
    let value = value.split_whitespace().next()?.parse().ok()?;
    Some(Sample { name: name.to_owned(), labels, value })
}

/// The labels up to the closing brace, and what follows it.
fn labels(mut rest: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        rest = rest.trim_start_matches(',');
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let (value, after) = unquote(quoted)?;
        labels.insert(name.to_owned(), value);
        rest = after;
    }
}

/// A label's value up to its closing quote, and what follows it.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                escaped => value.push(escaped),
            },
            plain => value.push(plain),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"# HELP orders_total Orders by status
# TYPE orders_total counter
orders_total{status="PAID"} 3
orders_total{status="CANCELED",reason="a \"quoted\", {odd}\\value"} 2

# TYPE queue gauge
queue 7.5

# TYPE http_server_requests_seconds histogram
http_server_requests_seconds_bucket{uri="/a",le="0.1"} 1
http_server_requests_seconds_bucket{uri="/a",le="+Inf"} 2
http_server_requests_seconds_sum{uri="/a"} 0.5
http_server_requests_seconds_count{uri="/a"} 2
http_server_requests_seconds_bucket{uri="/b",le="+Inf"} 1
http_server_requests_seconds_sum{uri="/b"} 0.25
http_server_requests_seconds_count{uri="/b"} 1
broken{uri="/b
"#;

    fn shown(name: &str, tags: &[(&str, &str)]) -> Option<Value> {
        let families = parse(TEXT);
        find(&families, name)?.to_actuator(name, tags)
    }

    #[test]
    fn counters_are_summed_and_narrowed() {
        let all = shown("orders_total", &[]).unwrap();
        assert_eq!(all["measurements"], json!([{"statistic": "COUNT", "value": 5.0}]));
        assert_eq!(all["description"], "Orders by status");
        assert_eq!(
            all["availableTags"],
            json!([
                {"tag": "reason", "values": ["a \"quoted\", {odd}\\value"]},
                {"tag": "status", "values": ["CANCELED", "PAID"]},
            ])
        );
        let paid = shown("orders_total", &[("status", "PAID")]).unwrap();
        assert_eq!(paid["measurements"][0]["value"], 3.0);
        assert_eq!(paid["availableTags"], json!([]));
        assert_eq!(shown("orders_total", &[("status", "LOST")]), None);
    }

    #[test]
    fn histograms_have_count_and_time() {
        let all = shown("http_server_requests_seconds", &[]).unwrap();
        assert_eq!(
            all["measurements"],
            json!([{"statistic": "COUNT", "value": 3.0}, {"statistic": "TOTAL_TIME", "value": 0.75}])
        );
        assert_eq!(all["baseUnit"], "seconds");
        assert_eq!(all["availableTags"], json!([{"tag": "uri", "values": ["/a", "/b"]}]));
    }

    #[test]
    fn micrometer_names_are_found() {
        assert_eq!(shown("http.server.requests", &[("uri", "/b")]).unwrap()["measurements"][0]["value"], 1.0);
        assert_eq!(
            shown("queue", &[]).unwrap()["measurements"],
            json!([{"statistic": "VALUE", "value": 7.5}])
        );
        assert_eq!(shown("nothing", &[]), None);
    }
}
