//! Files of rows: JSON lines, JSON arrays and CSV (plain or gzipped), Parquet. Bad rows are counted and named, and
//! reading goes on; what had to be mended, and columns that mean nothing here, are counted too.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::{Map, Value};

use super::Record;
use super::json::{self, BYTE_ORDER_MARK, Mended};
use super::shape::{self, Shaped, Tags};
use crate::error::{Exit, UserError};

/// One row's text; a longer line is something else.
const LINE_BYTES_MAX: usize = 64 << 20;
/// A JSON array is read whole.
const ARRAY_BYTES_MAX: u64 = 2 << 30;
/// Bytes by which a file's kind is told.
const HEAD_BYTES: usize = 64;
/// Of the bad rows, this many are named.
const NAMED_MAX: usize = 20;

/// What reading found besides records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub bad_rows: u64,
    /// Row number (from 1) and what is wrong with it; the first few.
    pub named: Vec<(u64, String)>,
    /// Columns that hold something and were not used, with the rows they were in.
    pub unused: BTreeMap<String, u64>,
    /// Rows with `NaN` or `Infinity`, which JSON does not know; read as nothing.
    pub no_numbers: u64,
}

impl Found {
    fn bad(&mut self, row: u64, why: String) {
        self.bad_rows += 1;
        if self.named.len() < NAMED_MAX {
            self.named.push((row, why));
        }
    }
}

/// Reads every row of a file, handing each record on as it comes.
///
/// # Errors
/// A file that cannot be opened or is not of a known kind. Bad rows are not errors.
pub fn records(path: &Path, tags: Tags, mut each: impl FnMut(Record) -> anyhow::Result<()>) -> anyhow::Result<Found> {
    let mut found = Found::default();
    let stem = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let mut number = 0;
    values(path, &mut |row| {
        number += 1;
        if row.as_ref().is_ok_and(|(_, mended)| mended.no_number) {
            found.no_numbers += 1;
        }
        match row.and_then(|row| shaped(&row, &format!("{stem}:{number}"), tags)) {
            Ok(Shaped { record, unused }) => {
                for column in unused {
                    *found.unused.entry(column).or_insert(0) += 1;
                }
                each(record)
            }
            Err(why) => {
                found.bad(number, why);
                Ok(())
            }
        }
    })?;
    Ok(found)
}

/// A row as a record; half a character in its words spoils them.
///
/// # Errors
/// As [`shape::record`].
pub fn shaped((row, mended): &(Value, Mended), id: &str, tags: Tags) -> Result<Shaped, String> {
    let shaped = shape::record(row, id, tags)?;
    let spoilt = |text: &str| mended.half_character && text.contains('\u{fffd}');
    let record = &shaped.record;
    if spoilt(&record.response) || record.messages.iter().any(|message| spoilt(&message.content)) {
        return Err("its words hold half a character (a lone surrogate such as \\ud83d)".to_owned());
    }
    Ok(shaped)
}

/// Takes rows one by one: a value, and what had to be mended in it.
pub type Each<'a> = &'a mut dyn FnMut(Result<(Value, Mended), String>) -> anyhow::Result<()>;

/// Reads every row of a file as JSON, whatever it means; a row that is not JSON comes as an error text.
///
/// # Errors
/// As [`records`].
pub fn values(path: &Path, each: Each<'_>) -> anyhow::Result<()> {
    let unreadable =
        |problem: &dyn std::fmt::Display| UserError::new(Exit::Error, format!("{}: {problem}", path.display()));
    let mut file = File::open(path).map_err(|problem| unreadable(&problem))?;
    let mut magic = [0; 4];
    let got = file.read(&mut magic).map_err(|problem| unreadable(&problem))?;
    file.seek(SeekFrom::Start(0)).map_err(|problem| unreadable(&problem))?;
    match &magic[..got] {
        [b'P', b'A', b'R', b'1'] => parquet_rows(path, file, each),
        [0x1f, 0x8b, ..] => text_rows(path, MultiGzDecoder::new(file), each),
        [b'P', b'K', 3, 4] => Err(unreadable(&"it is a zip archive").hint("unpack it first").into()),
        [0x28, 0xb5, 0x2f, 0xfd] => {
            Err(unreadable(&"it is compressed with zstd").hint("unpack it first: zstd -d FILE").into())
        }
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
            Err(unreadable(&"it is UTF-16 text").hint("save it as UTF-8: iconv -f UTF-16 -t UTF-8 FILE > NEW").into())
        }
        _ => text_rows(path, file, each),
    }
}

