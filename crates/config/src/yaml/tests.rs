use super::*;
use proptest::prelude::*;
use tollgate_core::document::{Position, masked_json};

fn read_with(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<(Node, Vec<Problem>), Box<Problem>> {
    read(text, 0, &Environment { variable, directory: "/nowhere".into() })
}

fn read_text(text: &str) -> Result<(Node, Vec<Problem>), Box<Problem>> {
    read_with(text, &|name| (name == "N").then(|| "4".to_owned()))
}

fn json(text: &str) -> String {
    let (node, problems) = read_text(text).unwrap();
    assert_eq!(problems, [], "{text}");
    masked_json(&node).to_string()
}

#[test]
fn values_are_read() {
    for (text, expected) in [
        ("a: 1\nb: [x, 'y', \"z\\n\"]\n", r#"{"a":1,"b":["x","y","z\n"]}"#),
        ("- a\n- - b\n  - c\n", r#"["a",["b","c"]]"#),
        ("a: '1'\nb: \"true\"\nc: true\nd:\ne: ~\n", r#"{"a":"1","b":"true","c":true,"d":null,"e":null}"#),
        ("a: |\n  x\n  y\nb: >-\n  x\n  y\n", r#"{"a":"x\ny\n","b":"x y"}"#),
        ("a: !!str 5\nb: !!int '5'\n", r#"{"a":"5","b":5}"#),
        ("200: ok\ntrue: x\n", r#"{"200":"ok","true":"x"}"#),
        ("a: &x {b: 1}\nc: *x\n", r#"{"a":{"b":1},"c":{"b":1}}"#),
        ("a: &x {b: 1, c: 1}\nd: {<<: *x, c: 2}\n", r#"{"a":{"b":1,"c":1},"d":{"c":2,"b":1}}"#),
        (
            "a: &x {b: 1}\ny: &y {b: 2, c: 2}\nd: {<<: [*x, *y]}\n",
            r#"{"a":{"b":1},"y":{"b":2,"c":2},"d":{"b":1,"c":2}}"#,
        ),
        ("'<<': 1\n", r#"{"<<":1}"#),
        ("---\na: 1\n...\n", r#"{"a":1}"#),
        ("%YAML 1.2\n---\na: 1\n", r#"{"a":1}"#),
        ("# only\na: 1 # c\r\nb: 2\r\n", r#"{"a":1,"b":2}"#),
        ("a: ${env:N}\nb: 'x${env:N}'\nc: $${N}\nd: $1\n", r#"{"a":"${env:N}","b":"x${env:N}","c":"${N}","d":"$1"}"#),
    ] {
        assert_eq!(json(text), expected, "{text}");
    }
}

#[test]
fn each_value_knows_its_place() {
    let text = "a:\n  - name: ü\n    paths: ['/x',  \"ß\"] # é\nb: {c: d}\n";
    let (root, _) = read_text(text).unwrap();
    for (path, start, end, slice) in [
        ("a", (2, 3), (3, 24), "- name: ü\n    paths: ['/x',  \"ß\"]"),
        ("a[0]", (2, 5), (3, 24), "name: ü\n    paths: ['/x',  \"ß\"]"),
        ("a[0].name", (2, 11), (2, 12), "ü"),
        ("a[0].paths", (3, 12), (3, 24), "['/x',  \"ß\"]"),
        ("a[0].paths[1]", (3, 20), (3, 23), "\"ß\""),
        ("b", (4, 4), (4, 10), "{c: d}"),
        ("b.c", (4, 8), (4, 9), "d"),
    ] {
        let span = root.find(path).unwrap().span;
        let place = |position: Position| (position.line, position.column);
        assert_eq!((place(span.start), place(span.end)), (start, end), "{path}");
        assert_eq!(&text[span.start.byte as usize..span.end.byte as usize], slice, "{path}");
    }
    let key = root.key_span_at("a[0].paths");
    assert_eq!(&text[key.start.byte as usize..key.end.byte as usize], "paths");
}

#[test]
fn what_is_no_yaml_says_where() {
    for (text, line, column, message, help) in [
        ("a: [1", 2, 1, "this is not YAML: ", None),
        ("a: 1\n\tb: 2", 2, 1, "this is not YAML: ", Some("indent with spaces")),
        ("a: {t: ${env:T}}", 1, 9, "this is not YAML: ", Some("in quotes")),
        ("a: *nope", 1, 4, "this is not YAML: ", Some("in quotes")),
        ("a: b: c", 1, 5, "this is not YAML: ", Some("contains `: ` in quotes")),
        ("hosts: [*.example.com]", 1, 9, "this is not YAML: ", Some("in quotes")),
        ("a: 1\n---\nb: 2\n", 2, 1, "a second document begins here", Some("one file holds one configuration")),
        ("[a]: 1", 1, 1, "a key must be text", None),
        ("? {a: b}\n: 1", 1, 3, "a key must be text", None),
        ("a: !thing 5", 1, 4, "the tag `!thing` means nothing here", None),
        ("a: &x [*x]", 1, 8, "this alias stands inside of what it refers to", None),
        ("a: {<<: 5}", 1, 5, "`<<` needs a mapping to merge", Some("<<: *defaults")),
        ("${env:N}: 1", 1, 1, "`${…}` is replaced in values, not in keys", None),
        ("a: \u{0}", 1, 4, "control character", None),
        ("a: 1\nb: \u{7}", 2, 4, "control character", None),
        ("", 1, 1, "the file is empty", Some("listeners")),
        ("# nothing\n", 1, 1, "the file is empty", None),
    ] {
        let problem = read_text(text).unwrap_err();
        assert_eq!(problem.kind, Kind::Syntax);
        assert!(problem.message.contains(message), "{text}: {problem}");
        let start = problem.span.unwrap().start;
        assert_eq!((start.line, start.column), (line, column), "{text}: {problem}");
        let shown = problem.help.clone().unwrap_or_default();
        assert!(help.is_none_or(|help| shown.contains(help)), "{text}: {problem}");
    }
}

#[test]
fn problems_with_values_have_paths() {
    for (text, path, line, message) in [
        ("a:\n  b: 1\n  b: 2\n", "a.b", 3, "the key `b` stands here twice"),
        ("a:\n- {x: ${env:M}}", "", 2, ""),
        ("a:\n- x: ${env:M}", "a[0].x", 2, "the environment variable `M` is not set"),
        ("a: ['x', '${file:/no/such}']", "a[1]", 1, "the file `/no/such` can't be read"),
        ("a: '${what}'", "a", 1, "`${what}` is neither `${env:NAME}` nor `${file:/path}`"),
    ] {
        match read_text(text) {
            Ok((_, problems)) => {
                assert_eq!(problems.len(), 1, "{text}");
                assert_eq!((problems[0].path.as_str(), problems[0].span.unwrap().start.line), (path, line));
                assert!(problems[0].message.contains(message), "{text}: {}", problems[0]);
            }
            Err(problem) => assert_eq!((path, problem.kind), ("", Kind::Syntax), "{text}"),
        }
    }
    let many: String = (0..40).map(|n| format!("k{}: {n}\n", n % 39)).collect();
    let (_, problems) = read_text(&many).unwrap();
    assert_eq!((problems[0].path.as_str(), problems[0].span.unwrap().start.line), ("k0", 40));
    assert_eq!(problems[0].related[0].span.start.line, 1);
}

#[test]
fn what_could_fill_the_memory_is_turned_away() {
    let mut laughs = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for n in 1..20 {
        let aliases = vec![format!("*a{}", n - 1); 10].join(", ");
        laughs.push_str(&format!("a{n}: &a{n} [{aliases}]\n"));
    }
    assert!(read_text(&laughs).unwrap_err().message.contains("aliases add more than"));

    let mut nested = "a0: &a0 [x]\n".to_owned();
    for n in 1..100 {
        nested.push_str(&format!("a{n}: &a{n} [*a{}]\n", n - 1));
    }
    assert!(read_text(&nested).unwrap_err().message.contains("deep"));
    for open in ["[", "- ", "{a: ", "? "] {
        let text = open.repeat(100_000);
        assert!(read_text(&text).is_err(), "{open}");
    }
    assert!(read_text(&" ".repeat(MOST_BYTES + 1)).unwrap_err().message.contains("larger than"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_text_makes_it_panic(text in "\\PC*") {
        let _ = read_text(&text);
    }

    #[test]
    fn no_yaml_like_text_makes_it_panic(text in "([ \\n\\t\\r:\\-\\[\\]{},&*!|>'\"%@`#?~<a0éü$]|\\$\\{env:N\\}|- |: |&a |\\*a |---\\n|<<: ){0,60}") {
        if let Ok((node, problems)) = read_text(&text) {
            for problem in problems {
                prop_assert!(problem.span.unwrap().end.byte as usize <= text.len());
            }
            let _ = masked_json(&node);
        }
    }
}
