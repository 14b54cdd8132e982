//! SQL text is put together in one place only, so that no value ever gets into it by formatting.

use crate::source::Token;
use crate::workspace::is_below;
use crate::{Finding, Source};

/// The only folder that may put SQL text together.
pub const SQL_FOLDER: &str = "modules/database/src";

const MACROS: &[&str] = &["format", "format_args", "write", "writeln", "concat"];

/// Reports formatted SQL outside [`SQL_FOLDER`].
pub fn check(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|s| !is_below(&s.path, SQL_FOLDER)) {
        let macros = source.macro_calls(|name| MACROS.contains(&name)).map(|(_, from, to)| (from, to));
        for (from, to) in macros.chain(pushes(source)) {
            if source.tokens[from..to].iter().filter_map(Token::text).any(is_sql) {
                let line = source.tokens[from].line;
                let message =
                    format!("SQL put together from text; use bound values, or a builder of {SQL_FOLDER}");
                findings.push(Finding::at(&source.path, line, message));
            }
        }
    }
    findings
}

/// The arguments of `push_str(..)`, and what stands between `+=` and the end of its statement.
fn pushes(source: &Source) -> impl Iterator<Item = (usize, usize)> + '_ {
    let tokens = &source.tokens;
    tokens.windows(2).enumerate().filter_map(|(i, pair)| {
        if pair[0].ident() == Some("push_str") {
            let close = pair[1].opens(proc_macro2::Delimiter::Parenthesis)?;
            return Some((i + 2, close));
        }
        if pair[0].is_punct('+') && pair[1].is_punct('=') {
            let end = tokens[i..].iter().position(|token| token.is_punct(';'))?;
            return Some((i + 2, i + end));
        }
        None
    })
}

/// Whether a literal holds a statement's keyword: in capitals, or with the word that follows it in SQL.
fn is_sql(text: &str) -> bool {
    let words: Vec<&str> = text.split(|c: char| !(c.is_alphanumeric() || "_{}/".contains(c))).collect();
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    let follows =
        |from: usize, keyword: &str| words[from..].iter().any(|word| word.eq_ignore_ascii_case(keyword));
    words.iter().enumerate().any(|(i, word)| match word.to_ascii_uppercase().as_str() {
        "SELECT" => *word == "SELECT" || follows(i, "from"),
        "INSERT" => {
            *word == "INSERT" || words.get(i + 1).is_some_and(|next| next.eq_ignore_ascii_case("into"))
        }
        "UPDATE" => *word == "UPDATE" || follows(i, "set"),
        // In capitals it is an HTTP method as well.
        "DELETE" => words.get(i + 1).is_some_and(|next| {
            next.eq_ignore_ascii_case("from") || (*word == "DELETE" && next.starts_with('{'))
        }),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        check(&[Source::parse(path, text).unwrap()]).len()
    }

    #[test]
    fn formatted_sql_is_reported() {
        for bad in [
            r#"fn f() { format!("SELECT * FROM {table}"); }"#,
            r#"fn f() { format!("select id from {table}"); }"#,
            r#"fn f() { format!("{} {x}", "INSERT INTO t VALUES"); }"#,
            r#"fn f() { write!(s, "UPDATE {t} SET a = 1"); }"#,
            r#"fn f() { format!(r"DELETE FROM {t}"); }"#,
            r#"fn f() { sql.push_str("delete from t where id = "); }"#,
            r#"fn f() { sql += " UPDATE t"; }"#,
            r#"fn f() { assert!(x, "{}", format!("SELECT {x}")); }"#,
        ] {
            assert_eq!(found("apps/a/src/x.rs", bad), 1, "{bad}");
            assert_eq!(found("modules/database/src/x.rs", bad), 0, "{bad}");
        }
    }

    #[test]
    fn plain_statements_methods_and_prose_are_not_reported() {
        for good in [
            r#"const S: &str = "SELECT * FROM t WHERE id = ?";"#,
            r#"fn f() { format!("DELETE /api/v1/orders/{id}"); }"#,
            r#"fn f() { format!("cannot update {name}: select another"); }"#,
            r#"fn f() { text.push_str("selected"); n += 1; }"#,
        ] {
            assert_eq!(found("apps/a/src/x.rs", good), 0, "{good}");
        }
    }
}