/// Rows of a text file, whose kind its first bytes and its name tell.
fn text_rows(path: &Path, mut input: impl Read, each: Each<'_>) -> anyhow::Result<()> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    (&mut input)
        .take(HEAD_BYTES as u64)
        .read_to_end(&mut head)
        .map_err(|problem| UserError::new(Exit::Error, format!("{}: {problem}", path.display())))?;
    if head.starts_with(BYTE_ORDER_MARK) {
        head.drain(..BYTE_ORDER_MARK.len());
    }
    let first = head.iter().copied().find(|byte| !byte.is_ascii_whitespace());
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().to_lowercase());
    let name = Path::new(name.trim_end_matches(".gz"));
    let kind = name.extension().and_then(std::ffi::OsStr::to_str);
    let reader = BufReader::with_capacity(1 << 20, Cursor::new(head).chain(input));
    match (kind, first) {
        (Some("csv"), _) => csv_rows(path, reader, b',', each),
        (Some("tsv"), _) => csv_rows(path, reader, b'\t', each),
        (_, Some(b'[')) => array_rows(path, reader, each),
        _ => lines(path, reader, each),
    }
}

fn array_rows(path: &Path, reader: impl Read, each: Each<'_>) -> anyhow::Result<()> {
    let broken = |problem: &dyn std::fmt::Display| {
        UserError::new(Exit::Error, format!("{}: {problem}", path.display()))
            .hint("one JSON object a line is read row by row")
    };
    let mut text = Vec::new();
    reader.take(ARRAY_BYTES_MAX).read_to_end(&mut text).map_err(|problem| broken(&problem))?;
    let (value, mended) = json::parse(&text).map_err(|problem| broken(&problem))?;
    drop(text);
    let Value::Array(values) = value else { return Err(broken(&"not a list").into()) };
    values.into_iter().try_for_each(|value| each(Ok((value, mended))))
}

fn lines(path: &Path, mut reader: impl BufRead, each: Each<'_>) -> anyhow::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let got = reader
            .by_ref()
            .take(LINE_BYTES_MAX as u64)
            .read_until(b'\n', &mut line)
            .map_err(|problem| UserError::new(Exit::Error, format!("{}: {problem}", path.display())))?;
        if got == 0 {
            return Ok(());
        }
        if got == LINE_BYTES_MAX && !line.ends_with(b"\n") {
            return Err(UserError::new(
                Exit::Error,
                format!("{}: a line of more than {LINE_BYTES_MAX} bytes", path.display()),
            )
            .hint("is this a file of JSON lines?")
            .into());
        }
        if !line.trim_ascii().is_empty() {
            each(json::parse(&line))?;
        }
    }
}

/// Rows of a table in text, whose first line names the columns.
fn csv_rows(path: &Path, mut reader: impl BufRead, separator: u8, each: Each<'_>) -> anyhow::Result<()> {
    let broken = |problem: &dyn std::fmt::Display| {
        UserError::new(Exit::Error, format!("{}: {problem}", path.display()))
            .hint("its first line must name the columns")
    };
    let start = reader.fill_buf().map_err(|problem| broken(&problem))?;
    let first_line = start.split(|&byte| byte == b'\n').next().unwrap_or_default();
    // Spreadsheets of half of Europe separate by semicolons.
    let semicolons = separator == b',' && !first_line.contains(&b',') && first_line.contains(&b';');
    let separator = if semicolons { b';' } else { separator };
    let mut table = csv::ReaderBuilder::new().delimiter(separator).from_reader(reader);
    let names: Vec<String> = match table.headers() {
        Ok(names) => names.iter().map(|name| name.trim().to_owned()).collect(),
        Err(problem) => return Err(broken(&problem).into()),
    };
    if let Some(twice) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
        return Err(broken(&format!("two columns are called {:?}", twice.1)).into());
    }
    for row in table.byte_records() {
        let row = match row {
            Ok(row) => row,
            Err(problem) if matches!(problem.kind(), csv::ErrorKind::Io(_)) => return Err(broken(&problem).into()),
            Err(problem) => {
                each(Err(problem.to_string()))?;
                continue;
            }
        };
        let cell = |(name, bytes): (&String, &[u8])| {
            let text = std::str::from_utf8(bytes).map_err(|_| format!("column {name:?} is not UTF-8 text"))?;
            Ok((name.clone(), Value::String(text.to_owned())))
        };
        let cells: Result<Map<String, Value>, String> = names.iter().zip(row.iter()).map(cell).collect();
        each(cells.map(|cells| (Value::Object(cells), Mended::default())))?;
    }
    Ok(())
}

