//! Packed rows as Parquet shards that any trainer reads: `input_ids`, `labels`, `position_ids`, lists of int32.
//!
//! Not for: reading published data (`data::read`).

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::data_type::Int32Type;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;
use serde::Serialize;

use crate::error::{Exit, UserError};
use crate::sft::PackedRow;

/// A label where nothing is learnt, as PyTorch's cross entropy passes it over.
pub const NOT_LEARNT: i32 = -100;
/// Tokens of a row group: what a reader holds in memory at a time.
const GROUP_TOKENS: usize = 1 << 20;
/// Tokens of a shard.
const SHARD_TOKENS: u64 = 1 << 26;
const COLUMNS: [&str; 3] = ["input_ids", "labels", "position_ids"];

/// A shard that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shard {
    /// Relative to the hand-over's folder.
    pub file: PathBuf,
    pub rows: u64,
    pub tokens: u64,
    pub learnt_tokens: u64,
}

/// Writes rows, one shard after the other.
pub struct Shards<'a> {
    folder: &'a Path,
    name: &'static str,
    open: Option<SerializedFileWriter<File>>,
    /// Rows of the group that is being gathered.
    columns: [Vec<i32>; 3],
    repetition: Vec<i16>,
    done: Vec<Shard>,
}

impl<'a> Shards<'a> {
    /// Shards `data/NAME-00000.parquet` and so on, in `folder`.
    pub fn new(folder: &'a Path, name: &'static str) -> Self {
        Self { folder, name, open: None, columns: Default::default(), repetition: Vec::new(), done: Vec::new() }
    }

    /// Appends a row.
    ///
    /// # Errors
    /// Where the disk is full or the folder cannot be written.
    pub fn push(&mut self, row: &PackedRow) -> anyhow::Result<()> {
        if self.open.is_none() {
            self.begin()?;
        }
        let [ids, labels, positions] = &mut self.columns;
        let before = ids.len();
        for sequence in &row.sequences {
            for (position, (&id, &learn)) in sequence.ids.iter().zip(&sequence.learn).enumerate() {
                // A trainer shifts the labels itself; a sequence's first token has nothing before it to be foretold from.
                labels.push(if learn && position > 0 { id as i32 } else { NOT_LEARNT });
                ids.push(id as i32);
                positions.push(position as i32);
            }
        }
        self.repetition.push(0);
        self.repetition.resize(ids.len(), 1);
        let gathered = ids.len();
        let shard = self.done.last_mut().expect("invariant: an open shard is in the list");
        shard.rows += 1;
        shard.tokens += (gathered - before) as u64;
        shard.learnt_tokens += row.learnt_tokens() as u64;
        let full = shard.tokens >= SHARD_TOKENS;
        if gathered >= GROUP_TOKENS || full {
            self.flush()?;
        }
        if full { self.end() } else { Ok(()) }
    }

    /// Ends the last shard; the list of all.
    ///
    /// # Errors
    /// As [`Shards::push`].
    pub fn finish(mut self) -> anyhow::Result<Vec<Shard>> {
        self.flush()?;
        self.end()?;
        Ok(self.done)
    }

