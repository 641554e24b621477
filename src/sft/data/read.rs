//! Files of rows: JSON lines (plain or gzipped), one JSON array, Parquet. Bad rows are counted and named, and
//! reading goes on.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::Value;

use super::Record;
use super::shape::{self, Tags};
use crate::error::{Exit, UserError};

/// One row's text; a longer line is something else.
const LINE_BYTES_MAX: usize = 64 << 20;
/// A JSON array is read whole.
const ARRAY_BYTES_MAX: u64 = 2 << 30;
/// Of the bad rows, this many are named.
const NAMED_MAX: usize = 20;

/// What reading found besides records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bad {
    pub rows: u64,
    /// Row number (from 1) and what is wrong with it; the first few.
    pub named: Vec<(u64, String)>,
}

impl Bad {
    fn add(&mut self, row: u64, why: String) {
        self.rows += 1;
        if self.named.len() < NAMED_MAX {
            self.named.push((row, why));
        }
    }
}

/// Reads every row of a file, handing each record on as it comes.
///
/// # Errors
/// A file that cannot be opened or is not of a known kind. Bad rows are not errors.
pub fn records(path: &Path, tags: Tags, mut each: impl FnMut(Record) -> anyhow::Result<()>) -> anyhow::Result<Bad> {
    let mut bad = Bad::default();
    let stem = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let mut number = 0;
    values(path, &mut |row| {
        number += 1;
        match row.and_then(|row| shape::record(&row, &format!("{stem}:{number}"), tags)) {
            Ok(record) => each(record),
            Err(why) => {
                bad.add(number, why);
                Ok(())
            }
        }
    })?;
    Ok(bad)
}

/// Takes rows one by one.
pub type Each<'a> = &'a mut dyn FnMut(Result<Value, String>) -> anyhow::Result<()>;

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
        [0x1f, 0x8b, ..] => lines(path, BufReader::new(MultiGzDecoder::new(file)), each),
        _ if begins_array(&mut file)? => array_rows(path, file, each),
        _ => lines(path, BufReader::with_capacity(1 << 20, file), each),
    }
}

fn begins_array(file: &mut File) -> anyhow::Result<bool> {
    let mut start = [0; 64];
    let got = file.read(&mut start)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(start[..got].iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'['))
}

fn array_rows(path: &Path, file: File, each: Each<'_>) -> anyhow::Result<()> {
    let values: Vec<Value> =
        serde_json::from_reader(BufReader::new(file.take(ARRAY_BYTES_MAX))).map_err(|problem| {
            UserError::new(Exit::Error, format!("{}: {problem}", path.display()))
                .hint("one JSON object a line is read row by row")
        })?;
    values.into_iter().try_for_each(|value| each(Ok(value)))
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
            each(serde_json::from_slice(&line).map_err(|problem| problem.to_string()))?;
        }
    }
}

fn parquet_rows(path: &Path, file: File, each: Each<'_>) -> anyhow::Result<()> {
    let broken = |problem: &dyn std::fmt::Display| {
        UserError::new(Exit::Error, format!("{}: {problem}", path.display()))
            .hint("is the Parquet file complete? download it again")
    };
    let reader = SerializedFileReader::new(file).map_err(|problem| broken(&problem))?;
    for row in reader.get_row_iter(None).map_err(|problem| broken(&problem))? {
        // A broken page spoils everything behind it: unlike a bad row it ends the reading.
        each(Ok(row.map_err(|problem| broken(&problem))?.to_json_value()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn read(bytes: &[u8]) -> anyhow::Result<(Vec<Record>, Bad)> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
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
        assert_eq!(bad.rows, 3);
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

    /// A Parquet file of text columns, compressed as the published ones are.
    fn parquet(columns: &[(&str, &[&str])]) -> Vec<u8> {
        use parquet::basic::Compression;
        use parquet::data_type::{ByteArray, ByteArrayType};
        use parquet::file::properties::WriterProperties;
        use parquet::file::writer::SerializedFileWriter;
        let fields = columns.iter().map(|(name, _)| format!("required binary {name} (UTF8); ")).collect::<String>();
        let schema = parquet::schema::parser::parse_message_type(&format!("message rows {{ {fields} }}")).unwrap();
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
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
        assert_eq!((found[1].response.as_str(), bad.rows), ("zwei ½", 1));
        let (found, bad) = read(&parquet(&[questions, ("remark", &["1", "2", "3"])])).unwrap();
        assert_eq!((found.len(), bad.rows), (0, 3));
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
