//! Cases from text. A file that cannot be read fails its test, with the line.

/// What the gateway may do where an answer is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Status(u16),
    /// It closes and says nothing.
    Closed,
}

/// What must hold for the connection after the last answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// The gateway closes it, with not a byte more.
    Close,
    /// Another request on it is answered as usual.
    Open,
    Any,
}

/// How the request is cut into packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Split {
    No,
    /// Every byte a packet.
    Bytes,
    /// In two, at each position in turn.
    Each,
}

/// What the origin does after its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    Keep,
    Close,
    Reset,
}

/// Something that must hold for a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Check {
    Has(String, Option<String>),
    Lacks(String),
    /// No line of the field holds the text.
    ValueLacks(String, String),
    Body(Vec<u8>),
    BodyLacks(String),
    Trailer(String, String),
    LacksTrailer(String),
    Line(String),
    Truncated,
}

/// How many of something the origin must see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    Exactly(usize),
    /// As many as were answered below 400.
    Answered,
    Any,
}

/// One case, as `README.md` beside the files describes it.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) file: String,
    pub(crate) name: String,
    pub(crate) why: String,
    pub(crate) config: String,
    pub(crate) send: Vec<u8>,
    pub(crate) split: Split,
    pub(crate) half_close: bool,
    pub(crate) answer: Option<Vec<u8>>,
    pub(crate) after: After,
    pub(crate) outcomes: Vec<Vec<Outcome>>,
    pub(crate) then: Option<Then>,
    /// The informational answers before the first final one; none for any.
    pub(crate) interim: Option<Vec<u16>>,
    pub(crate) client: Vec<Check>,
    pub(crate) requests: Count,
    pub(crate) complete: Count,
    pub(crate) origin: Vec<Check>,
    pub(crate) never_reused: bool,
}

impl Case {
    /// What holds after the last answer: as the case says, or what the statuses imply.
    pub(crate) fn then(&self) -> Then {
        let statuses = self.outcomes.last().map(Vec::as_slice).unwrap_or_default();
        let all = |test: fn(u16) -> bool| statuses.iter().all(|o| matches!(o, Outcome::Status(s) if test(*s)));
        match self.then {
            Some(then) => then,
            None if all(|s| matches!(s, 400 | 408 | 413 | 414 | 431 | 501 | 505)) => Then::Close,
            None if all(|s| (200..300).contains(&s)) => Then::Open,
            None => Then::Any,
        }
    }

    /// The methods of the requests sent, in order, as far as lines tell.
    pub(crate) fn method(&self, index: usize) -> String {
        let text = tollgate_testkit::latin1(&self.send);
        let mut methods = text.lines().filter_map(|line| {
            let (method, rest) = line.split_once(' ')?;
            (rest.contains(" HTTP/") && method.bytes().all(|b| b.is_ascii_uppercase())).then(|| method.to_owned())
        });
        methods.nth(index).unwrap_or_else(|| "GET".into())
    }
}

/// Reads a file: settings for all, then cases that begin with `== name`.
pub(crate) fn parse(file: &str, text: &str) -> Vec<Case> {
    let mut config = "default".to_owned();
    let mut blocks: Vec<(String, Vec<(usize, &str)>)> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.starts_with('#') || line.is_empty() {
            continue;
        }
        if let Some(name) = line.strip_prefix("== ") {
            blocks.push((name.trim().to_owned(), Vec::new()));
        } else if let Some((_, lines)) = blocks.last_mut() {
            lines.push((number + 1, line));
        } else if let Some(value) = line.strip_prefix("config: ") {
            config = value.to_owned();
        } else {
            panic!("{file}:{}: {line:?} before the first case", number + 1);
        }
    }
    blocks.iter().flat_map(|(name, lines)| expand(file, &config, name, lines)).collect()
}

/// One case, or one for each `each:` line.
fn expand(file: &str, config: &str, name: &str, lines: &[(usize, &str)]) -> Vec<Case> {
    let variants: Vec<&str> = lines
        .iter()
        .filter_map(|(_, line)| line.strip_prefix("each:"))
        .map(|text| text.strip_prefix(' ').unwrap_or(text))
        .collect();
    if variants.is_empty() {
        return vec![read(file, config, name, lines, "")];
    }
    let read = |(index, variant): (usize, &&str)| read(file, config, &format!("{name}/{}", index + 1), lines, variant);
    variants.iter().enumerate().map(read).collect()
}

fn read(file: &str, config: &str, name: &str, lines: &[(usize, &str)], variant: &str) -> Case {
    let mut case = Case {
        file: file.into(),
        name: name.into(),
        why: String::new(),
        config: config.into(),
        send: Vec::new(),
        split: Split::No,
        half_close: false,
        answer: None,
        after: After::Keep,
        outcomes: Vec::new(),
        then: None,
        interim: Some(Vec::new()),
        client: Vec::new(),
        requests: Count::Answered,
        complete: Count::Any,
        origin: Vec::new(),
        never_reused: false,
    };
    for (number, line) in lines {
        let line = line.replace("{each}", variant);
        if let Err(error) = read_line(&mut case, &line) {
            panic!("{file}:{number}: {error}: {line:?}");
        }
    }
    assert!(!case.why.is_empty(), "{file}: {name} gives no reason");
    assert!(!case.outcomes.is_empty(), "{file}: {name} expects no status");
    if !lines.iter().any(|(_, line)| line.starts_with('>')) {
        case.send = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n".to_vec();
    }
    case
}

