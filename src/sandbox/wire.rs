//! What crosses the socket between z1 and a trial's supervisor: one order, one outcome.
//!
//! A frame is its length, then JSON, then the bulky byte strings as they are (file contents, captured
//! output), so that nothing large is ever spelt out in JSON.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::policy::{Outcome, Policy, Request, Stdin, Workspace};
use crate::task::Tier;

/// The largest frame either side accepts, in bytes.
pub(crate) const FRAME_BYTES_MAX: u64 = 1 << 30;

/// Everything a supervisor needs to know about one trial.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) policy: Policy,
    pub(crate) request: Request,
    pub(crate) tier: Tier,
    /// Where tiers without a file system of their own keep the work directory.
    pub(crate) temp_dir: PathBuf,
    /// The system's bubblewrap, for tier B.
    pub(crate) bwrap: Option<PathBuf>,
    /// This binary, which tier B starts again inside.
    pub(crate) helper_exe: OsString,
    /// How many processes (threads included) the user already has; tier L counts from there.
    pub(crate) user_tasks: u64,
    /// Folders of the user that no policy may open, nor anything above them.
    pub(crate) private: Vec<PathBuf>,
}

/// Encodes an order; the byte strings travel behind the JSON.
///
/// # Errors
/// Says which part cannot be written, for example a path that is not UTF-8.
pub(crate) fn encode_order(mut order: Order) -> Result<Vec<u8>, String> {
    let mut blobs = Vec::new();
    for (_, content, _) in files_mut(&mut order.policy.workspace) {
        blobs.push(std::mem::take(content));
    }
    if let Stdin::Bytes(bytes) = &mut order.request.stdin {
        blobs.push(std::mem::take(bytes));
    }
    frame(&order, &blobs)
}

/// Decodes what [`encode_order`] wrote (without the leading length).
pub(crate) fn decode_order(bytes: &[u8]) -> io::Result<Order> {
    let (mut order, mut blobs) = unframe::<Order>(bytes)?;
    for (_, content, _) in files_mut(&mut order.policy.workspace) {
        *content = blobs.next().ok_or_else(short)?;
    }
    if let Stdin::Bytes(bytes) = &mut order.request.stdin {
        *bytes = blobs.next().ok_or_else(short)?;
    }
    Ok(order)
}

/// Encodes an outcome.
///
/// # Errors
/// Says which part cannot be written.
pub(crate) fn encode_outcome(mut outcome: Outcome) -> Result<Vec<u8>, String> {
    let mut blobs = Vec::new();
    for capture in [&mut outcome.stdout, &mut outcome.stderr] {
        blobs.push(std::mem::take(&mut capture.head));
        blobs.push(std::mem::take(&mut capture.tail));
    }
    for (_, content) in &mut outcome.files {
        blobs.push(std::mem::take(content));
    }
    frame(&outcome, &blobs)
}

/// Decodes what [`encode_outcome`] wrote (without the leading length).
pub(crate) fn decode_outcome(bytes: &[u8]) -> io::Result<Outcome> {
    let (mut outcome, mut blobs) = unframe::<Outcome>(bytes)?;
    for capture in [&mut outcome.stdout, &mut outcome.stderr] {
        capture.head = blobs.next().ok_or_else(short)?;
        capture.tail = blobs.next().ok_or_else(short)?;
    }
    for (_, content) in &mut outcome.files {
        *content = blobs.next().ok_or_else(short)?;
    }
    Ok(outcome)
}

/// Writes one frame.
pub(crate) fn send(mut to: impl Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(&(bytes.len() as u64).to_le_bytes())?;
    to.write_all(bytes)
}

/// Reads one frame.
pub(crate) fn receive(mut from: impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 8];
    from.read_exact(&mut length)?;
    let length = checked_length(length)?;
    let mut bytes = Vec::new();
    from.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// The frame's length, refused where it is absurd.
pub(crate) fn checked_length(bytes: [u8; 8]) -> io::Result<u64> {
    let length = u64::from_le_bytes(bytes);
    if length > FRAME_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the frame is too long"));
    }
    Ok(length)
}

fn files_mut(workspace: &mut Workspace) -> &mut Vec<(PathBuf, Vec<u8>, bool)> {
    match workspace {
        Workspace::Files(files) | Workspace::Overlay { extra: files, .. } => files,
    }
}

fn frame<T: Serialize>(head: &T, blobs: &[Vec<u8>]) -> Result<Vec<u8>, String> {
    let json = serde_json::to_vec(head).map_err(|error| error.to_string())?;
    let mut bytes = Vec::with_capacity(json.len() + blobs.iter().map(|b| b.len() + 8).sum::<usize>() + 8);
    for part in std::iter::once(&json).chain(blobs) {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part);
    }
    if bytes.len() as u64 > FRAME_BYTES_MAX {
        return Err(format!("files and input come to {} bytes, more than {FRAME_BYTES_MAX}", bytes.len()));
    }
    Ok(bytes)
}

fn unframe<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<(T, std::vec::IntoIter<Vec<u8>>)> {
    let mut parts = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<8>().ok_or_else(short)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| short())?;
        let (part, after) = after.split_at_checked(length).ok_or_else(short)?;
        parts.push(part.to_vec());
        rest = after;
    }
    let mut parts = parts.into_iter();
    let head = serde_json::from_slice(&parts.next().ok_or_else(short)?)?;
    Ok((head, parts))
}

fn short() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the frame is cut short")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::{Capture, Change, ChangeKind, End, Isolation, Limits};

    fn order() -> Order {
        let files = vec![(PathBuf::from("a/b.py"), vec![0, 159, 146, 150], true)];
        let mut request = Request::new(["python3", "a/b.py"]);
        request.stdin = Stdin::Bytes(b"in".to_vec());
        Order {
            policy: Policy::strict(Workspace::Files(files), Limits::UNIT),
            request,
            tier: Tier::F,
            temp_dir: PathBuf::from("/tmp"),
            bwrap: None,
            helper_exe: OsString::from("z1"),
            user_tasks: 0,
            private: vec![],
        }
    }

    #[test]
    fn an_order_survives_the_trip() {
        let bytes = encode_order(order()).unwrap();
        let back = decode_order(&bytes).unwrap();
        assert_eq!(back.policy, order().policy);
        assert_eq!(back.request, order().request);
    }

    #[test]
    fn an_outcome_survives_the_trip_with_names_that_are_not_utf8() {
        use std::os::unix::ffi::OsStringExt;
        let outcome = Outcome {
            end: End::Exit(3),
            stdout: Capture { head: vec![255, 0], tail: vec![1], total_bytes: 9 },
            stderr: Capture::default(),
            wall: std::time::Duration::from_millis(5),
            cpu: std::time::Duration::ZERO,
            peak_memory_bytes: 7,
            changed: vec![Change {
                path: PathBuf::from(OsString::from_vec(vec![b'x', 0xff, b'\n'])),
                kind: ChangeKind::Added,
                bytes: 1,
            }],
            touched: vec![],
            files: vec![(PathBuf::from("r"), vec![9; 3])],
            leftovers_killed: 2,
            isolation: Isolation { tier: Tier::L, features: vec![] },
            work_dir: PathBuf::from("/box"),
        };
        let bytes = encode_outcome(outcome.clone()).unwrap();
        assert_eq!(decode_outcome(&bytes).unwrap(), outcome);
    }

    #[test]
    fn truncated_frames_are_errors() {
        let bytes = encode_order(order()).unwrap();
        for cut in [0, 5, 9, bytes.len() - 1] {
            assert!(decode_order(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        assert!(receive(&[255u8; 8][..]).is_err());
    }
}
