//! The steps there are. A step needs at least three phrases: wordings are held out by their combination.

use super::op::{OpKind, Param, Run};

const fn op(
    name: &'static str,
    param: Param,
    run: Run,
    code: &'static str,
    phrases: &'static [&'static str],
) -> OpKind {
    OpKind { name, param, phrases, code, run }
}

/// Every kind of step.
pub static OPS: &[OpKind] = &[
    // list of whole numbers → list of whole numbers
    op(
        "even",
        Param::None,
        Run::IntsInts(|xs, _| keep(xs, |x| x % 2 == 0)),
        "[x for x in {v} if x % 2 == 0]",
        &["keep the even numbers", "drop the odd numbers", "keep only numbers that are even"],
    ),
    op(
        "odd",
        Param::None,
        Run::IntsInts(|xs, _| keep(xs, |x| x % 2 != 0)),
        "[x for x in {v} if x % 2 != 0]",
        &["keep the odd numbers", "drop the even numbers", "keep only numbers that are odd"],
    ),
    op(
        "above",
        Param::Number,
        Run::IntsInts(|xs, k| keep(xs, |x| x > k)),
        "[x for x in {v} if x > {k}]",
        &["keep numbers above {k}", "keep the numbers greater than {k}", "keep only what is more than {k}"],
    ),
    op(
        "below",
        Param::Number,
        Run::IntsInts(|xs, k| keep(xs, |x| x < k)),
        "[x for x in {v} if x < {k}]",
        &["keep numbers below {k}", "keep the numbers less than {k}", "keep only what is under {k}"],
    ),
    op(
        "without",
        Param::Number,
        Run::IntsInts(|xs, k| keep(xs, |x| x != k)),
        "[x for x in {v} if x != {k}]",
        &["remove every {k}", "leave out all {k}s", "drop numbers equal to {k}"],
    ),
    op(
        "divisible",
        Param::Factor,
        Run::IntsInts(|xs, k| keep(xs, |x| x % k == 0)),
        "[x for x in {v} if x % {k} == 0]",
        &["keep multiples of {k}", "keep the numbers divisible by {k}", "drop what is not a multiple of {k}"],
    ),
    op(
        "add",
        Param::Number,
        Run::IntsInts(|xs, k| map(xs, |x| x + k)),
        "[x + {k} for x in {v}]",
        &["add {k} to each number", "increase every number by {k}", "raise each one by {k}"],
    ),
    op(
        "sub",
        Param::Number,
        Run::IntsInts(|xs, k| map(xs, |x| x - k)),
        "[x - {k} for x in {v}]",
        &["subtract {k} from each number", "decrease every number by {k}", "lower each one by {k}"],
    ),
    op(
        "mul",
        Param::Factor,
        Run::IntsInts(|xs, k| map(xs, |x| x * k)),
        "[x * {k} for x in {v}]",
        &["multiply each number by {k}", "make every number {k} times as big", "scale each one by {k}"],
    ),
    op(
        "mod",
        Param::Factor,
        Run::IntsInts(|xs, k| map(xs, |x| x.rem_euclid(k))),
        "[x % {k} for x in {v}]",
        &["take each number modulo {k}", "replace every number by its remainder by {k}", "reduce each one mod {k}"],
    ),
    op(
        "cap",
        Param::Number,
        Run::IntsInts(|xs, k| map(xs, |x| x.min(k))),
        "[min(x, {k}) for x in {v}]",
        &["cap each number at {k}", "limit every number to at most {k}", "clip each one to {k}"],
    ),
    op(
        "square",
        Param::None,
        Run::IntsInts(|xs, _| map(xs, |x| x * x)),
        "[x * x for x in {v}]",
        &["square each number", "multiply every number by itself", "replace each one by its square"],
    ),
    op(
        "negate",
        Param::None,
        Run::IntsInts(|xs, _| map(xs, |x| -x)),
        "[-x for x in {v}]",
        &["negate each number", "flip the sign of every number", "change the sign of each one"],
    ),
    op(
        "abs",
        Param::None,
        Run::IntsInts(|xs, _| map(xs, i64::abs)),
        "[abs(x) for x in {v}]",
        &["take absolute values", "make every number positive", "drop the sign of each number"],
    ),
    op(
        "reverse",
        Param::None,
        Run::IntsInts(|xs, _| xs.into_iter().rev().collect()),
        "{v}[::-1]",
        &["reverse the list", "turn the list around", "put the list in reverse order"],
    ),
    op(
        "sort",
        Param::None,
        Run::IntsInts(|xs, _| sorted(xs)),
        "sorted({v})",
        &["sort the list", "put the numbers in ascending order", "sort from small to large"],
    ),
    op(
        "descend",
        Param::None,
        Run::IntsInts(|xs, _| sorted(xs).into_iter().rev().collect()),
        "sorted({v}, reverse=True)",
        &["sort the list in descending order", "put the largest numbers first", "sort from large to small"],
    ),
    op(
        "unique",
        Param::None,
        Run::IntsInts(|xs, _| unique(xs)),
        "list(dict.fromkeys({v}))",
        &["remove duplicates", "keep each number only once", "drop repeated numbers"],
    ),
    op(
        "take",
        Param::Count,
        Run::IntsInts(|xs, k| xs.into_iter().take(k as usize).collect()),
        "{v}[:{k}]",
        &["take the first {k}", "keep only the first {k} elements", "cut the list to its first {k}"],
    ),
    op(
        "drop",
        Param::Count,
        Run::IntsInts(|xs, k| xs.into_iter().skip(k as usize).collect()),
        "{v}[{k}:]",
        &["drop the first {k}", "remove the first {k} elements", "skip the first {k}"],
    ),
    op(
        "last",
        Param::Count,
        Run::IntsInts(|xs, k| xs[xs.len().saturating_sub(k as usize)..].to_vec()),
        "{v}[-{k}:]",
        &["take the last {k}", "keep only the last {k} elements", "cut the list to its last {k}"],
    ),
    op(
        "trim",
        Param::Count,
        Run::IntsInts(|xs, k| xs[..xs.len().saturating_sub(k as usize)].to_vec()),
        "{v}[:-{k}]",
        &["drop the last {k}", "remove the last {k} elements", "cut off the last {k}"],
    ),
    op(
        "second",
        Param::None,
        Run::IntsInts(|xs, _| xs.into_iter().step_by(2).collect()),
        "{v}[::2]",
        &["keep every second element", "take every other element", "skip every second one, starting with the first"],
    ),
    op(
        "append",
        Param::Number,
        Run::IntsInts(|mut xs, k| {
            xs.push(k);
            xs
        }),
        "{v} + [{k}]",
        &["append {k}", "put {k} at the end", "add the element {k} to the end"],
    ),
    op(
        "prepend",
        Param::Number,
        Run::IntsInts(|mut xs, k| {
            xs.insert(0, k);
            xs
        }),
        "[{k}] + {v}",
        &["prepend {k}", "put {k} at the front", "insert {k} at the start"],
    ),
    // list of whole numbers → whole number
    op(
        "sum",
        Param::None,
        Run::IntsInt(|xs, _| xs.iter().sum()),
        "sum({v})",
        &["return the sum", "add them all up", "return the total"],
    ),
    op(
        "len",
        Param::None,
        Run::IntsInt(|xs, _| xs.len() as i64),
        "len({v})",
        &["return how many there are", "count them", "return the length of the list"],
    ),
    op(
        "max",
        Param::None,
        Run::IntsInt(|xs, _| xs.iter().copied().max().unwrap_or(0)),
        "max({v}, default=0)",
        &["return the largest, or 0", "return the maximum, 0 for an empty list", "pick the biggest, or 0 if none"],
    ),
    op(
        "min",
        Param::None,
        Run::IntsInt(|xs, _| xs.iter().copied().min().unwrap_or(0)),
        "min({v}, default=0)",
        &["return the smallest, or 0", "return the minimum, 0 for an empty list", "pick the least, or 0 if none"],
    ),
    op(
        "count",
        Param::Number,
        Run::IntsInt(|xs, k| xs.iter().filter(|&&x| x == k).count() as i64),
        "{v}.count({k})",
        &["count how often {k} occurs", "return the number of {k}s", "count the elements equal to {k}"],
    ),
    // whole number → whole number
    op(
        "plus",
        Param::Number,
        Run::IntInt(|n, k| n + k),
        "n + {k}",
        &["add {k}", "increase it by {k}", "raise it by {k}"],
    ),
    op(
        "minus",
        Param::Number,
        Run::IntInt(|n, k| n - k),
        "n - {k}",
        &["subtract {k}", "decrease it by {k}", "lower it by {k}"],
    ),
    op(
        "times",
        Param::Factor,
        Run::IntInt(|n, k| n * k),
        "n * {k}",
        &["multiply it by {k}", "make it {k} times as big", "scale it by {k}"],
    ),
    op(
        "modulo",
        Param::Factor,
        Run::IntInt(|n, k| n.rem_euclid(k)),
        "n % {k}",
        &["take it modulo {k}", "return the remainder by {k}", "reduce it mod {k}"],
    ),
    op(
        "div",
        Param::Factor,
        Run::IntInt(|n, k| n.div_euclid(k)),
        "n // {k}",
        &["divide it by {k}, rounding down", "integer-divide by {k}", "take the whole part of it over {k}"],
    ),
    op(
        "squared",
        Param::None,
        Run::IntInt(|n, _| n * n),
        "n * n",
        &["square it", "multiply it by itself", "take its square"],
    ),
    op(
        "size",
        Param::None,
        Run::IntInt(|n, _| n.abs()),
        "abs(n)",
        &["take its absolute value", "drop its sign", "make it positive"],
    ),
    op(
        "digits",
        Param::None,
        Run::IntInt(|n, _| n.abs().to_string().bytes().map(|b| i64::from(b - b'0')).sum()),
        "sum(int(c) for c in str(abs(n)))",
        &["sum its digits", "add up its digits", "return the digit sum"],
    ),
    // text → text
    op(
        "upper",
        Param::None,
        Run::StrStr(|s, _| s.to_ascii_uppercase()),
        "s.upper()",
        &["make it upper case", "turn it into capitals", "uppercase the text"],
    ),
    op(
        "title",
        Param::None,
        Run::StrStr(|s, _| capitalised(s)),
        "s.capitalize()",
        &["capitalize it", "make only the first letter a capital", "capitalize the text"],
    ),
    op(
        "backward",
        Param::None,
        Run::StrStr(|s, _| s.chars().rev().collect()),
        "s[::-1]",
        &["reverse the text", "write it backwards", "turn the text around"],
    ),
    op(
        "erase",
        Param::Letter,
        Run::StrStr(|s, c| s.replace(c, "")),
        "s.replace('{k}', '')",
        &["remove every '{k}'", "erase the letter '{k}'", "delete each '{k}'"],
    ),
    op(
        "dash",
        Param::Letter,
        Run::StrStr(|s, c| s.replace(c, "-")),
        "s.replace('{k}', '-')",
        &["replace every '{k}' by '-'", "turn each '{k}' into '-'", "put '-' in place of '{k}'"],
    ),
    op(
        "novowel",
        Param::None,
        Run::StrStr(|s, _| s.chars().filter(|&c| !vowel(c)).collect()),
        "''.join(c for c in s if c not in 'aeiou')",
        &["remove the vowels", "erase all vowels", "keep everything but vowels"],
    ),
    op(
        "nospace",
        Param::None,
        Run::StrStr(|s, _| s.replace(' ', "")),
        "s.replace(' ', '')",
        &["remove the spaces", "erase all spaces", "close the gaps between words"],
    ),
    op(
        "head",
        Param::Count,
        Run::StrStrN(|s, k| s.chars().take(k).collect()),
        "s[:{k}]",
        &["take the first {k} characters", "keep only its first {k} letters", "cut it to {k} characters"],
    ),
    op(
        "tail",
        Param::Count,
        Run::StrStrN(|s, k| s.chars().skip(k).collect()),
        "s[{k}:]",
        &["drop the first {k} characters", "remove its first {k} letters", "skip {k} characters"],
    ),
    op(
        "repeat",
        Param::Factor,
        Run::StrStrN(str::repeat),
        "s * {k}",
        &["repeat it {k} times", "write it {k} times over", "return {k} copies in a row"],
    ),
    // text → whole number, words
    op(
        "length",
        Param::None,
        Run::StrInt(|s, _| s.chars().count() as i64),
        "len(s)",
        &["return its length", "count its characters", "return how long it is"],
    ),
    op(
        "letter",
        Param::Letter,
        Run::StrInt(|s, c| s.matches(c).count() as i64),
        "s.count('{k}')",
        &["count every '{k}'", "return how often '{k}' occurs", "count the letter '{k}'"],
    ),
    op(
        "vowels",
        Param::None,
        Run::StrInt(|s, _| s.chars().filter(|&c| vowel(c)).count() as i64),
        "sum(c in 'aeiou' for c in s)",
        &["count the vowels", "return the number of vowels", "return how many vowels it has"],
    ),
    op(
        "split",
        Param::None,
        Run::StrWords(|s| s.split_whitespace().map(str::to_owned).collect()),
        "s.split()",
        &["split it into words", "return the list of its words", "break it into words"],
    ),
    // words
    op(
        "uppers",
        Param::None,
        Run::WordsWords(|ws, _| each(&ws, str::to_ascii_uppercase)),
        "[w.upper() for w in ws]",
        &["make each word upper case", "uppercase every word", "turn the words into capitals"],
    ),
    op(
        "flip",
        Param::None,
        Run::WordsWords(|ws, _| each(&ws, |w| w.chars().rev().collect())),
        "[w[::-1] for w in ws]",
        &["reverse each word", "write every word backwards", "turn each word around"],
    ),
    op(
        "longer",
        Param::Factor,
        Run::WordsWords(|ws, k| ws.into_iter().filter(|w| w.len() as i64 > k).collect()),
        "[w for w in ws if len(w) > {k}]",
        &["keep words longer than {k}", "keep words of more than {k} letters", "drop words of {k} letters or less"],
    ),
    op(
        "start",
        Param::Letter,
        Run::WordsWords(|ws, k| ws.into_iter().filter(|w| w.bytes().next().map(i64::from) == Some(k)).collect()),
        "[w for w in ws if w.startswith('{k}')]",
        &[
            "keep words that start with '{k}'",
            "keep the words beginning with '{k}'",
            "drop words not starting with '{k}'",
        ],
    ),
    op(
        "alphabetical",
        Param::None,
        Run::WordsWords(|ws, _| sorted(ws)),
        "sorted(ws)",
        &["sort the words", "put the words in alphabetical order", "sort the words from a to z"],
    ),
    op(
        "bylength",
        Param::None,
        Run::WordsWords(|mut ws, _| {
            ws.sort_by_key(String::len);
            ws
        }),
        "sorted(ws, key=len)",
        &["sort the words by length", "put short words first", "order the words by their length"],
    ),
    op(
        "turn",
        Param::None,
        Run::WordsWords(|ws, _| ws.into_iter().rev().collect()),
        "ws[::-1]",
        &["reverse the order of the words", "put the words in reverse order", "turn the word list around"],
    ),
    op(
        "lengths",
        Param::None,
        Run::WordsInts(|ws| ws.iter().map(|w| w.len() as i64).collect()),
        "[len(w) for w in ws]",
        &["replace each word by its length", "return the lengths of the words", "measure every word"],
    ),
    op(
        "join",
        Param::None,
        Run::WordsStr(|ws| ws.join(" ")),
        "' '.join(ws)",
        &["join the words with spaces", "glue the words with spaces between", "return one text of the words"],
    ),
    op(
        "hyphen",
        Param::None,
        Run::WordsStr(|ws| ws.join("-")),
        "'-'.join(ws)",
        &["join the words with '-'", "glue the words with '-' between", "connect the words by '-'"],
    ),
    // dict
    op(
        "exceed",
        Param::Number,
        Run::DictDict(|d, k| d.into_iter().filter(|(_, v)| *v > k).collect()),
        "{a: b for a, b in d.items() if b > {k}}",
        &[
            "keep entries with a value above {k}",
            "keep the pairs whose value is greater than {k}",
            "drop values that are not above {k}",
        ],
    ),
    op(
        "under",
        Param::Number,
        Run::DictDict(|d, k| d.into_iter().filter(|(_, v)| *v < k).collect()),
        "{a: b for a, b in d.items() if b < {k}}",
        &[
            "keep entries with a value below {k}",
            "keep the pairs whose value is less than {k}",
            "drop values that are not below {k}",
        ],
    ),
    op(
        "bonus",
        Param::Number,
        Run::DictDict(|d, k| d.into_iter().map(|(a, v)| (a, v + k)).collect()),
        "{a: b + {k} for a, b in d.items()}",
        &["add {k} to every value", "increase each value by {k}", "raise all values by {k}"],
    ),
    op(
        "keys",
        Param::None,
        Run::DictWords(|d| sorted(d.iter().map(|(a, _)| a.clone()).collect())),
        "sorted(d)",
        &["return the sorted keys", "list the keys in order", "return its keys from a to z"],
    ),
    op(
        "values",
        Param::None,
        Run::DictInts(|d| d.iter().map(|(_, v)| *v).collect()),
        "list(d.values())",
        &["return the values", "list its values", "return a list of the values"],
    ),
    op(
        "total",
        Param::None,
        Run::DictInt(|d| d.iter().map(|(_, v)| *v).sum()),
        "sum(d.values())",
        &["return the sum of the values", "add up all values", "return the total of its values"],
    ),
];

fn keep(xs: Vec<i64>, test: impl Fn(i64) -> bool) -> Vec<i64> {
    xs.into_iter().filter(|&x| test(x)).collect()
}

fn map(xs: Vec<i64>, change: impl Fn(i64) -> i64) -> Vec<i64> {
    xs.into_iter().map(change).collect()
}

fn each(ws: &[String], change: impl Fn(&str) -> String) -> Vec<String> {
    ws.iter().map(|w| change(w)).collect()
}

fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort();
    items
}

fn unique(xs: Vec<i64>) -> Vec<i64> {
    let mut seen = Vec::new();
    for x in xs {
        if !seen.contains(&x) {
            seen.push(x);
        }
    }
    seen
}

fn vowel(c: char) -> bool {
    "aeiou".contains(c)
}

/// Python's `str.capitalize` on ASCII text.
fn capitalised(s: &str) -> String {
    let lower = s.to_ascii_lowercase();
    let mut chars = lower.chars();
    chars.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + chars.as_str())
}
