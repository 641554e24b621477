// What llama.cpp's own llama-bench measures, in its way: `-p 512 -n 96 -d 512`, random tokens, no sampling, one
// warm-up. The crate ships llama-bench's description but not its source, so its two loops are written again here and
// linked with the very libraries that z1 uses. Built and run by scripts/bench-engine.
//
//   llama_bench MODEL THREADS [LAYERS_ON_GPU]     Z1_BACKENDS: folder of llama.cpp's modules, where they are loaded
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "ggml-backend.h"
#include "llama.h"

static double seconds_of(llama_context * context, int prompt, int generated, bool timed_prompt, int vocabulary) {
    llama_memory_clear(llama_get_memory(context), false);
    std::vector<llama_token> tokens(prompt);
    for (auto & token : tokens) token = std::rand() % vocabulary;
    auto started = std::chrono::steady_clock::now();
    if (llama_decode(context, llama_batch_get_one(tokens.data(), prompt)) != 0) std::exit(1);
    llama_synchronize(context);
    if (!timed_prompt) started = std::chrono::steady_clock::now();
    for (int i = 0; i < generated; i++) {
        llama_token token = std::rand() % vocabulary;
        if (llama_decode(context, llama_batch_get_one(&token, 1)) != 0) std::exit(1);
        llama_synchronize(context);
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
}

int main(int argc, char ** argv) {
    if (argc < 3) return std::fprintf(stderr, "usage: llama_bench MODEL THREADS [LAYERS_ON_GPU]\n"), 2;
    const int prompt = 512, generated = 96, threads = std::atoi(argv[2]);
    llama_log_set([](ggml_log_level, const char *, void *) {}, nullptr);
    if (const char * folder = std::getenv("Z1_BACKENDS")) ggml_backend_load_all_from_path(folder);
    llama_backend_init();
    llama_model_params of_model = llama_model_default_params();
    of_model.n_gpu_layers = argc > 3 ? std::atoi(argv[3]) : 0;
    llama_model * model = llama_model_load_from_file(argv[1], of_model);
    if (model == nullptr) return 1;
    llama_context_params of_context = llama_context_default_params();
    of_context.n_ctx = prompt + generated;
    of_context.n_batch = 2048;
    of_context.n_ubatch = 512;
    of_context.n_threads = of_context.n_threads_batch = threads;
    llama_context * context = llama_init_from_model(model, of_context);
    if (context == nullptr) return 1;
    const int vocabulary = llama_vocab_n_tokens(llama_model_get_vocab(model));
    seconds_of(context, prompt, 1, true, vocabulary);
    std::printf("bench_prefill %f\n", prompt / seconds_of(context, prompt, 0, true, vocabulary));
    std::printf("bench_decode %f\n", generated / seconds_of(context, prompt, generated, false, vocabulary));
    std::fflush(stdout);
    llama_free(context);
    llama_model_free(model);
}
