//! The few things that llama-cpp-2 keeps to itself, and the only unsafe code about llama.cpp.
//!
//! 1. loading a model without weight repacking, with progress and cancel in one callback;
//! 2. two context parameters: how many outputs are reserved, and the abort callback;
//! 3. the log, which also has to give the reason of a failure: llama.cpp's functions only return null.
//!
//! It relies on private layouts, so both crates are pinned to exact versions and the layouts are asserted.
//!
//! Not for: anything that the safe crate offers.

#![expect(unsafe_code, reason = "see the module's first lines")]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::{CStr, CString, c_char, c_void};
use std::path::Path;
use std::sync::{Mutex, Once, PoisonError};

use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_sys_2 as sys;

use crate::cancel::Cancel;

/// The version of the crate that brings llama.cpp.
const CRATE_VERSION: &str = "0.1.161";
/// Lines of llama.cpp's log that are kept for error messages.
const LOG_LINES_MAX: usize = 16;

// A `LlamaModel` is a transparent wrapper around one pointer, context parameters are one C struct.
const _: () = assert!(size_of::<LlamaModel>() == size_of::<*mut sys::llama_model>());
const _: () = assert!(align_of::<LlamaModel>() == align_of::<*mut sys::llama_model>());
const _: () = assert!(size_of::<LlamaContextParams>() == size_of::<sys::llama_context_params>());
const _: () = assert!(align_of::<LlamaContextParams>() == align_of::<sys::llama_context_params>());

/// Asked while a model is loaded; `false` gives up.
pub(super) type Progress<'a> = dyn FnMut(f32) -> bool + 'a;

/// What of a model is loaded, and where to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    pub(super) gpu_layers: u32,
    pub(super) repack: bool,
    pub(super) vocabulary_only: bool,
}

/// Loads a model. `None` where llama.cpp refuses or `progress` gave up; [`first_error_line`] has the reason.
pub(super) fn load_model(path: &Path, wish: Wish, progress: &mut Progress<'_>) -> Option<LlamaModel> {
    let path = CString::new(path.to_str()?).ok()?;
    let mut progress = progress;
    // SAFETY: the function only fills in a struct.
    let mut params = unsafe { sys::llama_model_default_params() };
    params.n_gpu_layers = wish.gpu_layers as i32;
    params.use_extra_bufts = wish.repack;
    params.vocab_only = wish.vocabulary_only;
    // Without a layer there, a GPU would still get buffers for large batches, and a full one would refuse them.
    let mut no_devices: [sys::ggml_backend_dev_t; 1] = [std::ptr::null_mut()];
    if wish.gpu_layers == 0 {
        params.devices = no_devices.as_mut_ptr();
    }
    params.progress_callback = Some(on_progress);
    params.progress_callback_user_data = (&raw mut progress).cast::<c_void>();
    // SAFETY: the path is a C string; `progress` and the list of devices, which ends with a null, outlive the call,
    // which is the only user of them.
    let model = unsafe { sys::llama_model_load_from_file(path.as_ptr(), params) };
    // SAFETY: `LlamaModel` is `repr(transparent)` over a non-null pointer (asserted above, pinned version),
    // and this pointer is non-null, freshly made and owned by nobody else.
    (!model.is_null()).then(|| unsafe { std::mem::transmute::<*mut sys::llama_model, LlamaModel>(model) })
}

