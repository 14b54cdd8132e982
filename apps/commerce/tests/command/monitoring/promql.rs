//! Which metrics and labels a `PromQL` expression names. It does not judge the expression, which Prometheus does when it
//! loads it.

use std::collections::{BTreeMap, BTreeSet};

/// A metric that an expression names, with the labels it is selected by.
#[derive(Debug, PartialEq, Eq)]
pub struct Selector {
    pub metric: String,
    /// Label, and the value it must have; none where it is compared in another way.
    pub labels: BTreeMap<String, Option<String>>,
}

/// What an expression names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Names {
    pub selectors: Vec<Selector>,
    /// Labels that results are grouped by.
    pub grouped: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Sign(char),
}

const GROUPING: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
const OPERATORS: [&str; 5] = ["and", "or", "unless", "bool", "offset"];

/// What `expression` names.
pub fn names(expression: &str) -> Names {
    let tokens = tokens(expression);
    let mut names = Names::default();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let next = tokens.get(at + 1);
        at += 1;
        let Token::Word(word) = token else { continue };
        if GROUPING.contains(&word.as_str()) {
            let list = tokens[at..].iter().take_while(|token| **token != Token::Sign(')'));
            names.grouped.extend(list.clone().filter_map(word_of));
            at += list.count();
        } else if next == Some(&Token::Sign('(')) || OPERATORS.contains(&word.as_str()) {
            // A function or an operator.
        } else if next.and_then(word_of).is_some_and(|next| GROUPING.contains(&next.as_str())) {
            // An aggregation that says by what first.
        } else {
            let braced = next == Some(&Token::Sign('{'));
            let inside =
                tokens[at..].iter().take_while(|token| braced && **token != Token::Sign('}')).count();
            let labels = labels(&tokens[at..at + inside]);
            names.selectors.push(Selector { metric: word.clone(), labels });
            at += inside;
        }
    }
    names
}

fn word_of(token: &Token) -> Option<String> {
    if let Token::Word(word) = token { Some(word.clone()) } else { None }
}

/// Of `{name="value", …`: a name, one or two signs, a text.
fn labels(tokens: &[Token]) -> BTreeMap<String, Option<String>> {
    let mut labels = BTreeMap::new();
    let mut name = None;
    let mut signs = String::new();
    for token in tokens {
        match token {
            Token::Word(word) => name = Some(word.clone()),
            Token::Sign(',' | '{') => signs.clear(),
            Token::Sign(sign) => signs.push(*sign),
            Token::Text(text) => {
                let value = (signs == "=").then(|| text.clone());
                labels.extend(name.take().map(|name| (name, value)));
            }
        }
    }
    labels
}

/// Words, texts and signs; numbers and what stands in square brackets name nothing.
fn tokens(expression: &str) -> Vec<Token> {
    let is_start = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    let mut tokens = Vec::new();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => {
                let end = rest[1..].find('"').expect("a text ends");
                tokens.push(Token::Text(rest[1..=end].to_owned()));
                end + 2
            }
            '[' => rest.find(']').expect("a range ends") + 1,
            c if is_start(c) => {
                let end = rest.find(|c: char| !is_start(c) && !c.is_ascii_digit()).unwrap_or(rest.len());
                tokens.push(Token::Word(rest[..end].to_owned()));
                end
            }
            c if c.is_ascii_digit() => {
                rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(rest.len())
            }
            c => {
                if !c.is_whitespace() {
                    tokens.push(Token::Sign(c));
                }
                c.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    tokens
}

#[test]
fn metrics_and_labels_of_an_expression_are_found() {
    let found = names(
        "60 * histogram_quantile(0.99, sum by (le, desk) (rate(a_bucket{x=~\"$x\", y=\"z\"}[5m]))) > 1e3 \
         and max(b) by (c) / d offset 5m",
    );
    let metrics: Vec<_> = found.selectors.iter().map(|selector| selector.metric.as_str()).collect();
    assert_eq!(metrics, ["a_bucket", "b", "d"]);
    let labels = [("x".to_owned(), None), ("y".to_owned(), Some("z".to_owned()))];
    assert_eq!(found.selectors[0].labels, BTreeMap::from(labels));
    assert_eq!(found.grouped, ["c", "desk", "le"].map(str::to_owned).into());
    let not = names("max by (name) (e{state!=\"closed\"})");
    assert_eq!(not.selectors[0].labels, BTreeMap::from([("state".to_owned(), None)]));
}