fn read_line(case: &mut Case, line: &str) -> Result<(), String> {
    if let Some(text) = line.strip_prefix('>') {
        return wire_line(&mut case.send, text);
    }
    if let Some(text) = line.strip_prefix('<') {
        return wire_line(case.answer.get_or_insert_default(), text);
    }
    let (key, value) = line.split_once(':').unwrap_or((line, ""));
    let value = value.trim();
    let (side, key) = key.strip_prefix("origin ").map_or((&mut case.client, key), |key| (&mut case.origin, key));
    let origin = line.starts_with("origin ");
    match key {
        "each" => {}
        "why" => case.why = value.into(),
        "config" => case.config = value.into(),
        "split" if value == "bytes" => case.split = Split::Bytes,
        "split" if value == "each" => case.split = Split::Each,
        "half-close" => case.half_close = true,
        "after" if value == "close" => case.after = After::Close,
        "after" if value == "reset" => case.after = After::Reset,
        "status" => case.outcomes = value.split(',').map(outcomes).collect::<Result<_, _>>()?,
        "then" => {
            case.then = Some(match value {
                "close" => Then::Close,
                "open" => Then::Open,
                "any" => Then::Any,
                _ => return Err("then what".into()),
            });
        }
        "interim" if value == "any" => case.interim = None,
        "interim" => {
            let statuses = value.split_whitespace().map(str::parse).collect::<Result<_, _>>();
            case.interim = Some(statuses.map_err(|_| "not a list of statuses")?);
        }
        "origin" => case.requests = count(value)?,
        "complete" if origin => case.complete = count(value)?,
        "reuse" if origin && value == "never" => case.never_reused = true,
        "line" if origin => side.push(Check::Line(latin1(value)?)),
        "has" => {
            let (name, value) = value.split_once(':').ok_or("has what")?;
            let value = value.trim();
            let value = if value == "*" { None } else { Some(latin1(value)?) };
            side.push(Check::Has(name.into(), value));
        }
        "lacks" => side.push(Check::Lacks(value.into())),
        "value lacks" => {
            let (name, value) = value.split_once(':').ok_or("which field")?;
            side.push(Check::ValueLacks(name.into(), latin1(value.trim())?));
        }
        "body" => side.push(Check::Body(unescape(value)?)),
        "body lacks" => side.push(Check::BodyLacks(latin1(value)?)),
        "trailer" => {
            let (name, value) = value.split_once(':').ok_or("which trailer")?;
            side.push(Check::Trailer(name.into(), latin1(value.trim())?));
        }
        "lacks trailer" => side.push(Check::LacksTrailer(value.into())),
        "truncated" if !origin => side.push(Check::Truncated),
        _ => return Err("an unknown key or value".into()),
    }
    Ok(())
}

fn outcomes(list: &str) -> Result<Vec<Outcome>, String> {
    let one = |word: &str| match word.trim() {
        "closed" => Ok(Outcome::Closed),
        status => status.parse().map(Outcome::Status).map_err(|_| format!("{status:?} is not a status")),
    };
    list.split('|').map(one).collect()
}

fn count(value: &str) -> Result<Count, String> {
    match value {
        "any" => Ok(Count::Any),
        number => number.parse().map(Count::Exactly).map_err(|_| "how many".into()),
    }
}

/// Appends what follows `>` or `<`: the text and CRLF, or no CRLF where it ends with a backslash.
fn wire_line(out: &mut Vec<u8>, text: &str) -> Result<(), String> {
    let text = text.strip_prefix(' ').unwrap_or(text);
    let open = text.ends_with('\\') && !text.ends_with("\\\\");
    let text = if open { text.strip_suffix('\\').unwrap_or(text) } else { text };
    out.extend(unescape(text)?);
    if !open {
        out.extend_from_slice(b"\r\n");
    }
    Ok(())
}

fn latin1(text: &str) -> Result<String, String> {
    unescape(text).map(|bytes| tollgate_testkit::latin1(&bytes))
}

/// Resolves `\r \n \t \0 \\ \{ \xHH` and `{"text"*count}`.
fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some((inner, after)) = rest.strip_prefix("{\"").and_then(|r| r.split_once("\"*")) {
            let (times, after) = after.split_once('}').ok_or("a repetition without its end")?;
            let times = times.parse().map_err(|_| "a repetition without its count")?;
            out.extend(unescape(inner)?.repeat(times));
            rest = after;
            continue;
        }
        rest = rest.get(first.len_utf8()..).unwrap_or_default();
        if first != '\\' {
            out.extend_from_slice(first.to_string().as_bytes());
            continue;
        }
        let escape = rest.chars().next().ok_or("an escape without its letter")?;
        rest = rest.get(escape.len_utf8()..).unwrap_or_default();
        out.push(match escape {
            'r' => b'\r',
            'n' => b'\n',
            't' => b'\t',
            '0' => 0,
            '\\' | '{' => u8::try_from(escape).map_err(|_| "ASCII only")?,
            'x' => {
                let digits = rest.get(..2).ok_or("\\x without its digits")?;
                rest = rest.get(2..).unwrap_or_default();
                u8::from_str_radix(digits, 16).map_err(|_| "\\x without its digits")?
            }
            _ => return Err(format!("an unknown escape \\{escape}")),
        });
    }
    Ok(out)
}
