use super::*;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::num::NonZeroU16;

/// Builds trees for tests, each node on a line of its own so that places can be told apart.
struct Builder(u32);

impl Builder {
    fn span(&mut self) -> Span {
        self.0 += 1;
        let at = Position { byte: self.0 * 10, line: self.0, column: 3 };
        Span { file: 0, start: at, end: Position { byte: at.byte + 4, column: 7, ..at } }
    }

    fn node(&mut self, json: &serde_json::Value) -> Node {
        let span = self.span();
        let value = match json {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(value) => Value::Bool(*value),
            serde_json::Value::Number(n) => n.as_i64().map_or(Value::Float(n.as_f64().unwrap()), Value::Int),
            serde_json::Value::String(text) if text.starts_with("$env ") => {
                let value = text["$env ".len()..].to_owned();
                let source = Some(Box::new(Written { text: "${env:V}".into(), quoted: false }));
                return Node { value: Value::Str(value), span, source };
            }
            serde_json::Value::String(text) => Value::Str(text.clone()),
            serde_json::Value::Array(items) => Value::Seq(items.iter().map(|item| self.node(item)).collect()),
            serde_json::Value::Object(map) => {
                let entry = |(key, value): (&String, &serde_json::Value)| {
                    (Key { name: key.clone(), span: self.span() }, self.node(value))
                };
                Value::Map(map.iter().map(entry).collect())
            }
        };
        Node { value, span, source: None }
    }
}