fn parquet_rows(path: &Path, file: File, each: Each<'_>) -> anyhow::Result<()> {
    let broken = |problem: &dyn std::fmt::Display| {
        let text = problem.to_string();
        // Said by the library where it does not know a compression.
        let hint = if text.contains("Disabled feature") || text.contains("not supported") {
            "write it with another compression, such as zstd or snappy"
        } else {
            "is the Parquet file complete? download it again"
        };
        UserError::new(Exit::Error, format!("{}: {text}", path.display())).hint(hint)
    };
    let reader = SerializedFileReader::new(file).map_err(|problem| broken(&problem))?;
    for row in reader.get_row_iter(None).map_err(|problem| broken(&problem))? {
        // A broken page spoils everything behind it: unlike a bad row it ends the reading.
        let row = row.map_err(|problem| broken(&problem))?;
        let columns = row.into_columns().into_iter().map(|(name, field)| (name, value_of(&field)));
        each(Ok((Value::Object(columns.collect()), Mended::default())))?;
    }
    Ok(())
}

/// A field as JSON. Bytes without a type are text where they are UTF-8, as several writers store strings; other
/// bytes (pictures) become an object that no shape takes for text.
fn value_of(field: &Field) -> Value {
    match field {
        Field::Bytes(bytes) => match bytes.as_utf8() {
            Ok(text) => Value::String(text.to_owned()),
            Err(_) => serde_json::json!({ "bytes": bytes.len() }),
        },
        Field::Group(row) => {
            Value::Object(row.get_column_iter().map(|(name, field)| (name.clone(), value_of(field))).collect())
        }
        Field::ListInternal(list) => Value::Array(list.elements().iter().map(value_of).collect()),
        Field::MapInternal(map) => {
            let key = |field: &Field| match value_of(field) {
                Value::String(text) => text,
                other => other.to_string(),
            };
            Value::Object(map.entries().iter().map(|(name, field)| (key(name), value_of(field))).collect())
        }
        other => other.to_json_value(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn read(bytes: &[u8]) -> anyhow::Result<(Vec<Record>, Found)> {
        read_named(".jsonl", bytes)
    }

    fn read_named(suffix: &str, bytes: &[u8]) -> anyhow::Result<(Vec<Record>, Found)> {
        let mut file = tempfile::Builder::new().suffix(suffix).tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let mut found = Vec::new();
        let bad = records(file.path(), Tags::Strip, |record| {
            found.push(record);
            Ok(())
        })?;
        Ok((found, bad))
    }

    #[test]
    fn bad_rows_are_named_and_the_rest_is_read() {
        let (found, bad) = read(b"{\"question\":\"q\",\"response\":\"a\"}\n{\"question\":\n\xff\xfe\n\n{\"x\":1}\n{\"question\":\"q\",\"response\":\"b\"}").unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(bad.bad_rows, 3);
        assert_eq!(bad.named[0].0, 2);
        assert!(bad.named[2].1.contains("columns"));
    }

    #[test]
    fn arrays_and_gzip_are_read_too() {
        assert_eq!(read(b" [{\"question\":\"q\",\"response\":\"a\"}]").unwrap().0.len(), 1);
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(b"{\"question\":\"q\",\"response\":\"a\"}\n").unwrap();
        assert_eq!(read(&gz.finish().unwrap()).unwrap().0.len(), 1);
        assert!(read(b"[{\"question\":").is_err());
    }

    #[test]
    fn a_byte_order_mark_and_pythons_numbers_lose_no_row() {
        let row = "{\"question\":\"q\",\"response\":\"a\",\"score\":NaN}";
        for text in [format!("\u{feff}{row}\n{row}"), format!("\u{feff}[{row},{row}]")] {
            let (found, about) = read(text.as_bytes()).unwrap();
            assert_eq!((found.len(), about.bad_rows, about.no_numbers), (2, 0, 2), "{text}");
        }
        let halves = r#"{"question":"q","response":"a","name":"\ud83d"}"#;
        assert_eq!(read(halves.as_bytes()).unwrap().0.len(), 1);
        let (found, about) = read(halves.replace(r#":"a""#, r#":"a \ud83d""#).as_bytes()).unwrap();
        assert_eq!(found.len(), 0);
        assert!(about.named[0].1.contains("half a character"), "{:?}", about.named);
        for other in [&b"\xff\xfe{\0"[..], b"PK\x03\x04", b"\x28\xb5\x2f\xfd"] {
            assert!(crate::error::render(&read(other).unwrap_err()).contains("hint"), "{other:?}");
        }
    }

    #[test]
    fn tables_in_text_are_read() {
        let text = "\u{feff}id,question,response,remark\n1,\"two\nlines, \"\"quoted\"\"\",    a,x\n2,q\n3,q,b,\n";
        let (found, about) = read_named(".csv", text.as_bytes()).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].question(), found[0].response.as_str()), ("two\nlines, \"quoted\"", "    a"));
        assert_eq!((found[1].id.as_str(), about.bad_rows), ("3", 1));
        assert_eq!(about.unused, BTreeMap::from([("remark".to_owned(), 1)]));
        assert_eq!(read_named(".tsv", b"question\tresponse\nq\ta, b\n").unwrap().0[0].response, "a, b");
        assert_eq!(read_named(".csv", b"question;response\nq;a, b\n").unwrap().0[0].response, "a, b");
        assert!(read_named(".csv", b"question,question\nq,a\n").is_err());
        let turns = r#"messages
"[{""role"":""user"",""content"":""q""},{""role"":""assistant"",""content"":""a""}]"
"#;
        assert_eq!(read_named(".csv", turns.as_bytes()).unwrap().0[0].response, "a");
    }

    #[test]
    fn bytes_that_are_text_are_text_and_every_compression_is_read() {
        use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
        let columns: [(&str, &[&str]); 2] = [("question", &["one?"]), ("response", &["1 \u{bd}"])];
        for compression in [
            Compression::UNCOMPRESSED,
            Compression::SNAPPY,
            Compression::LZ4,
            Compression::LZ4_RAW,
            Compression::BROTLI(BrotliLevel::default()),
            Compression::GZIP(GzipLevel::default()),
            Compression::ZSTD(ZstdLevel::default()),
        ] {
            let (found, about) = read(&parquet_of(&columns, "", compression)).unwrap();
            assert_eq!((found.len(), about.bad_rows), (1, 0), "{compression:?}");
            assert_eq!((found[0].question(), found[0].response.as_str()), ("one?", "1 \u{bd}"));
        }
        let mut picture = parquet_of(&columns, "", Compression::UNCOMPRESSED);
        let places: Vec<usize> =
            (0..picture.len() - 4).filter(|&at| picture[at..].starts_with("1 \u{bd}".as_bytes())).collect();
        for at in places {
            picture[at] = 0xff;
        }
        let (found, about) = read(&picture).unwrap();
        assert!(found.is_empty() && about.named[0].1.contains("not text"), "{:?}", about.named);
    }

    /// A Parquet file of text columns, compressed as the published ones are.
    fn parquet(columns: &[(&str, &[&str])]) -> Vec<u8> {
        parquet_of(columns, "(UTF8)", parquet::basic::Compression::SNAPPY)
    }

    fn parquet_of(columns: &[(&str, &[&str])], kind: &str, compression: parquet::basic::Compression) -> Vec<u8> {
        use parquet::data_type::{ByteArray, ByteArrayType};
        use parquet::file::properties::WriterProperties;
        use parquet::file::writer::SerializedFileWriter;
        let fields = columns.iter().map(|(name, _)| format!("required binary {name} {kind}; ")).collect::<String>();
        let schema = parquet::schema::parser::parse_message_type(&format!("message rows {{ {fields} }}")).unwrap();
        let properties = WriterProperties::builder().set_compression(compression).build();
        let mut bytes = Vec::new();
        let mut file = SerializedFileWriter::new(&mut bytes, schema.into(), properties.into()).unwrap();
        let mut group = file.next_row_group().unwrap();
        for (_, values) in columns {
            let values: Vec<ByteArray> = values.iter().map(|value| ByteArray::from(*value)).collect();
            let mut column = group.next_column().unwrap().unwrap();
            column.typed::<ByteArrayType>().write_batch(&values, None, None).unwrap();
            column.close().unwrap();
        }
        group.close().unwrap();
        file.close().unwrap();
        bytes
    }

    #[test]
    fn parquet_rows_are_read_and_a_missing_column_is_named() {
        let questions: (&str, &[&str]) = ("question", &["one?", "two?", ""]);
        let bytes = parquet(&[questions, ("response", &["1", "zwei ½", "3"])]);
        let (found, bad) = read(&bytes).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[1].response.as_str(), bad.bad_rows), ("zwei ½", 1));
        let (found, bad) = read(&parquet(&[questions, ("remark", &["1", "2", "3"])])).unwrap();
        assert_eq!((found.len(), bad.bad_rows), (0, 3));
        assert!(bad.named[0].1.contains("no answer"), "{:?}", bad.named);
        for share in [bytes.len() / 2, bytes.len() - 9, 12] {
            assert!(read(&bytes[..share]).is_err(), "cut to {share} bytes");
        }
        // A file whose end is whole and whose pages are not.
        let mut spoilt = bytes.clone();
        spoilt[8..40].fill(0xff);
        assert!(read(&spoilt).is_err());
    }

    #[test]
    fn a_broken_parquet_file_is_one_clear_error() {
        let problem = read(b"PAR1 this is not parquet PAR1").unwrap_err();
        assert!(crate::error::render(&problem).contains("complete"));
        assert!(read(b"PAR1").is_err());
    }
}
