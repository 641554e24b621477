//! What the trusted processes inside an enclosure tell the supervisor outside: short notes over a
//! sequenced-packet socket that the program never holds.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::{Deserialize, Serialize};

use super::step::Broken;

/// A note is at most this long, in bytes.
const NOTE_BYTES_MAX: usize = 16 << 10;

/// Descriptors that one packet can carry.
pub(crate) const FDS_MAX: usize = 4;

/// One note.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Note {
    /// The file system stands; the descriptor of the work directory, or of the overlay's upper layer,
    /// travels with it. The program starts when the supervisor has listed that.
    Built { features: Vec<String>, overlaid: bool },
    /// The walls stand; the program starts now.
    Ready { features: Vec<String> },
    /// A step failed; the program was not started.
    Broken { step: String, message: String },
    /// The program ended (its wait status) and everything else in the enclosure is dead.
    Ended { status: i32, leftovers: u32, cpu_micros: u64, largest_resident_bytes: u64 },
}

impl From<Broken> for Note {
    fn from(broken: Broken) -> Self {
        let mut message = broken.message;
        message.truncate(message.floor_char_boundary(NOTE_BYTES_MAX / 4));
        Self::Broken { step: broken.step, message }
    }
}

/// A connected pair of packet sockets.
pub(crate) fn packet_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Sends a note, with descriptors.
pub(super) fn send(socket: impl AsFd, note: &Note, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    send_packet(socket, &serde_json::to_vec(note)?, fds)
}

/// Receives a note; `None` where the other side is gone.
pub(super) fn receive(socket: impl AsFd) -> io::Result<Option<(Note, Vec<OwnedFd>)>> {
    let (bytes, fds) = receive_packet(socket, NOTE_BYTES_MAX)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    Ok(Some((serde_json::from_slice(&bytes)?, fds)))
}

/// Sends one packet with up to [`FDS_MAX`] descriptors.
pub(crate) fn send_packet(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    sendmsg(socket, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Receives one packet; empty where the other side is gone.
pub(crate) fn receive_packet(socket: impl AsFd, bytes_max: usize) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut bytes = vec![0; bytes_max];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let message = rustix::io::retry_on_intr(|| {
        recvmsg(&socket, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)
    })?;
    bytes.truncate(message.bytes);
    let fds = ancillary
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds),
            _ => None,
        })
        .flatten()
        .collect();
    Ok((bytes, fds))
}
