# Read by llama.cpp's own CMakeLists right after `project()` (see config.toml).
#
# llama-cpp-2 without its feature `common` still asks for llama.cpp's `common` library, by the default features of the crate
# beneath it: half of llama.cpp's build (chat templates, downloads, an HTTP library) for functions that nothing calls.
set(LLAMA_BUILD_COMMON OFF CACHE BOOL "not called by z1" FORCE)