fn tree(json: &serde_json::Value) -> Node {
    Builder(0).node(json)
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Item {
    name: String,
    size: Size,
    #[serde(default)]
    wait: Duration,
    #[serde(default)]
    from: Vec<Cidr>,
    #[serde(default)]
    count: Option<u16>,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    codes: BTreeMap<u16, f64>,
    #[serde(default)]
    config: Raw,
    #[serde(default)]
    on: Option<bool>,
    #[serde(default)]
    workers: Option<NonZeroU16>,
}

#[derive(Debug, Deserialize, PartialEq, Default)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    #[default]
    RoundRobin,
    Weighted(u8),
    Shaped {
        width: u8,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Root {
    items: Vec<Located<Item>>,
    #[serde(default, rename = "token")]
    _token: Option<u8>,
}

/// The problems of one item, as `path: message (help)`.
fn complaints(item: &serde_json::Value) -> Vec<String> {
    let root = tree(&serde_json::json!({ "items": [item] }));
    let problems = decode::<Root>(&root, "").unwrap_err();
    let mut texts: Vec<String> = problems
        .iter()
        .map(|p| p.to_string().split_once(": ").unwrap().1.replace("items[0].", "").replace("items[0]: ", ""))
        .collect();
    texts.sort();
    texts
}

#[test]
fn a_sound_document_decodes() {
    let json = serde_json::json!({ "items": [{
        "name": "a", "size": "64KiB", "wait": 30, "from": ["10.0.0.0/8", "::1"], "count": 3, "mode": { "weighted": 7 },
        "codes": { "200": 1, "404": 0.5 }, "config": { "x": 1 }, "on": null, "workers": "$env 4",
    }]});
    let root: Root = decode(&tree(&json), "").unwrap();
    let item = &root.items[0];
    assert_eq!(item.path, "items[0]");
    assert_eq!((item.wait, item.size), (Duration::from_secs(30), Size::from_kib(64)));
    assert_eq!((item.count, &item.mode, item.codes[&404]), (Some(3), &Mode::Weighted(7), 0.5));
    assert_eq!((item.config.path(), item.workers.unwrap().get()), ("items[0].config", 4));
    assert_eq!(item.path_to("name"), "items[0].name");
}

#[test]
fn each_mistake_says_what_was_expected_and_what_was_found() {
    let list = "known keys: name, size, wait, from, count, mode, codes, config, on, workers";
    for (change, expected) in [
        (r#"{"name": 5}"#, "name: expected a string, found the number 5 (put the value in quotes to make it a string)"),
        (r#"{"name": true}"#, "name: expected a string, found `true` (put the value in quotes to make it a string)"),
        (r#"{"name": null}"#, "name: expected a string, found nothing (null)"),
        (r#"{"name": ["a"]}"#, "name: expected a string, found a list"),
        (r#"{"size": {}}"#, "size: expected a size such as 64KiB, 10MiB or 1GiB, found a mapping"),
        (
            r#"{"size": "64k"}"#,
            "size: expected a size such as 64KiB, 10MiB or 1GiB, found `64k` (did you mean `64KiB`?)",
        ),
        (r#"{"wait": []}"#, "wait: expected a duration such as 250ms, 30s or 5m, found a list"),
        (r#"{"wait": null}"#, "wait: expected a duration such as 250ms, 30s or 5m, found nothing (null)"),
        (r#"{"wait": true}"#, "wait: expected a duration such as 250ms, 30s or 5m, found `true`"),
        (
            r#"{"wait": -1}"#,
            "wait: expected a duration such as 250ms, 30s or 5m, found `-1` (a duration can't be negative)",
        ),
        (r#"{"from": "10.0.0.0/8"}"#, "from: expected a list, found the string \"10.0.0.0/8\""),
        (
            r#"{"from": ["::1", 5]}"#,
            "from[1]: expected a network such as 10.0.0.0/8, or an address, found the number 5 (put the value in quotes to make it a string)",
        ),
        (
            r#"{"from": ["10.0.0.1/8"]}"#,
            "from[0]: expected a network such as 10.0.0.0/8, or an address, found `10.0.0.1/8`, an address within a network (the network is 10.0.0.0/8)",
        ),
        (r#"{"count": 65536}"#, "count: expected a whole number from 0 to 65535, found the number 65536"),
        (r#"{"count": -1}"#, "count: expected a whole number from 0 to 65535, found the number -1"),
        (r#"{"count": 1.5}"#, "count: expected a whole number from 0 to 65535, found the number 1.5"),
        (r#"{"count": "3"}"#, "count: expected a whole number from 0 to 65535, found the string \"3\""),
        (r#"{"on": "yes"}"#, "on: expected true or false, found the string \"yes\""),
        (r#"{"workers": 0}"#, "workers: expected a whole number greater than 0, found the number 0"),
        (
            r#"{"mode": "round-robbin"}"#,
            "mode: expected `round-robin`, `weighted` or `shaped`, found the string \"round-robbin\" (did you mean `round-robin`?)",
        ),
        (r#"{"mode": 3}"#, "mode: expected one of `round-robin`, `weighted` or `shaped`, found the number 3"),
        (r#"{"mode": "weighted"}"#, "mode: `weighted` needs a value: write it as `weighted: …`"),
        (r#"{"mode": {"round-robin": 1}}"#, "mode: `round-robin` takes no value"),
        (
            r#"{"mode": {"weighted": 300}}"#,
            "mode.weighted: expected a whole number from 0 to 255, found the number 300",
        ),
        (r#"{"mode": {"shaped": {}}}"#, "mode.shaped: missing key `width`"),
        (r#"{"mode": {}}"#, "mode: expected one of `round-robin`, `weighted` or `shaped`, found a mapping"),
        (r#"{"codes": {"2xx": 1}}"#, "codes.2xx: expected a whole number from 0 to 65535, found the string \"2xx\""),
        (r#"{"codes": {"200": "a"}}"#, "codes.200: expected a number, found the string \"a\""),
        (r#"{"config": null}"#, "config: expected a mapping of keys to values, found nothing (null)"),
        (r#"{"naem": "x"}"#, "naem: unknown key `naem` (did you mean `name`?)"),
        (r#"{"zzzzzz": "x"}"#, &format!("zzzzzz: unknown key `zzzzzz` ({list})")),
        (
            r#"{"wait": "$env hunter2"}"#,
            "wait: expected a duration such as 250ms, 30s or 5m, found the value of `${env:V}`",
        ),
        (
            r#"{"count": "$env hunter2"}"#,
            "count: expected a whole number from 0 to 65535, found the value of `${env:V}`",
        ),
        (
            r#"{"mode": "$env hunter2"}"#,
            "mode: expected `round-robin`, `weighted` or `shaped`, found the value of `${env:V}`",
        ),
        (
            r#"{"from": ["$env 10.2.0.0/8"]}"#,
            "from[0]: expected a network such as 10.0.0.0/8, or an address, found the value of `${env:V}`",
        ),
    ] {
        let mut item = serde_json::json!({ "name": "a", "size": 1 });
        let change: serde_json::Map<_, _> = serde_json::from_str(change).unwrap();
        item.as_object_mut().unwrap().extend(change);
        assert_eq!(complaints(&item), [expected]);
    }
}

#[test]
fn all_mistakes_are_reported_at_once_and_once_each() {
    let found = complaints(&serde_json::json!({
        "nmae": "a", "wait": "soon", "from": ["x", "::1", "y"], "count": "many", "config": { "fine": 1 },
        "codes": { "a": 1, "1": "b" }, "mode": { "shaped": { "width": 1000, "depth": 2 } },
    }));
    let paths: Vec<&str> = found.iter().map(|text| text.split([' ']).next().unwrap()).collect();
    let expected = [
        "codes.1:",
        "codes.a:",
        "count:",
        "from[0]:",
        "from[2]:",
        "missing",
        "missing",
        "mode.shaped.width:",
        "nmae:",
        "wait:",
    ];
    assert_eq!(paths, expected, "{found:#?}");
}

#[test]
fn what_is_left_can_be_had() {
    let root = tree(&serde_json::json!({ "items": [{ "size": "x" }, { "name": "b", "size": 1, "y": 1 }, 7] }));
    let (value, problems) = decode_partial::<Root>(&root, "");
    let paths: Vec<&str> = problems.iter().map(|p| p.path.as_str()).collect();
    assert_eq!(paths, ["items[0].size", "items[0]", "items[1].y", "items[2]"]);
    let items = value.unwrap().items;
    assert_eq!(items.iter().map(|item| item.path.as_str()).collect::<Vec<_>>(), ["items[0]", "items[1]"]);
    assert_eq!(items[1].name, "b");
}

#[test]
fn a_hundred_problems_are_enough() {
    let items: Vec<_> = (0..150).map(|_| serde_json::json!({ "name": "a", "size": "?" })).collect();
    let problems = decode::<Root>(&tree(&serde_json::json!({ "items": items })), "").unwrap_err();
    assert_eq!(problems.len(), 100);
}

#[test]
fn the_root_itself_may_be_wrong() {
    for (json, expected) in [
        (serde_json::json!([]), "expected a mapping of keys to values, found a list"),
        (serde_json::json!(null), "expected a mapping of keys to values, found nothing (null)"),
    ] {
        let problems = decode::<Root>(&tree(&json), "").unwrap_err();
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].message, expected);
    }
}

#[test]
fn a_secret_stays_secret_in_errors() {
    let root = tree(&serde_json::json!({ "items": [], "token": "hunter2" }));
    let problems = decode::<Root>(&root, "").unwrap_err();
    assert_eq!(problems[0].message, "expected a whole number from 0 to 255, found a string");
}

#[test]
fn a_captured_part_decodes_later_with_its_place() {
    let root = tree(&serde_json::json!({ "items": [{
        "name": "a", "size": 1, "config": { "name": "b", "size": "x", "from": ["$env hunter2", "::1"] },
    }]}));
    let decoded: Root = decode(&root, "").unwrap();
    let raw = &decoded.items[0].config;
    let problems = raw.decode::<Item>().unwrap_err();
    assert_eq!(problems[0].path, "items[0].config.size");
    assert_eq!(problems[0].span, Some(root.find("items[0].config.size").unwrap().span));

    let problem = raw.problem("from[1]", "no `hunter2` here", Some("drop it".into()));
    assert_eq!(problem.path, "items[0].config.from[1]");
    assert_eq!(problem.span, Some(root.find("items[0].config.from[1]").unwrap().span));
    assert_eq!(problem.message, "no `${env:V}` here");
    assert_eq!(problem.help.as_deref(), Some("drop it"));

    assert_eq!(raw.at("from").node().as_seq().unwrap().len(), 2);
    assert_eq!(raw.at("nothing").path(), "items[0].config.nothing");
    assert!(raw.at("nothing").decode::<BTreeMap<String, u8>>().unwrap().is_empty());
    assert_eq!(Raw::default().decode::<BTreeMap<String, u8>>(), Ok(BTreeMap::new()));
}

#[test]
fn nothing_but_a_document_makes_a_captured_part() {
    assert!(serde_json::from_str::<Raw>("{}").is_err());
    assert_eq!(serde_json::from_str::<Located<u8>>("5").unwrap(), Located::nowhere(5));
}

#[test]
fn a_substituted_value_takes_the_type_that_is_asked_for() {
    let root = tree(&serde_json::json!(["$env 007"]));
    let item = &root.as_seq().unwrap()[0];
    assert_eq!(decode::<String>(item, ""), Ok("007".to_owned()));
    assert_eq!(decode::<u8>(item, ""), Ok(7));
    assert_eq!(decode::<Duration>(item, ""), Ok(Duration::from_secs(7)));
    assert_eq!(decode::<serde_json::Value>(item, ""), Ok(serde_json::json!(7)));
    let empty = tree(&serde_json::json!(["$env "]));
    assert_eq!(decode::<Option<String>>(&empty.as_seq().unwrap()[0], ""), Ok(Some(String::new())));
}

#[test]
fn places_are_found_by_path() {
    let root = tree(&serde_json::json!({ "a": { "b.c": [1, 2] } }));
    let second = &root.get("a").unwrap().get("b.c").unwrap().as_seq().unwrap()[1];
    assert_eq!(root.find(r#"a["b.c"][1]"#), Some(second));
    assert_eq!(root.find("a.nothing"), None);
    assert_eq!(root.span_at(r#"a["b.c"][9]"#), root.find(r#"a["b.c"]"#).unwrap().span);
    assert_eq!(root.key_span_at(r#"a["b.c"]"#).start.line, 4);
    assert_eq!(root.key_span_at("a.nothing"), root.get("a").unwrap().span);
    assert_eq!(root.find(""), Some(&root));
}