unsafe extern "C" fn on_progress(fraction: f32, data: *mut c_void) -> bool {
    // SAFETY: `load_model` passes a pointer to its own live `&mut Progress`.
    let progress = unsafe { &mut *data.cast::<&mut Progress<'_>>() };
    progress(fraction)
}

/// Where the abort callback finds the flags of the requests that are being served.
#[derive(Debug, Default)]
pub(super) struct AbortSlot {
    cancels: Mutex<Vec<Cancel>>,
}

impl AbortSlot {
    /// From here on these flags, when all are set, abort a running decode.
    pub(super) fn watch(&self, cancels: &[Cancel]) {
        let mut watched = self.cancels.lock().unwrap_or_else(PoisonError::into_inner);
        watched.clear();
        watched.extend_from_slice(cancels);
    }

    fn is_cancelled(&self) -> bool {
        let watched = self.cancels.lock().unwrap_or_else(PoisonError::into_inner);
        !watched.is_empty() && watched.iter().all(Cancel::is_cancelled)
    }
}

unsafe extern "C" fn on_abort(data: *mut c_void) -> bool {
    // SAFETY: `finish_params` passes a pointer to an `AbortSlot` that its caller keeps longer than the context.
    unsafe { &*data.cast::<AbortSlot>() }.is_cancelled()
}

/// Adds what the safe builder lacks. `slot` must outlive every context made with the result: the caller
/// keeps it in a box that is dropped after the context.
pub(super) fn finish_params(params: LlamaContextParams, outputs_max: u32, slot: &AbortSlot) -> LlamaContextParams {
    let batch = params.n_batch();
    // SAFETY: the wrapper's only field is this struct (sizes asserted above, pinned version).
    let mut raw = unsafe { std::mem::transmute::<LlamaContextParams, sys::llama_context_params>(params) };
    assert_eq!(raw.n_batch, batch, "invariant: the wrapper and the struct have the same layout");
    raw.n_outputs_max = outputs_max;
    raw.n_outputs_max_per_seq = 0;
    raw.abort_callback = Some(on_abort);
    raw.abort_callback_data = (&raw const *slot).cast_mut().cast::<c_void>();
    // SAFETY: as above, in the other direction.
    unsafe { std::mem::transmute::<sys::llama_context_params, LlamaContextParams>(raw) }
}

thread_local! {
    /// The errors that llama.cpp has logged on this thread. Per thread, because llama.cpp's log has no owner: where
    /// two engines live in one process (a model and its draft, a quantisation beside a chat) the one must neither
    /// read nor clear the other's. llama.cpp logs a failed load, allocation or decode on the thread that asked for it.
    static LOG_LINES: RefCell<VecDeque<String>> = const { RefCell::new(VecDeque::new()) };
}

/// Sends llama.cpp's log to `tracing` (and so to the log file, never to the terminal).
pub(super) fn install_log() {
    static ONCE: Once = Once::new();
    // SAFETY: the callback is a plain function that may be called from any thread.
    ONCE.call_once(|| unsafe { sys::llama_log_set(Some(on_log), std::ptr::null_mut()) });
}

unsafe extern "C" fn on_log(level: sys::ggml_log_level, text: *const c_char, _data: *mut c_void) {
    // SAFETY: llama.cpp passes a C string that lives for the call.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    let text = text.trim_end();
    if text.is_empty() || text.bytes().all(|byte| byte == b'.') {
        return;
    }
    match level {
        sys::GGML_LOG_LEVEL_ERROR => {
            // A thread that is already ending has nobody left who would ask.
            let _ = LOG_LINES.try_with(|lines| {
                let mut lines = lines.borrow_mut();
                if lines.len() == LOG_LINES_MAX {
                    lines.pop_front();
                }
                lines.push_back(text.to_owned());
            });
            tracing::error!(target: "llama.cpp", "{text}");
        }
        sys::GGML_LOG_LEVEL_WARN => tracing::warn!(target: "llama.cpp", "{text}"),
        sys::GGML_LOG_LEVEL_INFO => tracing::info!(target: "llama.cpp", "{text}"),
        _ => tracing::debug!(target: "llama.cpp", "{text}"),
    }
}

/// Forgets what was logged before on this thread, so that the next reason is not an old one.
pub(super) fn clear_log_lines() {
    LOG_LINES.with_borrow_mut(VecDeque::clear);
}

/// The llama.cpp that is linked: the crate that packs its sources, and what its ggml calls itself.
pub fn library() -> String {
    // SAFETY: it returns a constant string.
    let ggml = unsafe { CStr::from_ptr(sys::ggml_version()) };
    format!("llama.cpp as packed in llama-cpp-sys-2 {CRATE_VERSION}, ggml {}", ggml.to_string_lossy())
}

/// What llama.cpp gave as an error on this thread since [`clear_log_lines`]: the first line, which names the cause.
pub(super) fn first_error_line() -> Option<String> {
    // "function_name: reason" → "reason"
    let reason = |line: &String| line.split_once(": ").map_or(line.as_str(), |(_, reason)| reason).trim().to_owned();
    LOG_LINES.with_borrow(|lines| lines.front().map(reason))
}

/// Whether llama.cpp complained on this thread since [`clear_log_lines`] that it was given no memory.
pub(super) fn allocation_failed() -> bool {
    LOG_LINES.with_borrow(|lines| lines.iter().any(|line| line.contains("allocat") || line.contains("out of memory")))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_versions_whose_layouts_are_relied_on_are_pinned() {
        let manifest = include_str!("../../Cargo.toml");
        assert!(manifest.contains("llama-cpp-2 = { version = \"=0.1.160\""));
        assert!(manifest.contains(&format!("llama-cpp-sys-2 = {{ version = \"={}\"", super::CRATE_VERSION)));
    }
}
