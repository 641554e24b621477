# Read by llama.cpp's own CMakeLists right after `project()` (see config.toml).
#
# llama-cpp-2 without its feature `common` still asks for llama.cpp's `common` library, by the default features of the crate
# beneath it: half of llama.cpp's build (chat templates, downloads, an HTTP library) for functions that nothing calls.
set(LLAMA_BUILD_COMMON OFF CACHE BOOL "not called by z1" FORCE)

# What decides how fast a model is stands in ggml. llama.cpp's own part reads files, lays out graphs and looks tokens up: it takes a third
# less time to build at -O1, and its headers are read once instead of some fifty times.
function(z1_lighter)
    if(TARGET llama AND NOT MSVC)
        target_compile_options(llama PRIVATE -O1)
        target_precompile_headers(llama PRIVATE
            "$<$<COMPILE_LANGUAGE:CXX>:<algorithm$<ANGLE-R>>"
            "$<$<COMPILE_LANGUAGE:CXX>:<functional$<ANGLE-R>>"
            "$<$<COMPILE_LANGUAGE:CXX>:<map$<ANGLE-R>>"
            "$<$<COMPILE_LANGUAGE:CXX>:<memory$<ANGLE-R>>"
            "$<$<COMPILE_LANGUAGE:CXX>:<regex$<ANGLE-R>>"
            "$<$<COMPILE_LANGUAGE:CXX>:<string$<ANGLE-R>>"
            "$<$<COMPILE_LANGUAGE:CXX>:<unordered_map$<ANGLE-R>>"
            "$<$<COMPILE_LANGUAGE:CXX>:<vector$<ANGLE-R>>")
    endif()
endfunction()
if(NOT CMAKE_VERSION VERSION_LESS 3.19)
    cmake_language(DEFER CALL z1_lighter)
endif()