    fn begin(&mut self) -> anyhow::Result<()> {
        let name = PathBuf::from("data").join(format!("{}-{:05}.parquet", self.name, self.done.len()));
        let path = self.folder.join(&name);
        let file = File::create(&path).map_err(|why| not_written(&path, &why))?;
        let list = |name: &&str| {
            format!("required group {name} (LIST) {{ repeated group list {{ required int32 element; }} }} ")
        };
        let schema = format!("message rows {{ {} }}", COLUMNS.iter().map(list).collect::<String>());
        let schema = parse_message_type(&schema).expect("invariant: the schema is well formed");
        let positions = ColumnPath::new(["position_ids", "list", "element"].map(String::from).to_vec());
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            // Positions rise by one: their differences are next to nothing.
            .set_column_dictionary_enabled(positions.clone(), false)
            .set_column_encoding(positions, Encoding::DELTA_BINARY_PACKED)
            .build();
        let writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties));
        self.open = Some(writer.map_err(|why| not_written(&path, &why))?);
        self.done.push(Shard { file: name, rows: 0, tokens: 0, learnt_tokens: 0 });
        Ok(())
    }

    /// Writes what was gathered as one group of rows.
    fn flush(&mut self) -> anyhow::Result<()> {
        let Some(writer) = self.open.as_mut().filter(|_| !self.repetition.is_empty()) else { return Ok(()) };
        let definition = vec![1; self.repetition.len()];
        let mut write = || -> parquet::errors::Result<()> {
            let mut group = writer.next_row_group()?;
            for values in &self.columns {
                let mut column = group.next_column()?.expect("invariant: the schema has as many columns");
                column.typed::<Int32Type>().write_batch(values, Some(&definition), Some(&self.repetition))?;
                column.close()?;
            }
            group.close().map(|_| ())
        };
        write().map_err(|why| not_written(&self.path(), &why))?;
        self.columns.iter_mut().for_each(Vec::clear);
        self.repetition.clear();
        Ok(())
    }

    fn end(&mut self) -> anyhow::Result<()> {
        let path = self.path();
        let Some(writer) = self.open.take() else { return Ok(()) };
        let file = writer.into_inner().map_err(|why| not_written(&path, &why))?;
        file.sync_all().map_err(|why| not_written(&path, &why))
    }

    fn path(&self) -> PathBuf {
        self.done.last().map_or_else(|| self.folder.to_owned(), |shard| self.folder.join(&shard.file))
    }
}

fn not_written(path: &Path, why: &dyn std::fmt::Display) -> anyhow::Error {
    UserError::new(Exit::Error, format!("could not write {}: {why}", path.display()))
        .hint("it needs a folder that can be written, on a disk with room; what was begun is removed")
        .into()
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};

    use super::*;
    use crate::sft::Sequence;

    #[test]
    fn rows_are_read_back_with_masks_and_positions() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("data")).unwrap();
        let one = Sequence { ids: vec![5, 6, 7], learn: vec![true, false, true] };
        let two = Sequence { ids: vec![8, 9], learn: vec![true, true] };
        let mut shards = Shards::new(folder.path(), "train");
        shards.push(&PackedRow { sequences: vec![one.clone(), two] }).unwrap();
        shards.push(&PackedRow { sequences: vec![one] }).unwrap();
        let done = shards.finish().unwrap();
        assert_eq!((done.len(), done[0].rows, done[0].tokens, done[0].learnt_tokens), (1, 2, 8, 3));
        let reader = SerializedFileReader::new(File::open(folder.path().join(&done[0].file)).unwrap()).unwrap();
        let rows: Vec<String> = reader.get_row_iter(None).unwrap().map(|row| row.unwrap().to_string()).collect();
        assert_eq!(
            rows[0],
            "{input_ids: [5, 6, 7, 8, 9], labels: [-100, -100, 7, -100, 9], position_ids: [0, 1, 2, 0, 1]}"
        );
        assert_eq!(rows[1], "{input_ids: [5, 6, 7], labels: [-100, -100, 7], position_ids: [0, 1, 2]}");
        assert!(Shards::new(folder.path(), "none").finish().unwrap().is_empty());
    }

    #[test]
    fn many_rows_make_several_groups() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("data")).unwrap();
        let row = PackedRow { sequences: vec![Sequence { ids: vec![3; 400_000], learn: vec![true; 400_000] }] };
        let mut shards = Shards::new(folder.path(), "train");
        (0..4).for_each(|_| shards.push(&row).unwrap());
        let done = shards.finish().unwrap();
        let reader = SerializedFileReader::new(File::open(folder.path().join(&done[0].file)).unwrap()).unwrap();
        assert_eq!((reader.metadata().num_row_groups(), reader.metadata().file_metadata().num_rows()), (2, 4));
    }
}
