//! A Rust file as text, as a flat list of tokens and, on demand, as a syntax tree.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A token with its line. Groups are flattened, so macro bodies are seen like any other code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Its line, counted from 1.
    pub line: usize,
}

/// The kinds of [`Token`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenKind {
    /// A name or keyword.
    Ident(String),
    /// One character of punctuation.
    Punct(char),
    /// The value of a string literal.
    Text(String),
    /// Any other literal.
    Literal,
    /// An opening delimiter and the index of its [`TokenKind::Close`].
    Open(Delimiter, usize),
    /// A closing delimiter.
    Close,
}

impl Token {
    /// The name, if it is one.
    pub fn ident(&self) -> Option<&str> {
        match &self.kind {
            TokenKind::Ident(name) => Some(name),
            _ => None,
        }
    }

    /// The string, if it is a string literal.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            TokenKind::Text(value) => Some(value),
            _ => None,
        }
    }

    /// Whether it is this punctuation character.
    pub fn is_punct(&self, c: char) -> bool {
        self.kind == TokenKind::Punct(c)
    }

    /// The index of the closing delimiter, if it opens a group of this kind.
    pub fn opens(&self, delimiter: Delimiter) -> Option<usize> {
        match self.kind {
            TokenKind::Open(d, close) if d == delimiter => Some(close),
            _ => None,
        }
    }
}

/// A parsed Rust file.
pub struct Source {
    /// Path relative to the workspace root, with `/`.
    pub path: String,
    /// The file's text.
    pub text: String,
    /// All tokens in order.
    pub tokens: Vec<Token>,
}

impl Source {
    /// Parses a file. `path` is relative to the workspace root.
    pub fn parse(path: impl Into<String>, text: impl Into<String>) -> Result<Self, String> {
        let (path, text) = (path.into(), text.into());
        let fail = |error: &dyn std::fmt::Display| format!("{path}: does not parse: {error}");
        let file = syn::parse_file(&text).map_err(|e| fail(&e))?;
        // The tree drops a `#!` line; the token stream would choke on it.
        let body =
            if file.shebang.is_some() { text.split_once('\n').map_or("", |(_, rest)| rest) } else { &text };
        let stream: TokenStream = body.parse().map_err(|e: proc_macro2::LexError| fail(&e))?;
        let mut tokens = Vec::new();
        flatten(stream, &mut tokens);
        Ok(Self { path, text, tokens })
    }

    /// The syntax tree, parsed anew: it cannot be kept, since the tests of one process share the sources.
    pub fn tree(&self) -> Option<syn::File> {
        syn::parse_file(&self.text).ok()
    }

    /// Whether the file's path alone says that it holds tests.
    pub fn is_test_file(&self) -> bool {
        let mut parts = self.path.split('/').rev();
        let name = parts.next().unwrap_or_default();
        name == "tests.rs"
            || name.ends_with("_tests.rs")
            || parts.any(|part| part == "tests")
            || self.path.starts_with("testing/")
    }

    /// The attributes, outer and inner, as (index of `#`, index after the opening bracket, index of the closing bracket).
    pub fn attributes(&self) -> impl Iterator<Item = (usize, usize, usize)> + '_ {
        self.tokens.iter().enumerate().filter(|(_, token)| token.is_punct('#')).filter_map(|(start, _)| {
            let open = if self.tokens.get(start + 1)?.is_punct('!') { start + 2 } else { start + 1 };
            let close = self.tokens.get(open)?.opens(Delimiter::Bracket)?;
            Some((start, open + 1, close))
        })
    }

    /// The calls of macros whose name passes `wanted`, as (index of the name, index after the opening delimiter,
    /// index of the closing one).
    pub fn macro_calls<'a>(
        &'a self,
        wanted: impl Fn(&str) -> bool + 'a,
    ) -> impl Iterator<Item = (usize, usize, usize)> + 'a {
        self.tokens.windows(3).enumerate().filter_map(move |(i, window)| {
            let TokenKind::Open(_, close) = window[2].kind else { return None };
            let found = window[0].ident().is_some_and(&wanted) && window[1].is_punct('!');
            found.then_some((i, i + 3, close))
        })
    }

    /// Names of the test functions, also of those written inside a macro such as `proptest!`.
    pub fn test_functions(&self) -> Vec<&str> {
        self.attributes()
            .filter(|&(_, from, to)| self.is_test_attribute(from, to))
            .filter_map(|(_, _, to)| self.function_after(to))
            .collect()
    }

    /// `#[test]`, `#[tokio::test]`, `#[tokio::test(..)]`: a path that ends in `test`.
    fn is_test_attribute(&self, from: usize, to: usize) -> bool {
        let path = self.tokens[from..to].iter().take_while(|t| t.ident().is_some() || t.is_punct(':'));
        path.last().and_then(Token::ident) == Some("test")
    }

    /// The name of the function that an attribute ending at `close` stands on.
    fn function_after(&self, close: usize) -> Option<&str> {
        let mut i = close + 1;
        while let Some(token) = self.tokens.get(i) {
            match &token.kind {
                TokenKind::Ident(word) if word == "fn" => return self.tokens.get(i + 1)?.ident(),
                TokenKind::Open(Delimiter::Bracket | Delimiter::Parenthesis, end) => i = end + 1,
                TokenKind::Ident(_) | TokenKind::Punct('#') | TokenKind::Text(_) => i += 1,
                _ => return None,
            }
        }
        None
    }
}

fn flatten(stream: TokenStream, out: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Ident(ident) => out.push(Token { kind: TokenKind::Ident(ident.to_string()), line }),
            TokenTree::Punct(punct) => out.push(Token { kind: TokenKind::Punct(punct.as_char()), line }),
            TokenTree::Literal(literal) => {
                let kind = match syn::Lit::new(literal) {
                    syn::Lit::Str(text) => TokenKind::Text(text.value()),
                    _ => TokenKind::Literal,
                };
                out.push(Token { kind, line });
            }
            TokenTree::Group(group) => {
                let open = out.len();
                out.push(Token { kind: TokenKind::Open(group.delimiter(), 0), line });
                flatten(group.stream(), out);
                let close = out.len();
                out.push(Token { kind: TokenKind::Close, line: group.span_close().end().line });
                out[open].kind = TokenKind::Open(group.delimiter(), close);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_functions_are_found_in_modules_and_macros() {
        let source = Source::parse(
            "a.rs",
            r#"
            #[test] fn plain() {}
            mod tests { #[tokio::test(flavor = "current_thread")] #[cfg(unix)] pub async fn on_tokio() {} }
            proptest! { #[test] fn holds(x in 0..3) { let _ = x; } }
            #[cfg(test)] fn helper() {}
            fn other() {}
            "#,
        )
        .unwrap();
        assert_eq!(source.test_functions(), ["plain", "on_tokio", "holds"]);
    }

    #[test]
    fn lines_count_from_one_and_survive_nesting() {
        let source = Source::parse("a.rs", "fn f() {\n  g(\n  x);\n}\n").unwrap();
        let x = source.tokens.iter().find(|t| t.ident() == Some("x")).unwrap();
        assert_eq!(x.line, 3);
        assert_eq!(source.tokens.last().unwrap().line, 4);
    }

    #[test]
    fn a_file_that_does_not_parse_is_an_error_with_its_path() {
        assert!(Source::parse("bad.rs", "fn {").err().unwrap().starts_with("bad.rs: does not parse"));
    }
}
