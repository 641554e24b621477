//! Ctrl-C for work that takes long: a flag, so that it ends between two steps and leaves nothing half done.

use crate::cancel::Cancel;

/// A flag that Ctrl-C sets.
///
/// # Errors
/// Where no runtime can be started to wait for the signal.
pub(super) fn on_interrupt() -> anyhow::Result<Cancel> {
    let cancel = Cancel::new();
    let seen = cancel.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // The handler must stand before the work begins: a signal that comes earlier would kill the process.
    let (standing, stands) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || {
        runtime.block_on(async {
            let mut signal = Box::pin(crate::host::asked_to_end());
            // The first poll registers the handler.
            let first = std::future::poll_fn(|context| std::task::Poll::Ready(signal.as_mut().poll(context))).await;
            let _ = standing.send(());
            let came = match first {
                std::task::Poll::Ready(came) => came,
                std::task::Poll::Pending => signal.await,
            };
            if came.is_ok() {
                seen.cancel();
            }
        });
    });
    let _ = stands.recv();
    Ok(cancel)
}
